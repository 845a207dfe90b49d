"""The official Node SDK as a client: a Node process that does what the test says.

It needs `node` and `npm`; the SDK is fetched once from npm's registry into `tests/contract/node`. Where that is not
possible the tests that want it skip and say why; with CI=true they fail.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.api_server import AUTH_ID, TOKEN, ApiServer

FOLDER = Path(__file__).parents[1] / "contract" / "node"
_INSTALL_LIMIT_S = 90
_INSTALL_PAUSES_S = (0, 5, 15)
"""Before each try; all of them together stay within the time-out of a test that wants the SDK."""
_INSTALL = (
    *("npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"),
    *("--fetch-retries=4", "--fetch-retry-mintimeout=1000", "--fetch-retry-maxtimeout=15000", "--fetch-timeout=60000"),
)


class NodeSdkError(Exception):
    """What a method of the SDK threw."""


class NodeSdk:
    """A running Node process with one client."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, method: str, *arguments: Any) -> Any:
        """Return what `resource.method` of the client gives.

        Raises:
            NodeSdkError: it threw.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps([method, *arguments]) + "\n")
        self._process.stdin.flush()
        found = json.loads(self._process.stdout.readline())
        if "error" in found:
            raise NodeSdkError(found["error"])
        return found.get("value")


@functools.cache
def why_not() -> str:
    """Return why the SDK cannot be used, empty when it can; fetches it the first time."""
    missing = [name for name in ("node", "npm") if shutil.which(name) is None]
    if missing:
        return f"{' and '.join(missing)} not installed: install Node.js 18 or newer to run the official Node SDK"
    # Test processes beside each other must not meet a folder that another one is filling.
    with (FOLDER / "package.json").open() as package:
        fcntl.flock(package, fcntl.LOCK_EX)
        return _fetched()


def _fetched() -> str:
    if (FOLDER / "node_modules" / "plivo").is_dir():
        return ""
    reason = ""
    for pause_s in _INSTALL_PAUSES_S:
        time.sleep(pause_s)
        try:
            subprocess.run(_INSTALL, cwd=FOLDER, check=True, capture_output=True, timeout=_INSTALL_LIMIT_S)
        except (subprocess.SubprocessError, OSError) as error:
            shutil.rmtree(FOLDER / "node_modules", ignore_errors=True)
            said = (getattr(error, "stderr", None) or b"").decode(errors="replace")[-500:]
            reason = f"npm could not fetch the official Node SDK: {type(error).__name__} {said}".rstrip()
        else:
            return ""
    return reason


@contextlib.contextmanager
def node_sdk(api: ApiServer, auth_id: str = AUTH_ID, token: str = TOKEN) -> Iterator[NodeSdk]:
    """Yield the SDK, pointed at a server; where it cannot be had the test skips, in CI it fails."""
    if reason := why_not():
        if os.environ.get("CI") == "true":
            pytest.fail(reason)
        pytest.skip(reason)
    names = {"RINGBACK_URL": api.url, "PLIVO_AUTH_ID": auth_id, "PLIVO_AUTH_TOKEN": token}
    with subprocess.Popen(
        ["node", "--no-deprecation", str(FOLDER / "sdk.js")],
        env={**os.environ, **names},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as process:
        try:
            yield NodeSdk(process)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            process.wait(60)
