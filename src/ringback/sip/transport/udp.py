"""One bound UDP socket."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Hashable
from typing import cast

from ringback.sip.flow import Flow, HostPort, Transport

DatagramHandler = Callable[[Flow, bytes], None]
FailureHandler = Callable[[Hashable], None]


class UdpSocket(asyncio.DatagramProtocol):
    """Hands datagrams up with their flow, and sends them; a failed send is reported under its sender."""

    def __init__(self, on_datagram: DatagramHandler, on_failure: FailureHandler) -> None:
        self._on_datagram = on_datagram
        self._on_failure = on_failure
        self._transport: asyncio.DatagramTransport | None = None
        self._sending: Hashable | None = None
        self.local: HostPort = ("", 0)

    async def open(self, host: str, port: int, receive_buffer_bytes: int) -> None:
        """Bind.

        Raises:
            OSError: the address cannot be bound.
        """
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        bound = transport.get_extra_info("socket")
        # The kernel silently caps the size at net.core.rmem_max.
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        self.local = cast(HostPort, bound.getsockname()[:2])

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str | int, ...]) -> None:
        """Hand a datagram up."""
        remote = (str(addr[0]), int(addr[1]))
        self._on_datagram(Flow(Transport.UDP, self.local, remote), data)

    def error_received(self, exc: Exception) -> None:
        """Report a failed send (EMSGSIZE, ENETUNREACH, ECONNREFUSED) to its sender, if it is known."""
        if self._sending is not None:
            self._on_failure(self._sending)

    def send(self, payload: bytes, remote: HostPort, sender: Hashable | None) -> None:
        """Send one datagram."""
        transport = self._transport
        if transport is None or transport.is_closing():
            if sender is not None:
                self._on_failure(sender)
            return
        self._sending = sender
        try:
            transport.sendto(payload, remote)
        except (OSError, ValueError):
            if sender is not None:
                self._on_failure(sender)
        finally:
            self._sending = None

    def close(self) -> None:
        """Close the socket."""
        if self._transport is not None:
            self._transport.close()
