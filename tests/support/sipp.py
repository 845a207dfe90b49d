"""SIPp as a peer: runs one scenario file and gives back what it saw on the wire.

SIPp itself is the first judge: a message that the scenario does not expect, or one that never comes, fails the call.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import re
import socket
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from tests.support.waiting import until

_HOST = "127.0.0.1"
_KINDS = (socket.SOCK_DGRAM, socket.SOCK_STREAM)
_RULE = re.compile(r"^-{40,}.*\n", re.MULTILINE)
_ENTRY = re.compile(r"\w+ message (sent|received) [(\[]\d+\]? bytes\)? ?:\n\n")
_ports = itertools.cycle(range(10_000 + os.getpid() % 50 * 100, 20_000, 4))
"""Below the ports that the system gives out by itself, and beside those of the platform; four for each who asks."""


@dataclass(frozen=True, slots=True)
class SippRun:
    """A finished run: its exit code, and the messages in the order of its trace."""

    exit_code: int
    trace: str
    errors: str

    @property
    def sent(self) -> list[str]:
        """Return the messages that SIPp sent."""
        return self._messages("sent")

    @property
    def received(self) -> list[str]:
        """Return the messages that SIPp received."""
        return self._messages("received")

    def responses(self, status: int, method: str = "INVITE", *, repeats: bool = False) -> list[str]:
        """Return the received responses of a status to a method; on request with their retransmissions."""
        found = [
            message
            for message in self.received
            if message.startswith(f"SIP/2.0 {status} ") and header(message, "CSeq").endswith(method)
        ]
        return found if repeats else list(dict.fromkeys(found))

    def requests(self, method: str, *, repeats: bool = False) -> list[str]:
        """Return the received requests of a method; on request with their retransmissions.

        A peer on a busy machine may be late enough for any request to be sent twice, byte for byte.
        """
        found = [message for message in self.received if message.startswith(f"{method} ")]
        return found if repeats else list(dict.fromkeys(found))

    @property
    def call_uuid(self) -> str:
        """Return the call's name as Ringback told it in a response or a request."""
        return next(filter(None, (header(message, "X-CallUUID") for message in self.received)))

    def check(self) -> SippRun:
        """Return this run if every call of it went as the scenario says.

        Raises:
            AssertionError: one did not; holds SIPp's reasons and the end of the trace.
        """
        assert self.exit_code == 0, f"sipp exit code {self.exit_code}\n{self.errors[:2_000]}\n{self.trace[-6_000:]}"
        return self

    def _messages(self, direction: str) -> list[str]:
        entries = [(_ENTRY.match(piece), piece) for piece in _RULE.split(self.trace)]
        return [piece[found.end() :] for found, piece in entries if found and found[1] == direction]


@dataclass(slots=True)
class Sipp:
    """A running SIPp: `port` is its SIP port, `media_port` that of its own RTP echo."""

    port: int
    media_port: int
    folder: Path
    process: asyncio.subprocess.Process

    @property
    def uri(self) -> str:
        """Return the URI under which this SIPp takes calls over UDP."""
        return f"sip:callee@{_HOST}:{self.port}"

    async def finish(self, timeout_s: float = 90) -> SippRun:
        """Return what happened once SIPp has ended by itself."""
        output, _ = await asyncio.wait_for(self.process.communicate(), timeout_s)
        errors = self._read("errors.log") or output.decode("utf-8", "replace")[-2_000:]
        return SippRun(self.process.returncode or 0, self._read("messages.log"), errors)

    def seen(self, text: str) -> bool:
        """Return whether a message so far, sent or received, begins with `text`."""
        return f"\n\n{text}" in self._read("messages.log")

    def _read(self, name: str) -> str:
        try:
            return (self.folder / name).read_text(encoding="utf-8", errors="replace").replace("\r\n", "\n")
        except FileNotFoundError:
            return ""

    async def until_listening(self) -> None:
        """Return when the SIP port is bound.

        Raises:
            AssertionError: SIPp ended instead.
        """
        await until(lambda: self.process.returncode is not None or self._is_bound(), "SIPp to listen")
        if self.process.returncode is not None:
            (await self.finish()).check()

    def _is_bound(self) -> bool:
        try:
            sockets = psutil.Process(self.process.pid).net_connections("inet4")
        except psutil.NoSuchProcess:
            return False
        return any(entry.laddr and entry.laddr.port == self.port for entry in sockets)


