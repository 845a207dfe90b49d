"""Whether a port is free, and who holds it if not."""

from __future__ import annotations

import errno
import socket
import sys
from collections.abc import Iterable
from pathlib import Path

from ringback import ids
from ringback.cli.failure import Failure

_TRIES = 100
_DRAWN_FROM, _DRAWN_TO = 30_000, 32_768
"""Above the default RTP ports and below those that systems hand out by themselves (from 32768 on with Linux): whoever
connects somewhere between our choice and our listening would take one of the latter."""


def is_free(host: str, port: int, kinds: Iterable[socket.SocketKind]) -> bool:
    """Return whether every kind of socket can be bound at `host` and `port`.

    Raises:
        Failure: RB5003 when `host` is no address of this machine.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for kind in kinds:
        with socket.socket(family, kind) as probe:
            if kind is socket.SOCK_STREAM:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except PermissionError:
                raise Failure(
                    "RB5003", f"port {port} needs more rights", f"{host}:{port}", "choose one above 1023"
                ) from None
            except OSError as error:
                if error.errno == errno.EADDRINUSE:
                    return False
                fix = "choose an address of this machine"
                raise Failure("RB5003", f"cannot listen: {error.strerror}", f"{host}:{port}", fix) from None
    return True


def choose_port(host: str, port: int, kinds: Iterable[socket.SocketKind], *, explicit: bool, flag: str) -> int:
    """Return the port to listen on: the given one, or the next free one if it is a mere default; 0 is any free one.

    Raises:
        Failure: RB5003, naming the owner, when an explicit port is taken or no port is free.
    """
    kinds = tuple(kinds)
    if port == 0:
        return _any_free_port(host, kinds)
    if is_free(host, port, kinds):
        return port
    if explicit:
        owner = owner_of(port) or "another process"
        raise Failure(
            "RB5003", f"port {port} is in use by {owner}", f"{host}:{port}", f"stop it or choose another by {flag}"
        )
    for candidate in range(port + 1, min(port + _TRIES, 65_535)):
        if is_free(host, candidate, kinds):
            return candidate
    raise Failure("RB5003", f"ports {port} to {port + _TRIES} are in use", host, f"choose one by {flag}")


def _any_free_port(host: str, kinds: tuple[socket.SocketKind, ...]) -> int:
    for _ in range(_TRIES):
        port = _DRAWN_FROM + int(ids.chance() * (_DRAWN_TO - _DRAWN_FROM))
        if is_free(host, port, kinds) and _claim(port):
            return port
    raise Failure("RB5003", "no free port found", host, "name one")


_claims: list[socket.socket] = []


def _claim(port: int) -> bool:
    """Return whether no other server that is starting has chosen this port; until this process ends none will.

    Its sign is a name in Linux' abstract space (unix(7)), of which nothing is left when the process is gone.
    """
    if sys.platform != "linux":
        return True
    claim = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    try:
        claim.bind(f"\0ringback port {port}")
    except OSError:
        claim.close()
        return False
    _claims.append(claim)
    return True


def owner_of(port: int) -> str:
    """Return `name (pid N)` of the process that listens on `port`; empty when the system does not tell."""
    inodes = set()
    for table, listening in (("tcp", "0A"), ("tcp6", "0A"), ("udp", "07"), ("udp6", "07")):
        try:
            rows = Path(f"/proc/net/{table}").read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            columns = row.split()
            if int(columns[1].rpartition(":")[2], 16) == port and columns[3] == listening:
                inodes.add(f"socket:[{columns[9]}]")
    for process in Path("/proc").glob("[0-9]*") if inodes else ():
        try:
            if any(str(link.readlink()) in inodes for link in (process / "fd").iterdir()):
                return f"{(process / 'comm').read_text().strip()} (pid {process.name})"
        except OSError:
            continue
    return ""
