"""A whole Ringback in a box for tests: `ringback dev` as a process on free ports, in a data folder of its own.

Example:

    with Platform.start(apps={"15551230000": agent.answer_url}) as platform:
        phone = Phone(); await phone.start()
        call = await phone.call(platform.uri("15551230000"))

Leaving the block asserts that nothing is left: no process, and every gauge idle before that.
"""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ringback import clock
from ringback.machine import after_ms
from ringback.phones.platform_api import PlatformApi
from ringback.telemetry.metrics import IDLE_GAUGES

_START_LIMIT_MS = 60_000
_STOP_LIMIT_S = 30.0
_IDLE_LIMIT_MS = 20_000
_WORKER_MODULE = "ringback.media.worker"


class PlatformFailed(AssertionError):
    """The platform did not start, left something behind, or logged an error; the message holds the end of its log."""


@dataclass(slots=True)
class Platform:
    """A running development server and all its processes."""

    folder: Path
    process: subprocess.Popen[bytes]
    url: str = ""
    sip_host: str = ""
    sip_port: int = 0
    auth_id: str = ""
    auth_token: str = field(default="", repr=False)
    is_spoiled: bool = False
    """Set it when a test on a shared platform has failed: what that one left is no failure of the session."""
    _seen: dict[int, Any] = field(default_factory=dict)

    @staticmethod
    @contextmanager
    def start(
        *,
        apps: Mapping[str, str] | None = None,
        answer_url: str = "",
        workers: int = 1,
        settings: Mapping[str, str] | None = None,
        folder: Path | None = None,
        expect_errors: bool = False,
    ) -> Iterator[Platform]:
        """Run a platform for the time of the block.

        Args:
            apps: Numbers and the answer URLs behind them.
            answer_url: Answers every other number.
            settings: Further `RINGBACK_*` variables.
            folder: The data folder; a fresh one by default, removed afterwards.
            expect_errors: Whether ERROR lines in the log are part of the test.
        Raises:
            PlatformFailed: it did not become ready, or something was left behind at the end.
        """
        with tempfile.TemporaryDirectory(prefix="ringback-") as fresh:
            platform = Platform._spawn(folder or Path(fresh), apps or {}, answer_url, workers, settings or {})
            try:
                platform._wait_until_ready()
                yield platform
                if platform.is_running and not platform.is_spoiled:
                    platform.assert_idle()
                if not expect_errors:
                    platform.assert_no_errors()
            finally:
                left = platform.stop()
            if left:
                raise PlatformFailed(f"processes were left behind: {left}\n{platform.log_tail()}")

    @staticmethod
    def _spawn(
        folder: Path, apps: Mapping[str, str], answer_url: str, workers: int, settings: Mapping[str, str]
    ) -> Platform:
        command = [
            *(sys.executable, "-m", "ringback", "dev", "--http", "127.0.0.1:0", "--sip", "127.0.0.1:0"),
            *("--data", str(folder), "--workers", str(workers)),
            *(["--answer-url", answer_url] if answer_url else []),
        ]
        names = {number: f"test-{index}" for index, number in enumerate(apps)}
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("RINGBACK_", "PLIVO_"))},  # noqa: TID251 - a child's environment
            "RINGBACK_OBSERVABILITY__LOG": "json",
            # Loading a voice takes a core for two seconds, of which a test that says nothing has no use.
            "RINGBACK_SPEECH__PRELOAD": "false",
            "RINGBACK_APP": json.dumps([{"name": names[number], "answer_url": url} for number, url in apps.items()]),
            "RINGBACK_NUMBER": json.dumps([{"number": number, "app": name} for number, name in names.items()]),
            **settings,
        }
        with (folder / "output.log").open("ab") as output:
            process = subprocess.Popen(
                command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        return Platform(folder, process)

    @property
    def is_running(self) -> bool:
        """Return whether the server process lives."""
        return self.process.poll() is None

    @property
    def api(self) -> PlatformApi:
        """Return the HTTP API with the account's credentials."""
        return PlatformApi(self.url, self.auth_id, self.auth_token)

    def uri(self, number: str, transport: str = "udp") -> str:
        """Return the SIP URI of a number."""
        return f"sip:{number}@{self.sip_host}:{self.sip_port}" + (";transport=tcp" if transport == "tcp" else "")

    def sdk(self, timeout_s: float = 10) -> Any:
        """Return a stock `plivo.RestClient` that talks to this platform.

        Its code is unchanged: the session's adapter for Plivo's hosts is ours.
        """
        import plivo
        from requests import PreparedRequest, Response
        from requests.adapters import HTTPAdapter

        url, hosts = self.url, ("https://api.plivo.com", "https://stats.plivo.com")

        class Redirect(HTTPAdapter):
            """Sends what is meant for the real service to this platform."""

            def send(self, request: PreparedRequest, *arguments: Any, **options: Any) -> Response:
                """Send one prepared request, path and query untouched."""
                for host in hosts:
                    request.url = (request.url or "").replace(host, url, 1)
                return super().send(request, *arguments, **options)

        client = plivo.RestClient(self.auth_id, self.auth_token, timeout=timeout_s)
        for host in hosts:
            client.session.mount(host, Redirect())
        return client

    def metrics(self) -> dict[str, float]:
        """Return every metric by its name with labels."""
        with urllib.request.urlopen(f"{self.url}/metrics", timeout=10) as reply:
            rows = [line for line in reply.read().decode().splitlines() if line and not line.startswith("#")]
        return {name: float(value) for name, _, value in (row.rpartition(" ") for row in rows)}

    def assert_idle(self) -> None:
        """Wait until every gauge of live things reads 0.

        Raises:
            PlatformFailed: after 20 s one still does not; all of them are named.
        """
        deadline = after_ms(clock.now(), _IDLE_LIMIT_MS)
        while True:
            busy = {
                name: value for name, value in self.metrics().items() if value and name.partition("{")[0] in IDLE_GAUGES
            }
            if not busy:
                return
            if clock.now() > deadline:
                raise PlatformFailed(f"not idle: {busy}\n{self.log_tail()}")
            _pause()

    def log_files(self) -> list[Path]:
        """Return the log of the server, then those of its media workers."""
        return [self.folder / "output.log", *sorted((self.folder / "run").glob("*.log*"))]

    def log_lines(self) -> list[dict[str, Any]]:
        """Return every JSON line of the logs so far."""
        lines = []
        for text in itertools.chain(*(path.read_text(errors="replace").splitlines() for path in self.log_files())):
            if text.startswith("{"):
                try:
                    lines.append(json.loads(text))
                except ValueError:
                    continue
        return lines

    def log_tail(self, lines: int = 40) -> str:
        """Return the end of the platform's output."""
        try:
            return "\n".join((self.folder / "output.log").read_text(errors="replace").splitlines()[-lines:])
        except OSError:
            return ""

    def assert_no_errors(self) -> None:
        """Check that no promise was broken: nothing at ERROR, no traceback.

        Raises:
            PlatformFailed: something was.
        """
        errors = [line for line in self.log_lines() if line.get("level") in ("error", "critical")]
        output = "\n".join(path.read_text(errors="replace") for path in self.log_files())
        if errors or "Traceback (most recent call last)" in output:
            raise PlatformFailed(f"{len(errors)} errors were logged: {errors[:3]}\n{self.log_tail()}")

    def worker_pids(self) -> list[int]:
        """Return the process ids of the media workers."""
        return [pid for pid, command in self._children().items() if _WORKER_MODULE in command]

    def kill_server(self) -> None:
        """End the server process at once, as a crash would; workers and the agent go on."""
        self._children()
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> list[str]:
        """End the platform politely and return the command lines of processes that did not end by themselves.

        Processes of a server that was killed are ended here and not counted.
        """
        was_killed = self.process.poll() == -signal.SIGKILL
        self._children()
        if self.is_running:
            self.process.terminate()
            try:
                self.process.wait(_STOP_LIMIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        return self._reap(patience_ms=0 if was_killed else 3_000, report=not was_killed)

    def _children(self) -> dict[int, str]:
        """Return the living processes below the server, by id, with their command lines; remembers all ever seen."""
        import psutil

        if self.is_running:
            for child in psutil.Process(self.process.pid).children(recursive=True):
                self._seen[child.pid] = child
        commands = {}
        for pid, child in self._seen.items():
            try:
                if child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
                    commands[pid] = " ".join(child.cmdline())
            except psutil.NoSuchProcess:
                continue
        return commands

    def _reap(self, patience_ms: int, *, report: bool) -> list[str]:
        import psutil

        deadline = after_ms(clock.now(), patience_ms)
        while (left := self._children()) and clock.now() < deadline:
            _pause()
        for pid in left:
            try:
                self._seen[pid].kill()
            except psutil.NoSuchProcess:
                continue
        return sorted(left.values()) if report else []

    def _wait_until_ready(self) -> None:
        deadline = after_ms(clock.now(), _START_LIMIT_MS)
        while clock.now() < deadline:
            if not self.is_running:
                raise PlatformFailed(f"exit code {self.process.returncode} at start\n{self.log_tail()}")
            if self._read_run_file() and self._is_ready():
                return
            _pause()
        raise PlatformFailed(f"not ready after {_START_LIMIT_MS} ms\n{self.log_tail()}")

    def _read_run_file(self) -> bool:
        try:
            run = json.loads((self.folder / "run.json").read_text())
        except (OSError, ValueError):
            return False
        if run["pid"] != self.process.pid:
            return False
        self.url, self.sip_host, self.sip_port = run["url"], run["sip_host"], run["sip_port"]
        self.auth_id, self.auth_token = run["auth_id"], run["auth_token"]
        return True

    def _is_ready(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=2) as reply:
                return bool(reply.status == 200)
        except OSError:
            return False


def _pause() -> None:
    threading.Event().wait(0.02)
