"""`ringback doctor`: what stands in the way of good calls on this machine, and what to do about it."""

from __future__ import annotations

import asyncio
import os
import re
import resource
import socket
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

from ringback.cli.failure import ExitCode
from ringback.cli.find_server import find_server
from ringback.cli.output import write_json, write_result
from ringback.cli.ports import is_free, owner_of
from ringback.cli.readiness import is_ready, read_text
from ringback.cli.settings import load_settings
from ringback.config.sections import Config
from ringback.recognition import installed as recognition
from ringback.speech.installed import HINT, installed_engines

_FILES_WANTED = 4_096
_LOAD_STATE = re.compile(r'^ringback_media_worker_load_state\{state="(\w+)",worker="([^"]+)"\} 1\.0$', re.MULTILINE)
_RECEIVE_BUFFER_WANTED_BYTES = 1_048_576


@dataclass(frozen=True, slots=True)
class Finding:
    """One checked thing: its state, the fact, and the fix when it is not good."""

    state: Literal["good", "note", "bad"]
    subject: str
    fact: str
    fix: str = ""


def doctor(*, json: bool = False) -> int:
    """Check settings, ports, limits and the running server; exit 1 if anything is bad.

    Args:
        json: Print JSON Lines.
    """
    findings = list(_findings())
    for finding in findings:
        if json:
            write_json(asdict(finding))
        else:
            fix = f"  →  {finding.fix}" if finding.fix else ""
            write_result(f"{finding.state:<5} {finding.subject:<10} {finding.fact}{fix}")
    return ExitCode.FAILED if any(finding.state == "bad" for finding in findings) else ExitCode.DONE


def _findings() -> Iterator[Finding]:
    loaded = load_settings()
    config = loaded.config
    yield Finding("good", "settings", f"{loaded.file or 'no file'}, {config.env}")
    server = find_server()
    if is_ready(f"{server.url}/readyz"):
        yield Finding("good", "server", f"ready at {server.url}, SIP {server.sip_host}:{server.sip_port}")
        yield load_of(read_text(f"{server.url}/metrics"))
    else:
        verb = "up" if config.env == "production" else "dev"
        yield Finding("note", "server", f"none is ready at {server.url}", f"ringback {verb}")
        yield from _ports(config.http.host, config.http.port, config.sip.host, config.sip.port)
    if config.env == "production":
        yield from _production(config)
    yield asyncio.run(_udp_loopback())
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < _FILES_WANTED:
        yield Finding("note", "files", f"{soft} open files allowed", f"ulimit -n {_FILES_WANTED} for hundreds of calls")
    else:
        yield Finding("good", "files", f"{soft} open files allowed")
    yield _receive_buffer()
    yield _voices(config.speech.voices_dir is not None)
    yield _ears(config.recognition.engine)
    yield Finding("good", "cores", f"{os.cpu_count()}, so {config.media.workers or os.cpu_count()} media workers")


def load_of(metrics: str) -> Finding:
    """Return whether the media workers of a running server take new calls, by what it tells on `/metrics`."""
    states = {worker: state for state, worker in _LOAD_STATE.findall(metrics)}
    if not states:
        return Finding("note", "load", "the server does not say how much its workers have to do", "read its log")
    pressed = [f"{worker} is {state}" for worker, state in sorted(states.items()) if state in ("paced", "full")]
    if not pressed:
        return Finding("good", "load", f"{len(states)} media workers take new calls")
    fix = "fewer calls, more cores or another node: docs/overload.md"
    return Finding("note", "load", f"media workers are late: {', '.join(pressed)}", fix)


def _ports(http_host: str, http_port: int, sip_host: str, sip_port: int) -> Iterator[Finding]:
    for subject, host, port, kinds in (
        ("http", http_host, http_port, [socket.SOCK_STREAM]),
        ("sip", sip_host, sip_port, [socket.SOCK_DGRAM, socket.SOCK_STREAM]),
    ):
        if is_free(host, port, kinds):
            yield Finding("good", subject, f"port {port} is free")
        else:
            owner = owner_of(port) or "another process"
            yield Finding(
                "note", subject, f"port {port} is in use by {owner}", "`ringback dev` takes the next free one"
            )


def _production(config: Config) -> Iterator[Finding]:
    """Look at what only a server for real callers needs."""
    if config.auth.id and config.auth.token.get_secret_value():
        yield Finding("good", "account", config.auth.id)
    else:
        yield Finding("bad", "account", "none: nobody can use the API", "set auth.id and auth.token_file")
    yield asyncio.run(_database(config.database_url))
    names = ", ".join(trunk.name for trunk in config.trunk)
    if names:
        yield Finding("good", "trunks", names)
    else:
        yield Finding("note", "trunks", "none: only registered phones can call", "[[trunk]] in the settings file")
    if config.sip.host in ("0.0.0.0", "::") and not config.sip.advertised_address:
        fact = "SIP listens on every address and names one of this machine"
        yield Finding("note", "address", fact, "behind NAT set sip.advertised_address and media.advertised_address")
    elif config.sip.host.startswith("127."):
        yield Finding("note", "address", "SIP listens on loopback only", "set sip.host to this machine's address")


async def _database(url: str) -> Finding:
    """Ask PostgreSQL whether it is there; SQLite belongs to the server that has it open."""
    if not url.startswith("postgresql"):
        return Finding("good", "database", url.removeprefix("sqlite+aiosqlite:///"))
    from ringback.errors import ConfigError
    from ringback.storage.postgres import server_version

    try:
        return Finding("good", "database", f"PostgreSQL {await server_version(url)} answers")
    except ConfigError as error:
        return Finding("bad", "database", error.message, "start it, or correct database.url")


def _voices(has_voices_dir: bool) -> Finding:
    engines = installed_engines(has_voices_dir)
    if not engines:
        return Finding("note", "voices", "none is installed, so <Speak> says nothing", HINT)
    return Finding("good", "voices", f"spoken by {', '.join(engine.value for engine in engines)}")


def _ears(engine: str) -> Finding:
    names = recognition.installed_engines(engine)
    if not names:
        return Finding("note", "speech in", 'none, so <GetInput inputType="speech"> is refused', recognition.HINT)
    return Finding("good", "speech in", f"recognised by {', '.join(names)}")


async def _udp_loopback() -> Finding:
    """Send a datagram to ourselves: a firewall on loopback makes every call silent."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.setblocking(False)
        try:
            probe.bind(("127.0.0.1", 0))
            probe.sendto(b"ringback", probe.getsockname())
            async with asyncio.timeout(1):
                await loop.sock_recv(probe, 64)
        except (OSError, TimeoutError) as error:
            return Finding("bad", "udp", f"loopback does not carry UDP: {error}", "allow UDP on 127.0.0.1")
    return Finding("good", "udp", "loopback carries UDP")


def _receive_buffer() -> Finding:
    try:
        size = int(Path("/proc/sys/net/core/rmem_max").read_text())
    except (OSError, ValueError):
        return Finding("note", "buffers", "the largest UDP receive buffer is unknown")
    if size < _RECEIVE_BUFFER_WANTED_BYTES:
        fix = f"sysctl net.core.rmem_max={4 * _RECEIVE_BUFFER_WANTED_BYTES} for hundreds of calls"
        return Finding("note", "buffers", f"UDP receive buffers end at {size} bytes", fix)
    return Finding("good", "buffers", f"UDP receive buffers up to {size} bytes")
