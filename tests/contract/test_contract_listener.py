"""Clients that are slow, silent, greedy or many."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Iterator

import pytest
from tests.support.api_server import ApiServer, running

from ringback.api.gate import GateSettings

BOUNDS = GateSettings(header_max_bytes=2_000, headers_max=20, connections_max=3)


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """A server with narrow bounds; in time it is as patient as any."""
    with running(gate=BOUNDS) as server:
        yield server


@pytest.fixture
def hasty_api() -> Iterator[ApiServer]:
    """A server that gives nobody time."""
    with running(gate=GateSettings(header_deadline_ms=150, body_deadline_ms=300)) as server:
        yield server


@contextlib.contextmanager
def connected(api: ApiServer) -> Iterator[socket.socket]:
    host, _, port = api.url.removeprefix("http://").partition(":")
    with socket.create_connection((host, int(port)), 10) as connection:
        yield connection


def received(connection: socket.socket) -> bytes:
    """Return everything until the server closes."""
    parts = []
    with contextlib.suppress(ConnectionResetError):
        while part := connection.recv(65_536):
            parts.append(part)
    return b"".join(parts)


def send(connection: socket.socket, data: bytes) -> None:
    with contextlib.suppress(ConnectionResetError, BrokenPipeError):
        connection.sendall(data)


def eventually_idle(api: ApiServer) -> bool:
    deadline = time.monotonic() + 20
    while api.gate.open_connections and time.monotonic() < deadline:
        time.sleep(0.01)
    return api.gate.open_connections == 0


def test_silent_connection_is_closed_without_a_word(hasty_api: ApiServer) -> None:
    with connected(hasty_api) as connection:
        assert received(connection) == b""
    assert eventually_idle(hasty_api)


def test_headers_that_never_end_are_timed_out(hasty_api: ApiServer) -> None:
    with connected(hasty_api) as connection:
        send(connection, b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        assert received(connection).startswith(b"HTTP/1.1 408 ")
    assert eventually_idle(hasty_api)


def test_body_that_never_ends_is_timed_out(hasty_api: ApiServer) -> None:
    with connected(hasty_api) as connection:
        send(connection, b"POST /v1/Account/x/Call/ HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{")
        reply = received(connection)
        assert reply.startswith((b"HTTP/1.1 408 ", b"HTTP/1.1 401 "))
    assert eventually_idle(hasty_api)


@pytest.mark.parametrize("chunk", [100_000, 100])
def test_large_headers_are_refused(api: ApiServer, chunk: int) -> None:
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Large: " + b"a" * 2_000 + b"\r\n\r\n"
    with connected(api) as connection:
        for start in range(0, len(request), chunk):
            send(connection, request[start : start + chunk])
            time.sleep(0.001)
        assert received(connection).startswith(b"HTTP/1.1 431 ")
    assert eventually_idle(api)


@pytest.mark.parametrize(("count", "status"), [(18, b"200"), (19, b"431")])
def test_number_of_headers_is_bounded(api: ApiServer, count: int, status: bytes) -> None:
    headers = b"".join(b"X-%d: 1\r\n" % index for index in range(count))
    with connected(api) as connection:
        send(connection, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + headers + b"\r\n")
        assert received(connection).split(b" ")[1] == status


def test_one_connection_too_many_is_closed_at_accept(api: ApiServer) -> None:
    with connected(api), connected(api), connected(api) as last:
        deadline = time.monotonic() + 20
        while api.gate.open_connections < 3 and time.monotonic() < deadline:
            time.sleep(0.001)
        with connected(api) as refused:
            assert received(refused) == b""
            assert api.gate.refused == 1
        send(last, b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert received(last).startswith(b"HTTP/1.1 200 ")
    assert eventually_idle(api)


def test_connection_that_is_kept_serves_several_requests() -> None:
    with running(gate=GateSettings(header_deadline_ms=2_000)) as api, connected(api) as connection:
        for pause_s in (0, 0, 2.2):
            send(connection, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
            reply = b""
            while not reply.endswith(b"}"):
                reply += connection.recv(65_536)
            assert reply.startswith(b"HTTP/1.1 200 ")
            # Longer than the header deadline: an idle kept connection is no slow request.
            time.sleep(pause_s)
        send(connection, b"GET /healthz HTTP/1.1\r\n")
        assert received(connection).startswith(b"HTTP/1.1 408 ")


def test_upgrade_and_garbage_leave_the_server_alive(api: ApiServer) -> None:
    for request in (
        b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/9.9\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n",
        b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
    ):
        with connected(api) as connection:
            send(connection, request)
            connection.shutdown(socket.SHUT_WR)
            received(connection)
    assert api.request("GET", "/healthz").status == 200
