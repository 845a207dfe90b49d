"""The built-in agent's process: a customer application that happens to run on this machine."""

from __future__ import annotations

import json
import select
import subprocess
import sys

from ringback.cli.failure import Failure

_START_LIMIT_S = 30.0
_STOP_LIMIT_S = 2.0


class EchoAgent:
    """The process behind 15550001000 and 15550002000; it knows Ringback by the public wire only.

    State: running from construction to `close`. If this process is killed, the agent goes on for the detached limit, as
    media workers do, so that live calls keep their echo.
    """

    def __init__(self, *, detached_limit_s: int) -> None:
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ringback.testing.agent"),
                *("--http", "127.0.0.1:0", "--ws", "127.0.0.1:0", "--detached-limit", str(detached_limit_s)),
            ],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            start_new_session=True,
        )
        self._urls: dict[str, str] = {}

    @property
    def answer_url(self) -> str:
        """Return the URL of the echo's application; waits until the process has named it.

        Raises:
            Failure: RB5008 when it does not.
        """
        return self._url("answer_url")

    @property
    def menu_url(self) -> str:
        """Return the URL of the menu's application; as `answer_url`."""
        return self._url("menu_url")

    @property
    def pid(self) -> int:
        """Return the agent's process id."""
        return self._process.pid

    def _url(self, name: str) -> str:
        self._urls = self._urls or self._read_urls()
        return self._urls[name]

    def _read_urls(self) -> dict[str, str]:
        output = self._process.stdout
        assert output is not None
        ready, _, _ = select.select([output], [], [], _START_LIMIT_S)
        line = output.readline() if ready else b""
        try:
            found = json.loads(line)
            return {name: str(found[name]) for name in ("answer_url", "menu_url")}
        except (ValueError, KeyError, TypeError):
            self.close()
            raise Failure(
                "RB5008", "the built-in agent did not start", fix="run `python -m ringback.testing.agent`"
            ) from None

    def close(self) -> None:
        """End the process and wait until it is gone."""
        self._process.terminate()
        try:
            self._process.wait(_STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()