@asynccontextmanager
async def sipp(
    scenario: Path,
    *options: str,
    remote: tuple[str, int] | None = None,
    transport: str = "udp",
    calls: int = 1,
    port: int = 0,
    keys: Mapping[str, object] | None = None,
    swap: Mapping[str, str] | None = None,
) -> AsyncIterator[Sipp]:
    """Run SIPp for the time of the block; await `finish` inside it.

    Args:
        options: Further command line options.
        remote: Whom it calls; without it SIPp waits for calls, and the block begins when it listens.
        port: Its own SIP port; 0 takes a free one.
        keys: Words that replace `[name]` in the messages of the scenario; `[media_port]` in them is SIPp's own.
        swap: Texts of the scenario file and what stands there instead: SIPp takes no keys for status codes.
    """
    port, media_port = port or free_port(), free_media_port(2)
    with tempfile.TemporaryDirectory(prefix="sipp-") as folder:
        _copy(scenario, Path(folder), swap or {})
        words = {name: str(value).replace("[media_port]", str(media_port)) for name, value in (keys or {}).items()}
        command = [
            *("sipp", "-sf", scenario.name, "-i", _HOST, "-p", str(port), "-mi", _HOST, "-mp", str(media_port)),
            *("-m", str(calls), "-t", "t1" if transport == "tcp" else "u1", "-nostdin", "-recv_timeout", "60000"),
            *("-trace_err", "-error_file", f"{folder}/errors.log", "-error_overwrite", "true"),
            *("-trace_msg", "-message_file", f"{folder}/messages.log", "-message_overwrite", "true"),
            *(word for name, value in words.items() for word in ("-key", name, value)),
            *options,
            *([f"{remote[0]}:{remote[1]}"] if remote else []),
        ]
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=folder,
            env={"TERM": "dumb", "PATH": "/usr/bin:/bin"},
        )
        try:
            running = Sipp(port, media_port, Path(folder), process)
            if remote is None:
                await running.until_listening()
            yield running
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()


def _copy(scenario: Path, folder: Path, swap: Mapping[str, str]) -> None:
    """Put a scenario into SIPp's folder, with texts swapped."""
    text = scenario.read_text(encoding="utf-8")
    for found, instead in swap.items():
        assert found in text, f"{scenario.name} has no {found!r}"
        text = text.replace(found, instead)
    (folder / scenario.name).write_text(text, encoding="utf-8")


def free_port() -> int:
    """Return an even port that is free for UDP and TCP on loopback, and so is the next."""
    return next(port for port in _ports if all(_is_free(each, kind) for each in (port, port + 1) for kind in _KINDS))


def free_media_port(beside: int) -> int:
    """Return an even UDP port that is free together with the one `beside` above it: SIPp and baresip bind two."""
    return next(port for port in _ports if _is_free(port) and _is_free(port + beside))


def _is_free(port: int, kind: socket.SocketKind = socket.SOCK_DGRAM) -> bool:
    with socket.socket(socket.AF_INET, kind) as tried:
        try:
            tried.bind((_HOST, port))
        except OSError:
            return False
    return True


def header(message: str, name: str) -> str:
    """Return the first value of a header in a message, or nothing."""
    found = re.search(rf"^{re.escape(name)}:[ \t]*(.*)$", message.partition("\n\n")[0], re.MULTILINE | re.IGNORECASE)
    return found[1].strip() if found else ""


def headers(message: str, name: str) -> list[str]:
    """Return every line of a header in a message."""
    head = message.partition("\n\n")[0]
    return [found.strip() for found in re.findall(rf"^{re.escape(name)}:[ \t]*(.*)$", head, re.MULTILINE)]


def sdp(message: str) -> list[str]:
    """Return the lines of a message's body."""
    return message.partition("\n\n")[2].strip().splitlines()
