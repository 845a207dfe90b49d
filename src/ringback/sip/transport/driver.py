"""The one owner of an endpoint's sockets, resolver and timer handle; its verbs are the endpoint's without `now`.

Events and traces are delivered on the loop, never from inside a verb: what a verb causes is sent and told in the next
turn of the loop, in order.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Coroutine, Hashable

from ringback import clock, ids
from ringback.errors import ConfigError
from ringback.sip.dialog import Dialog
from ringback.sip.endpoint import (
    AskedId,
    DatagramArrived,
    Endpoint,
    EndpointInput,
    HeaderLines,
    InviteEvent,
    InviteId,
    MessageArrived,
    OutboundInvite,
    RegisterReceived,
    SendFailed,
    SipCounters,
)
from ringback.sip.flow import Flow, HostPort, Listener, Target, Transmit, Transport, is_ipv6
from ringback.sip.message import SipMessage
from ringback.sip.parser import SipParseError
from ringback.sip.resolve import DnsKind
from ringback.sip.settings import SipSettings
from ringback.sip.trace import SipTrace
from ringback.sip.transport.resolver import Resolver
from ringback.sip.transport.tcp import TcpTable
from ringback.sip.transport.udp import UdpSocket

_log = logging.getLogger(__name__)

_LATE_NS = 1_000_000
"""A timer handle this close to its deadline is left alone."""


class SipBindFailed(ConfigError):
    """A listener's address is taken or not ours."""

    default_code = "sip-bind-failed"


