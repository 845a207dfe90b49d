"""TCP connections, accepted and opened, behind one bounded table."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable
from typing import cast

from ringback import clock
from ringback.machine import Instant, after_ms
from ringback.sip.flow import Flow, HostPort, Target, Transmit, Transport
from ringback.sip.message import SipRequest, SipResponse
from ringback.sip.parser import KeepAlive, SipParseError, StreamFramer
from ringback.sip.settings import SipSettings

MessageHandler = Callable[[Flow, "SipRequest | SipResponse | SipParseError"], None]
FailureHandler = Callable[[Hashable], None]

SWEEP_MS = 1_000
"""How often time limits of connections are looked at."""
MAX_WAITING = 64
"""Messages that wait for one connection to open."""


class TcpConnection(asyncio.Protocol):
    """One connection: bytes to messages, bounded writes."""

    def __init__(self, table: TcpTable, target: Target | None) -> None:
        self._table = table
        self._framer = StreamFramer()
        self._transport: asyncio.Transport | None = None
        self._target = target
        self._message_since: Instant | None = None
        self.last_used = clock.now()
        self.flow: Flow | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Enter the table, or close at once when it is full."""
        self._transport = cast(asyncio.Transport, transport)
        self._transport.set_write_buffer_limits(high=self._table.settings.write_buffer_bytes)
        local = cast(HostPort, self._transport.get_extra_info("sockname")[:2])
        remote = cast(HostPort, self._transport.get_extra_info("peername")[:2])
        self.flow = self._table.enter(self, local, remote)
        if self.flow is None:
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Hand up what the bytes complete; answer pings (RFC 5626 §4.4.1)."""
        flow, transport = self.flow, self._transport
        if flow is None or transport is None:
            return
        self.last_used = clock.now()
        for item in self._framer.feed(data):
            if isinstance(item, KeepAlive):
                if item is KeepAlive.PING:
                    transport.write(b"\r\n")
            else:
                self._table.on_message(flow, item)
        if self._framer.is_broken:
            transport.close()
        if not self._framer.has_partial_message:
            self._message_since = None
        elif self._message_since is None:
            self._message_since = self.last_used

    def connection_lost(self, exc: Exception | None) -> None:
        """Leave the table."""
        if self.flow is not None:
            self._table.leave(self.flow)

    def send(self, payload: bytes) -> bool:
        """Write a message; return False when the connection is closing or its peer does not read."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() + len(payload) > self._table.settings.write_buffer_bytes:
            transport.abort()
            return False
        transport.write(payload)
        self.last_used = clock.now()
        return True

    def is_overdue(self, now: Instant, is_in_use: bool) -> bool:
        """Return whether a begun message takes too long, or nothing has come or gone for the idle time."""
        settings = self._table.settings
        since = self._message_since
        if since is not None and now >= after_ms(since, settings.message_timeout_ms):
            return True
        return not is_in_use and now >= after_ms(self.last_used, settings.idle_timeout_ms)

    def close(self) -> None:
        """Close without waiting for the peer."""
        if self._transport is not None:
            self._transport.abort()


