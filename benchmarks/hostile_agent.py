"""An agent that fails on purpose, in a process of its own: `python -m benchmarks.hostile_agent KIND` prints its port.

Raw sockets: no WebSocket library would let one do this.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_SECOND = b'{"event":"playAudio","media":{"contentType":"audio/x-mulaw","sampleRate":8000,"payload":"%b"}}'
_TEXT = 0x81
_CLOSE = b"\x88\x02\x03\xe8"
"""1000; servers do not mask."""
_FOREVER_S = 3_600.0


def never_upgrades(connection: socket.socket) -> None:
    """Take the request and say nothing."""
    connection.recv(4_096)
    time.sleep(_FOREVER_S)


def is_silent(connection: socket.socket) -> None:
    """Listen, and answer pings only by being there."""
    _upgrade(connection)
    _read_all(connection)


def closes_after_3_s(connection: socket.socket) -> None:
    """Close in an orderly way."""
    _upgrade(connection)
    reader = threading.Thread(target=_read_all, args=(connection,), daemon=True)
    reader.start()
    time.sleep(3)
    connection.sendall(_CLOSE)
    reader.join(5)


def stops_reading(connection: socket.socket) -> None:
    """Never read again."""
    _upgrade(connection)
    time.sleep(_FOREVER_S)


def floods_audio(connection: socket.socket) -> None:
    """Send speech at ten times real time."""
    _upgrade(connection)
    threading.Thread(target=_read_all, args=(connection,), daemon=True).start()
    message = _frame(_SECOND % base64.b64encode(b"\x90" * 8_000))
    while True:
        connection.sendall(message)
        time.sleep(0.1)


def floods_garbage(connection: socket.socket) -> None:
    """Send text that is no JSON, 64 KB each, as fast as it is taken."""
    _upgrade(connection)
    threading.Thread(target=_read_all, args=(connection,), daemon=True).start()
    message = _frame(b"x" * 65_000) * 16
    while True:
        connection.sendall(message)


def floods_bytes(connection: socket.socket) -> None:
    """Send bytes that are no WebSocket frames, as fast as they are taken."""
    _upgrade(connection)
    rubbish = os.urandom(1_048_576)
    while True:
        connection.sendall(rubbish)


def floods_tiny(connection: socket.socket) -> None:
    """Send a million messages of two characters, as fast as they are taken."""
    _upgrade(connection)
    threading.Thread(target=_read_all, args=(connection,), daemon=True).start()
    for _ in range(1_000):
        connection.sendall(_frame(b"{}") * 1_000)
    time.sleep(_FOREVER_S)


KINDS: dict[str, Callable[[socket.socket], None]] = {
    "never-upgrades": never_upgrades,
    "silent": is_silent,
    "closes": closes_after_3_s,
    "stops-reading": stops_reading,
    "audio-flood": floods_audio,
    "garbage": floods_garbage,
    "bytes": floods_bytes,
    "tiny": floods_tiny,
}
"""`half-open` is `silent`: it acknowledges everything at TCP and nothing above it."""


@contextmanager
def hostile_agent(kind: str) -> Iterator[int]:
    """Run one for the time of the block; yields its port."""
    command = [sys.executable, "-m", "benchmarks.hostile_agent", kind]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            yield int(json.loads(process.stdout.readline())["port"])
        finally:
            process.kill()


def main() -> int:
    """Serve until killed."""
    conduct = KINDS[sys.argv[1]]
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    sys.stdout.write(json.dumps({"port": listener.getsockname()[1]}) + "\n")
    sys.stdout.flush()
    # It may slow itself down, not the platform: a real one runs elsewhere.
    os.nice(10)
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=_guarded, args=(conduct, connection), daemon=True).start()


def _guarded(conduct: Callable[[socket.socket], None], connection: socket.socket) -> None:
    with suppress(OSError), connection:
        conduct(connection)


def _upgrade(connection: socket.socket) -> None:
    head = b""
    while b"\r\n\r\n" not in head:
        head += connection.recv(4_096)
    key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
    digest = base64.b64encode(hashlib.sha1(key.partition(b":")[2].strip() + _GUID).digest())
    connection.sendall(
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        b"Sec-WebSocket-Accept: " + digest + b"\r\n\r\n"
    )


def _read_all(connection: socket.socket) -> None:
    with suppress(OSError):
        while connection.recv(65_536):
            continue


def _frame(text: bytes) -> bytes:
    size = len(text)
    if size < 126:
        return bytes((_TEXT, size)) + text
    return bytes((_TEXT, 126)) + size.to_bytes(2, "big") + text


if __name__ == "__main__":
    raise SystemExit(main())