class SipDriver:
    """One SIP user agent with its sockets.

    State: usable between `start` and `close`. `close` ends no call politely.
    Args:
        on_event: Takes each event, on the loop; must not block.
        on_trace: Takes each message, in or out, repeats included; None saves the work.
        is_trusted: Whether a source address is known: it meets no rate and no scanner check. None trusts loopback.
        on_register: Takes each REGISTER, as `on_event`; None refuses them with 405.
        on_closed: Takes the flow of each connection that was closed, but for those that `close` closes.
        kept_connections: Connections that stay open without traffic, besides those of dialogs.
    """

    def __init__(
        self,
        settings: SipSettings,
        *,
        on_event: Callable[[InviteEvent], None],
        on_trace: Callable[[SipTrace], None] | None = None,
        is_trusted: Callable[[str], bool] | None = None,
        on_register: Callable[[RegisterReceived], None] | None = None,
        on_closed: Callable[[Flow], None] = lambda _flow: None,
        kept_connections: Callable[[], set[int]] = set,
    ) -> None:
        self._settings = settings
        self._on_event = on_event
        self._on_register = on_register
        self._on_closed = on_closed
        self._kept_connections = kept_connections
        self._on_trace = on_trace
        self._endpoint = Endpoint(
            settings,
            ids.new_token,
            ids.chance,
            is_trusted=is_trusted,
            is_traced=on_trace is not None,
            is_registrar=on_register is not None,
        )
        self._udp: dict[HostPort, UdpSocket] = {}
        self._tcp = TcpTable(settings, self._message, self._send_failed, self._connections_in_use, self._closed)
        self._resolver = Resolver(settings, ids.chance)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = 0
        self._is_pumping = False
        self._is_pump_due = False
        self._is_closed = False

    @property
    def listeners(self) -> tuple[Listener, ...]:
        """Return the bound listeners with their real ports."""
        return self._endpoint.listeners

    @property
    def counters(self) -> SipCounters:
        """Return what was refused or dropped, and how often."""
        return self._endpoint.counters

    @property
    def idle(self) -> bool:
        """Return whether no call, dialog, transaction or timer is left; open connections do not count."""
        return self._endpoint.is_idle

    @property
    def call_count(self) -> int:
        """Return the number of calls in any state."""
        return self._endpoint.call_count

    @property
    def transaction_count(self) -> int:
        """Return the number of transactions of both sides."""
        return self._endpoint.transactions.client_count + self._endpoint.transactions.server_count

    @property
    def connection_count(self) -> int:
        """Return the number of connections, open and opening."""
        return len(self._tcp)

    async def start(self) -> None:
        """Bind all listeners.

        Raises:
            SipBindFailed: an address is taken or not ours; nothing stays bound.
        """
        self._loop = asyncio.get_running_loop()
        try:
            for host, port in self._settings.udp_listeners:
                udp = UdpSocket(self._datagram, self._send_failed)
                await self._bind(
                    host, port, Transport.UDP, udp.open(host, port, self._settings.udp_receive_buffer_bytes)
                )
                self._udp[udp.local] = udp
                self._add_listener(Transport.UDP, udp.local)
            for host, port in self._settings.tcp_listeners:
                bound: list[HostPort] = []
                await self._bind(host, port, Transport.TCP, self._listen(host, port, bound))
                self._add_listener(Transport.TCP, bound[0])
        except SipBindFailed:
            await self.close()
            raise

    async def close(self) -> None:
        """Close every socket and forget every timer; calls are not hung up."""
        self._is_closed = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for udp in self._udp.values():
            udp.close()
        await self._tcp.close()

    def set_draining(self, draining: bool) -> None:
        """Answer new INVITE and OPTIONS with 503 from now on, or no longer."""
        self._endpoint.is_draining = draining

    def set_unready(self, unready: bool) -> None:
        """Answer OPTIONS with 503 from now on, or no longer: a proxy in front then sends calls elsewhere."""
        self._endpoint.is_unready = unready

    async def resolve(self, uri: str) -> tuple[Target, ...]:
        """Return where requests to `uri` go, in the order to try (RFC 3263), by the listeners we have.

        Raises:
            MalformedSip: the URI cannot be read.
            TargetNotFound: it leads to no address that we can send to.
        """
        transports = tuple(dict.fromkeys(entry.transport for entry in self.listeners))
        families = {is_ipv6(entry.host) for entry in self.listeners}
        kinds = tuple(kind for kind, ipv6 in ((DnsKind.A, False), (DnsKind.AAAA, True)) if ipv6 in families)
        return await self._resolver.resolve(uri, transports, kinds)

    # Verbs.

    def invite(self, outbound: OutboundInvite) -> InviteId:
        """Place a call and return its id.

        Raises:
            UnsafeHeader: a value of `outbound` cannot be sent.
            LimitReached: the table of calls is full.
        """
        invite_id = self._endpoint.invite(clock.now(), outbound)
        self._pump_soon()
        return invite_id

    def progress(self, invite_id: InviteId, status: int, sdp: bytes | None = None, headers: HeaderLines = ()) -> bool:
        """Send a provisional response to an incoming call; it is repeated every minute.

        Raises:
            InvalidParameter: `status` is not 1xx, or a header cannot be sent.
        """
        return self._done(self._endpoint.progress(clock.now(), invite_id, status, sdp, headers))

    def answer(self, invite_id: InviteId, sdp: bytes, headers: HeaderLines = ()) -> bool:
        """Answer an incoming call; `sdp` is the answer, or our offer if the INVITE had none.

        Raises:
            InvalidParameter: a header cannot be sent.
        """
        return self._done(self._endpoint.answer(clock.now(), invite_id, sdp, headers))

    def reject(self, invite_id: InviteId, status: int, reason: str = "", headers: HeaderLines = ()) -> bool:
        """Refuse an incoming call.

        Raises:
            InvalidParameter: `status` is not 3xx to 6xx, or a header cannot be sent.
        """
        return self._done(self._endpoint.reject(clock.now(), invite_id, status, reason, headers))

    def challenge(self, invite_id: InviteId, challenges: tuple[str, ...]) -> bool:
        """Refuse an incoming call with 407: its caller is to send it again with credentials."""
        return self._done(self._endpoint.challenge(clock.now(), invite_id, challenges))

    def reply(self, asked_id: AskedId, status: int, reason: str = "", headers: HeaderLines = ()) -> bool:
        """Answer a `RegisterReceived`.

        Raises:
            InvalidParameter: `status` is not final, or a header cannot be sent.
        """
        return self._done(self._endpoint.reply(clock.now(), asked_id, status, reason, headers))

    def ignore(self, asked_id: AskedId) -> bool:
        """Never answer a `RegisterReceived`."""
        return self._done(self._endpoint.ignore(clock.now(), asked_id))

    def dialog_of(self, invite_id: InviteId) -> Dialog | None:
        """Return the dialog of a call that is answered, or `None`."""
        return self._endpoint.dialog_of(invite_id)

    def leave(self, dialog: Dialog, reason_header: str = "") -> bool:
        """Send BYE in a dialog of an earlier process; `False` when no listener reaches its peer.

        Raises:
            RingbackError: the dialog cannot be used.
        """
        return self._done(self._endpoint.leave(clock.now(), dialog, reason_header))

    def drop(self, invite_id: InviteId) -> bool:
        """Forget an incoming call without ever answering it."""
        return self._done(self._endpoint.drop(clock.now(), invite_id))

    def hangup(self, invite_id: InviteId, reason_header: str = "", headers: HeaderLines = ()) -> bool:
        """End a call by BYE, CANCEL or 480, as its state needs; idempotent.

        Raises:
            InvalidParameter: a header cannot be sent.
        """
        return self._done(self._endpoint.hangup(clock.now(), invite_id, reason_header, headers))

    def ack_with(self, invite_id: InviteId, sdp: bytes) -> bool:
        """Answer the offer that a 200 brought, to our call or to our re-INVITE without one."""
        return self._done(self._endpoint.ack_with(clock.now(), invite_id, sdp))

    def reoffer(self, invite_id: InviteId, sdp: bytes | None) -> bool:
        """Send a re-INVITE with our offer, or without one to get the peer's; one at a time."""
        return self._done(self._endpoint.reoffer(clock.now(), invite_id, sdp))

    def accept_reoffer(self, invite_id: InviteId, sdp: bytes) -> bool:
        """Answer 200 to the peer's re-INVITE."""
        return self._done(self._endpoint.accept_reoffer(clock.now(), invite_id, sdp))

    def refuse_reoffer(self, invite_id: InviteId, status: int, reason: str = "") -> bool:
        """Refuse the peer's re-INVITE; the session goes on as before.

        Raises:
            InvalidParameter: `status` is not 3xx to 6xx.
        """
        return self._done(self._endpoint.refuse_reoffer(clock.now(), invite_id, status, reason))

    def send_info(self, invite_id: InviteId, content_type: str, body: bytes) -> bool:
        """Send INFO inside a confirmed call."""
        return self._done(self._endpoint.send_info(clock.now(), invite_id, content_type, body))

    # Sockets.

    async def _listen(self, host: str, port: int, bound: list[HostPort]) -> None:
        bound.append(await self._tcp.listen(host, port))

    async def _bind(self, host: str, port: int, transport: Transport, binding: Coroutine[None, None, None]) -> None:
        try:
            await binding
        except OSError as error:
            # uvloop tells the number alone.
            reason = os.strerror(error.errno).lower() if error.errno else str(error)
            raise SipBindFailed(
                f"could not bind SIP {transport.value} {host}:{port}: {reason}",
                hint="stop the program that uses the port, or set another one with --sip HOST:PORT",
            ) from error

    def _add_listener(self, transport: Transport, local: HostPort) -> None:
        listener = Listener(transport, *local, interface_host(local[0]), local[1])
        self._endpoint.listeners = (*self._endpoint.listeners, listener)

    def _datagram(self, flow: Flow, payload: bytes) -> None:
        self._take(DatagramArrived(flow, payload))

    def _message(self, flow: Flow, message: SipMessage | SipParseError) -> None:
        self._take(MessageArrived(flow, message))

    def _connections_in_use(self) -> set[int]:
        return self._endpoint.connections_in_use() | self._kept_connections()

    def _closed(self, flow: Flow) -> None:
        if not self._is_closed:
            self._on_closed(flow)

    def _send_failed(self, sender: Hashable) -> None:
        # Reported from inside a send, which may be inside the pump: the endpoint hears of it in the next turn.
        if self._loop is not None and not self._is_closed:
            self._loop.call_soon(self._take, SendFailed(sender))

    def _take(self, event: EndpointInput) -> None:
        if self._is_closed:
            return
        try:
            self._endpoint.handle_input(clock.now(), event)
        except Exception:
            # A broken promise of ours costs this message, never the endpoint.
            _log.exception("sip input failed", extra={"input": type(event).__name__})
        self._pump()

    def _send(self, transmit: Transmit) -> None:
        to = transmit.to
        if to.transport is not Transport.UDP:
            self._tcp.send(transmit)
        elif isinstance(to, Flow):
            udp = self._udp.get(to.local)
            if udp is not None:
                udp.send(transmit.payload, to.remote, transmit.sender)
            elif transmit.sender is not None:
                self._send_failed(transmit.sender)

    # The loop.

    def _done(self, took_effect: bool) -> bool:
        self._pump_soon()
        return took_effect

    def _pump_soon(self) -> None:
        if not self._is_pumping and not self._is_pump_due and self._loop is not None:
            self._is_pump_due = True
            self._loop.call_soon(self._pump_due)

    def _pump_due(self) -> None:
        self._is_pump_due = False
        self._pump()

    def _pump(self) -> None:
        if self._is_pumping or self._is_closed:
            return
        self._is_pumping = True
        try:
            while (output := self._endpoint.poll_output()) is not None:
                try:
                    if isinstance(output, Transmit):
                        self._send(output)
                    elif isinstance(output, SipTrace):
                        if self._on_trace is not None:
                            self._on_trace(output)
                    elif isinstance(output, RegisterReceived):
                        if self._on_register is not None:
                            self._on_register(output)
                    else:
                        self._on_event(output)
                except Exception:
                    _log.exception("sip output failed", extra={"output": type(output).__name__})
        finally:
            self._is_pumping = False
        self._rearm()

    def _rearm(self) -> None:
        deadline = self._endpoint.poll_timeout()
        if deadline is None or self._loop is None:
            return
        if self._timer is not None:
            if self._timer_at <= deadline + _LATE_NS:
                return
            self._timer.cancel()
        self._timer_at = deadline
        delay_ns = max(0, deadline - clock.now())
        self._timer = self._loop.call_later(delay_ns / 1_000_000_000, self._timeout)

    def _timeout(self) -> None:
        self._timer = None
        if self._is_closed:
            return
        try:
            self._endpoint.handle_timeout(clock.now())
        except Exception:
            _log.exception("sip timer failed")
        self._pump()


def interface_host(host: str) -> str:
    """Return the address that peers see of a socket: its own, or for a wildcard that of the default route."""
    if host not in ("0.0.0.0", "::"):
        return host
    family, far = (socket.AF_INET6, "2001:db8::1") if is_ipv6(host) else (socket.AF_INET, "192.0.2.1")
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((far, 9))  # sends nothing
        except OSError:
            return "::1" if is_ipv6(host) else "127.0.0.1"
        return str(probe.getsockname()[0])
