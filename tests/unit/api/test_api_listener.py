"""The listener says what is wrong with an address."""

from __future__ import annotations

import socket

import pytest

from ringback.api.listener import HttpListener
from ringback.errors import ConfigError


def test_taken_port_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=f"HTTP cannot listen on 127.0.0.1 port {port}: Address already in use"):
            HttpListener(_nothing, "127.0.0.1", port)


async def test_unstarted_listener_releases_its_port() -> None:
    listener = HttpListener(_nothing, "127.0.0.1", 0)
    await listener.close()
    await HttpListener(_nothing, "127.0.0.1", listener.port).close()


async def _nothing(*_args: object) -> None:
    raise AssertionError


async def test_small_answers_are_not_delayed() -> None:
    """Accepted connections inherit both; without them every answer waits 40 ms for an acknowledgement."""
    listener = HttpListener(_nothing, "127.0.0.1", 0)
    assert listener._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) == 1
    assert listener._socket.proto == socket.IPPROTO_TCP
    await listener.close()