class TcpTable:
    """Every connection by id and by peer, and those being opened."""

    def __init__(
        self,
        settings: SipSettings,
        on_message: MessageHandler,
        on_failure: FailureHandler,
        in_use: Callable[[], set[int]],
        on_closed: Callable[[Flow], None] = lambda _flow: None,
    ) -> None:
        self.settings = settings
        self.on_message = on_message
        self._on_failure = on_failure
        self._in_use = in_use
        self._on_closed = on_closed
        self._servers: list[asyncio.Server] = []
        self._connections: dict[int, TcpConnection] = {}
        self._by_peer: dict[HostPort, int] = {}
        self._per_source: dict[str, int] = {}
        self._waiting: dict[HostPort, list[Transmit]] = {}
        self._opening: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.TimerHandle | None = None
        self._next_id = 0
        self._is_closed = False

    def __len__(self) -> int:
        return len(self._connections) + len(self._waiting)

    async def listen(self, host: str, port: int) -> HostPort:
        """Bind a listener and return its address.

        Raises:
            OSError: the address cannot be bound.
        """
        loop = asyncio.get_running_loop()
        server = await loop.create_server(lambda: TcpConnection(self, None), host, port, backlog=1_024)
        self._servers.append(server)
        return cast(HostPort, server.sockets[0].getsockname()[:2])

    def enter(self, connection: TcpConnection, local: HostPort, remote: HostPort) -> Flow | None:
        """Return the flow of a new connection, or None when a bound is reached."""
        settings, source = self.settings, remote[0]
        count = self._per_source.get(source, 0)
        is_full = len(self._connections) >= settings.max_connections or count >= settings.max_connections_per_source
        if is_full or self._is_closed:
            return None
        self._next_id += 1
        self._connections[self._next_id] = connection
        self._by_peer[remote] = self._next_id
        self._per_source[source] = count + 1
        if self._sweeper is None:
            self._arm_sweeper()
        return Flow(Transport.TCP, local, remote, self._next_id)

    def leave(self, flow: Flow) -> None:
        """Forget a connection."""
        if self._connections.pop(flow.connection_id, None) is None:
            return
        if self._by_peer.get(flow.remote) == flow.connection_id:
            del self._by_peer[flow.remote]
        source = flow.remote[0]
        self._per_source[source] -= 1
        if not self._per_source[source]:
            del self._per_source[source]
        self._on_closed(flow)

    def send(self, transmit: Transmit) -> None:
        """Send over the named connection, over one to the same peer, or over a new one."""
        to = transmit.to
        if isinstance(to, Flow):
            connection = self._connections.get(to.connection_id)
            if connection is not None and connection.send(transmit.payload):
                return
            if transmit.fallback is None:
                self._fail(transmit)
                return
            self._send_to((transmit.fallback.host, transmit.fallback.port), transmit)
        else:
            self._send_to((to.host, to.port), transmit)

    async def close(self) -> None:
        """Close listeners, connections and attempts."""
        self._is_closed = True
        if self._sweeper is not None:
            self._sweeper.cancel()
        for server in self._servers:
            server.close()
        for connection in list(self._connections.values()):
            connection.close()
        for task in list(self._opening):
            task.cancel()
        await asyncio.gather(*self._opening, return_exceptions=True)
        # An attempt that was cancelled before its first step has not cleared its own entry.
        waiting = [transmit for queue in self._waiting.values() for transmit in queue]
        self._waiting.clear()
        for transmit in waiting:
            self._fail(transmit)
        for server in self._servers:
            await server.wait_closed()

    def _send_to(self, peer: HostPort, transmit: Transmit) -> None:
        connection = self._connections.get(self._by_peer.get(peer, 0))
        if connection is not None and connection.send(transmit.payload):
            return
        waiting = self._waiting.get(peer)
        if waiting is not None:
            if len(waiting) < MAX_WAITING:
                waiting.append(transmit)
            else:
                self._fail(transmit)
            return
        if self._is_closed or len(self) >= self.settings.max_connections:
            self._fail(transmit)
            return
        self._waiting[peer] = [transmit]
        task = asyncio.get_running_loop().create_task(self._open(peer))
        self._opening.add(task)
        task.add_done_callback(self._opening.discard)

    async def _open(self, peer: HostPort) -> None:
        loop = asyncio.get_running_loop()
        target = Target(Transport.TCP, *peer)
        connection: TcpConnection | None = None
        try:
            async with asyncio.timeout(self.settings.connect_timeout_ms / 1_000):
                _, connection = await loop.create_connection(lambda: TcpConnection(self, target), *peer)
        except (OSError, TimeoutError):
            connection = None
        finally:
            waiting = self._waiting.pop(peer, [])
        for transmit in waiting:
            if connection is None or not connection.send(transmit.payload):
                self._fail(transmit)

    def _fail(self, transmit: Transmit) -> None:
        if transmit.sender is not None:
            self._on_failure(transmit.sender)

    def _arm_sweeper(self) -> None:
        self._sweeper = asyncio.get_running_loop().call_later(SWEEP_MS / 1_000, self._sweep)

    def _sweep(self) -> None:
        self._sweeper = None
        now = clock.now()
        overdue = [entry for entry in self._connections.values() if entry.is_overdue(now, is_in_use=False)]
        if overdue:
            in_use = self._in_use()
            for connection in overdue:
                flow = connection.flow
                if connection.is_overdue(now, flow is not None and flow.connection_id in in_use):
                    connection.close()
        if self._connections and not self._is_closed:
            self._arm_sweeper()
