"""The sans-IO SIP endpoint: messages and timers in; transmissions, events and traces out.

Loop contract (see `ringback.machine`): `handle_input` or a verb or `handle_timeout`, then `poll_output` until it
returns None, then `poll_timeout`. `transport.driver.SipDriver` is that loop; rooms above use its verbs, which are the
verbs here without `now`.

A verb returns whether it took effect: a call that has ended meanwhile is no error, its `InviteEnded` is on the way.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Protocol

from ringback.errors import InvalidParameter, LimitReached
from ringback.machine import Instant
from ringback.sip.address import NameAddr
from ringback.sip.asked import AskedId, AskedRequest, RegisterReceived
from ringback.sip.dialog import Dialog, DialogId, MalformedDialog, dialog_id_of, dialog_of_uas
from ringback.sip.digest import Credentials, DigestClient
from ringback.sip.errors import MalformedSip
from ringback.sip.flow import Flow, Listener, Target, Transmit, Transport
from ringback.sip.header_fields import application_header
from ringback.sip.headers.content_type import parse_media_type
from ringback.sip.invite.body import SDP_TYPE, sdp_of
from ringback.sip.invite.dialog_usage import DialogRequest
from ringback.sip.invite.events import (
    Answered,
    CancelReceived,
    Confirmed,
    EndDetail,
    HungUp,
    InfoAnswered,
    InfoReceived,
    InviteEnded,
    InviteEvent,
    InviteReceived,
    Progressed,
    Refused,
    ReofferAnswered,
    ReofferConfirmed,
    Reoffered,
    ReofferRefused,
)
from ringback.sip.invite.forked import ForkedCall
from ringback.sip.invite.host import ALLOW, SUPPORTED, DialogOwner, Path
from ringback.sip.invite.incoming import IncomingCall
from ringback.sip.invite.outgoing import OutgoingCall
from ringback.sip.invite.values import Fork, HeaderLines, InviteId, OutboundInvite
from ringback.sip.message import SipMessage, SipRequest, SipResponse, response_to
from ringback.sip.parser import SipParseError, is_keep_alive, parse_message
from ringback.sip.paths import path_back, path_of, path_to
from ringback.sip.policy import SourceRates, is_scanner, listener_for
from ringback.sip.settings import SipSettings
from ringback.sip.timers import TimerHeap
from ringback.sip.trace import SipTrace, TraceBook
from ringback.sip.transaction.layer import TransactionLayer, TransactionTableFull
from ringback.sip.transaction.server import ServerTransaction, Unattended
from ringback.sip.uri import SipUri

__all__ = [
    "Answered",
    "AskedId",
    "CancelReceived",
    "Confirmed",
    "Credentials",
    "DatagramArrived",
    "EndDetail",
    "Endpoint",
    "Flow",
    "Fork",
    "HeaderLines",
    "HungUp",
    "InfoAnswered",
    "InfoReceived",
    "InviteEnded",
    "InviteEvent",
    "InviteId",
    "InviteReceived",
    "Listener",
    "MessageArrived",
    "NameAddr",
    "OutboundInvite",
    "Progressed",
    "Refused",
    "RegisterReceived",
    "ReofferAnswered",
    "ReofferConfirmed",
    "ReofferRefused",
    "Reoffered",
    "SendFailed",
    "SipCounters",
    "SipTrace",
    "Target",
    "Transport",
]  # fmt: skip - one public face: rooms above import SIP names from here

RECENT_CALLS = 1_024
"""Ended calls whose late messages are still traced under their id, at least."""


@dataclass(frozen=True, slots=True)
class DatagramArrived:
    """Input: one UDP datagram."""

    flow: Flow
    payload: bytes


@dataclass(frozen=True, slots=True)
class MessageArrived:
    """Input: one message, or one refused message, that the framer of a connection has cut out."""

    flow: Flow
    message: SipMessage | SipParseError


@dataclass(frozen=True, slots=True)
class SendFailed:
    """Input: a `Transmit` with this `sender` could not be carried out."""

    sender: Hashable


EndpointInput = DatagramArrived | MessageArrived | SendFailed
EndpointOutput = Transmit | InviteEvent | RegisterReceived | SipTrace


@dataclass(slots=True)
class SipCounters:
    """What was refused or dropped, and how often."""

    malformed: int = 0
    scanners: int = 0
    over_rate: int = 0
    stray_responses: int = 0
    stray_acks: int = 0
    overloads: int = 0


_CSEQ_MARGIN = 10_000
"""How far above the number that was written down a BYE of another process is; peers take any larger number."""


class _Call(DialogOwner, Protocol):
    """What `IncomingCall` and `OutgoingCall` have in common."""

    def progress(self, now: Instant, status: int, sdp: bytes | None, headers: HeaderLines) -> bool: ...
    def answer(self, now: Instant, sdp: bytes, headers: HeaderLines) -> bool: ...
    def reject(self, now: Instant, status: int, reason: str, headers: HeaderLines) -> bool: ...
    def hangup(self, now: Instant, headers: HeaderLines) -> bool: ...
    def drop(self, now: Instant) -> bool: ...
    def ack_with(self, now: Instant, sdp: bytes) -> bool: ...
    def reoffer(self, now: Instant, sdp: bytes | None) -> bool: ...
    def accept_reoffer(self, now: Instant, sdp: bytes) -> bool: ...
    def refuse_reoffer(self, now: Instant, status: int, reason: str) -> bool: ...
    def send_info(self, now: Instant, content_type: str, body: bytes) -> bool: ...
    def dialog(self) -> Dialog | None: ...


class Endpoint:
    """One SIP user agent on one or more listeners.

    Args:
        new_token: Fresh randomness of at least 64 bits, in token characters: tags, branches, Call-IDs, ids.
        chance: Random numbers in [0, 1): back-off and Retry-After.
        is_trusted: Whether a source address is known (a trunk): no rate, no scanner check. None trusts loopback alone.
        is_traced: Whether `SipTrace` outputs are wanted.
        is_registrar: Whether REGISTER is taken and reported; else it gets 405.
    """

    def __init__(
        self,
        settings: SipSettings,
        new_token: Callable[[], str],
        chance: Callable[[], float],
        *,
        is_trusted: Callable[[str], bool] | None = None,
        is_traced: bool = False,
        is_registrar: bool = False,
    ) -> None:
        self.settings = settings
        self.timers = TimerHeap()
        self.transactions = TransactionLayer(settings, self.timers, self.transmit)
        self.counters = SipCounters()
        self.listeners: tuple[Listener, ...] = ()
        self.is_draining = False
        self.is_unready = False
        self._new_token = new_token
        self._chance = chance
        self._is_trusted = is_trusted or _is_loopback
        self._traces = TraceBook(settings.max_invites + RECENT_CALLS) if is_traced else None
        self._rates = SourceRates(settings.source_rate_per_s, settings.source_burst, settings.max_sources)
        self._outputs: deque[EndpointOutput] = deque()
        self._calls: dict[InviteId, _Call] = {}
        self._dialogs: dict[DialogId, DialogOwner] = {}
        self._asked: dict[AskedId, AskedRequest] = {}
        self._is_registrar = is_registrar
        self._arrived: tuple[Flow, SipMessage] | None = None

    # What it holds.

    @property
    def call_count(self) -> int:
        """Return the number of calls in any state."""
        return len(self._calls)

    @property
    def dialog_count(self) -> int:
        """Return the number of dialogs, early ones included."""
        return len(self._dialogs)

    @property
    def is_idle(self) -> bool:
        """Return whether no call, dialog, transaction or timer is left."""
        layer = self.transactions
        tables = (self._calls, self._dialogs, self._asked, self.timers)
        return not any(len(table) for table in tables) and not (
            layer.client_count or layer.server_count or layer.merge_count
        )

    def connections_in_use(self) -> set[int]:
        """Return the connections that dialogs speak over: those are kept open without traffic."""
        return {connection for owner in self._dialogs.values() for connection in owner.connections()}

    # The loop contract.

    def handle_input(self, now: Instant, event: EndpointInput) -> None:
        """Take one input; never blocks, never performs I/O."""
        if isinstance(event, DatagramArrived):
            if is_keep_alive(event.payload):
                return
            try:
                message = parse_message(event.payload)
            except SipParseError as error:
                self._refuse_malformed(now, event.flow, error)
                return
            self._receive(now, event.flow, message)
        elif isinstance(event, MessageArrived):
            if isinstance(event.message, SipParseError):
                self._refuse_malformed(now, event.flow, event.message)
            else:
                self._receive(now, event.flow, event.message)
        else:
            self.transactions.fail_transport(now, event.sender)

    def handle_timeout(self, now: Instant) -> None:
        """Fire every timer that is due at `now`."""
        while (due := self.timers.pop_due(now)) is not None:
            owner, timer = due
            owner.handle_timer(now, timer)

    def poll_output(self) -> EndpointOutput | None:
        """Return the next output, or None when all have been taken."""
        return self._outputs.popleft() if self._outputs else None

    def poll_timeout(self) -> Instant | None:
        """Return the earliest deadline, or None when no timer is armed."""
        return self.timers.next_deadline()

    # Verbs.

    def invite(self, now: Instant, outbound: OutboundInvite) -> InviteId:
        """Place a call and return its id.

        Raises:
            UnsafeHeader: a value of `outbound` cannot be sent.
            LimitReached: the table of calls is full.
        """
        if len(self._calls) >= self.settings.max_invites:
            raise LimitReached(f"{len(self._calls)} calls, no more are allowed", code="too-many-calls")
        invite_id = InviteId(self.new_token())
        call = ForkedCall(self, invite_id, outbound) if outbound.forks else OutgoingCall(self, invite_id, outbound)
        self._calls[invite_id] = call
        if self._traces is not None:
            for call_id, from_tag in call.names():
                self._traces.name(call_id, from_tag, invite_id)
        call.start(now)
        return invite_id

    def progress(
        self,
        now: Instant,
        invite_id: InviteId,
        status: int,
        sdp: bytes | None = None,
        headers: HeaderLines = (),
    ) -> bool:
        """Send a provisional response to an incoming call; it is repeated every minute.

        Raises:
            InvalidParameter: `status` is not 1xx, or a header cannot be sent.
        """
        _require_status(status, 100, 199)
        call = self._calls.get(invite_id)
        return call is not None and call.progress(now, status, sdp, _checked(headers))

    def answer(self, now: Instant, invite_id: InviteId, sdp: bytes, headers: HeaderLines = ()) -> bool:
        """Answer an incoming call; `sdp` is the answer, or our offer if the INVITE had none.

        Raises:
            InvalidParameter: a header cannot be sent.
        """
        call = self._calls.get(invite_id)
        return call is not None and call.answer(now, sdp, _checked(headers))

    def reject(
        self, now: Instant, invite_id: InviteId, status: int, reason: str = "", headers: HeaderLines = ()
    ) -> bool:
        """Refuse an incoming call; an empty `reason` means the registered phrase.

        Raises:
            InvalidParameter: `status` is not 3xx to 6xx, or a header cannot be sent.
        """
        _require_status(status, 300, 699)
        call = self._calls.get(invite_id)
        return call is not None and call.reject(now, status, reason, _checked(headers))

    def challenge(self, now: Instant, invite_id: InviteId, challenges: tuple[str, ...]) -> bool:
        """Refuse an incoming call with 407: its caller is to send it again with credentials."""
        call = self._calls.get(invite_id)
        lines = tuple(("proxy-authenticate", value) for value in challenges)
        return call is not None and call.reject(now, 407, "", lines)

    def reply(self, now: Instant, asked_id: AskedId, status: int, reason: str = "", headers: HeaderLines = ()) -> bool:
        """Answer a `RegisterReceived`; every header of a registrar may be among `headers`.

        Raises:
            InvalidParameter: `status` is not final, or a header cannot be sent.
        """
        _require_status(status, 200, 699)
        asked = self._asked.get(asked_id)
        if asked is not None:
            asked.reply(now, status, reason, headers)
        return asked is not None

    def ignore(self, now: Instant, asked_id: AskedId) -> bool:
        """Never answer a `RegisterReceived`. For hostile sources."""
        asked = self._asked.get(asked_id)
        if asked is not None:
            asked.ignore(now)
        return asked is not None

    def hangup(self, now: Instant, invite_id: InviteId, reason_header: str = "", headers: HeaderLines = ()) -> bool:
        """End a call by BYE, CANCEL (held until the first response) or 480, as its state needs; idempotent.

        Args:
            reason_header: Value of the Reason header, such as `Q.850;cause=16`.
        Raises:
            InvalidParameter: a header cannot be sent.
        """
        lines = (*((("reason", reason_header),) if reason_header else ()), *headers)
        call = self._calls.get(invite_id)
        return call is not None and call.hangup(now, _checked(lines))

    def dialog_of(self, invite_id: InviteId) -> Dialog | None:
        """Return the dialog of a call that is answered, or `None`."""
        call = self._calls.get(invite_id)
        return call.dialog() if call is not None else None

    def leave(self, now: Instant, dialog: Dialog, reason_header: str = "") -> bool:
        """Send BYE in a dialog of an earlier process, known from what that wrote down; its answer changes nothing.

        The number of the request is far above the last that was written down: requests since then were not.
        """
        flow = dialog.flow
        listener = listener_for(self.listeners, flow.transport, flow.remote[0])
        if listener is None:
            return False
        dialog.flow = Flow(flow.transport, (listener.host, listener.port), flow.remote)
        dialog.local_cseq += _CSEQ_MARGIN
        headers = (("reason", reason_header),) if reason_header else ()
        digest = DigestClient(self.new_token)
        DialogRequest(self, dialog, digest, (), "BYE", headers, b"", _nobody_asks).send(now)
        return True

    def drop(self, now: Instant, invite_id: InviteId) -> bool:
        """Forget an incoming call without ever answering it; its repeats are absorbed. For hostile sources."""
        call = self._calls.get(invite_id)
        return call is not None and call.drop(now)

    def ack_with(self, now: Instant, invite_id: InviteId, sdp: bytes) -> bool:
        """Answer the offer that a 200 brought, to our call or to our re-INVITE without one."""
        call = self._calls.get(invite_id)
        return call is not None and call.ack_with(now, sdp)

    def reoffer(self, now: Instant, invite_id: InviteId, sdp: bytes | None) -> bool:
        """Send a re-INVITE with our offer, or without one to get the peer's; one at a time."""
        call = self._calls.get(invite_id)
        return call is not None and call.reoffer(now, sdp)

    def accept_reoffer(self, now: Instant, invite_id: InviteId, sdp: bytes) -> bool:
        """Answer 200 to the peer's re-INVITE; `sdp` is the answer, or our offer if it had none."""
        call = self._calls.get(invite_id)
        return call is not None and call.accept_reoffer(now, sdp)

    def refuse_reoffer(self, now: Instant, invite_id: InviteId, status: int, reason: str = "") -> bool:
        """Refuse the peer's re-INVITE; the session goes on as before.

        Raises:
            InvalidParameter: `status` is not 3xx to 6xx.
        """
        _require_status(status, 300, 699)
        call = self._calls.get(invite_id)
        return call is not None and call.refuse_reoffer(now, status, reason)

    def send_info(self, now: Instant, invite_id: InviteId, content_type: str, body: bytes) -> bool:
        """Send INFO inside a confirmed call; `InfoAnswered` follows."""
        call = self._calls.get(invite_id)
        return call is not None and call.send_info(now, content_type, body)

    # What calls and transactions need (`InviteHost`).

    def emit(self, event: InviteEvent) -> None:
        """Queue an event for the owner."""
        if not isinstance(event, InviteReceived):
            self._trace_arrived()
        self._outputs.append(event)

    def transmit(self, transmit: Transmit) -> None:
        """Queue a message for the shell."""
        if self._traces is not None:
            self._trace_arrived()
            self._outputs.append(self._traces.sent(transmit))
        self._outputs.append(transmit)

    def new_token(self) -> str:
        """Return fresh randomness for tags and branches."""
        return self._new_token()

    def chance(self) -> float:
        """Return a random number in [0, 1)."""
        return self._chance()

    def path_to(self, target: Target) -> Path | None:
        """Return the way to a target, or None when no listener of ours speaks its transport and address family."""
        return path_to(self.listeners, self.settings, target)

    def path_of(self, dialog: Dialog) -> Path:
        """Return the way of requests inside a dialog."""
        return path_of(self.listeners, self.settings, dialog)

    def respond(
        self,
        now: Instant,
        transaction: ServerTransaction,
        status: int,
        reason: str = "",
        headers: HeaderLines = (),
        body: bytes = b"",
        to_tag: str = "",
    ) -> SipResponse:
        """Send a response with our Server header and return it."""
        request = transaction.request
        if not to_tag and status > 100 and request.to.tag is None:
            to_tag = transaction.local_tag or self._new_token()
        lines = (("server", self.settings.user_agent), *headers)
        response = response_to(request, status, reason or None, to_tag or None, lines, body)
        transaction.respond(now, response)
        return response

    def add_dialog(self, dialog_id: DialogId, owner: DialogOwner) -> None:
        """Route requests inside a dialog to `owner`."""
        self._dialogs[dialog_id] = owner

    def remove_dialog(self, dialog_id: DialogId) -> None:
        """Stop routing requests inside a dialog."""
        self._dialogs.pop(dialog_id, None)

    def forget_invite(self, invite_id: InviteId) -> None:
        """Give the id up."""
        self._calls.pop(invite_id, None)

    def forget_asked(self, asked_id: AskedId) -> None:
        """Give the id up."""
        self._asked.pop(asked_id, None)

    # Messages.

    def _receive(self, now: Instant, flow: Flow, message: SipMessage) -> None:
        if self._traces is not None:
            self._arrived = (flow, message)
        try:
            if isinstance(message, SipRequest):
                self._receive_request(now, flow, message)
            elif not self.transactions.receive_response(now, message, flow):
                self.counters.stray_responses += 1
        finally:
            self._trace_arrived()

    def _receive_request(self, now: Instant, flow: Flow, request: SipRequest) -> None:
        request.headers.set_first_value("via", str(request.via.with_source(*flow.remote)))
        if self.transactions.receive_request(now, request, flow):
            return
        owner = self._dialogs.get(dialog_id_of(request)) if request.to.tag is not None else None
        if request.method == "ACK":
            if owner is None:
                self.counters.stray_acks += 1
            else:
                owner.receive_ack(now, request)
            return
        if owner is None and not self._admits(now, flow, request):
            self._arrived = None
            return
        is_merged = self.transactions.is_merged(request)
        try:
            transaction = self.transactions.start_server(
                now, request, flow, Unattended(), _return_target(flow, request)
            )
        except TransactionTableFull:
            self.counters.overloads += 1
            self._respond_statelessly(flow, request, 503, self._retry_after())
            return
        if request.method == "CANCEL":
            self._cancel(now, transaction)
        elif is_merged:
            self.respond(now, transaction, 482)
        elif request.to.tag is not None and owner is None:
            self.respond(now, transaction, 481)
        elif not self._refuses_extensions(now, transaction):
            if owner is not None:
                owner.receive_in_dialog(now, transaction)
            else:
                self._open(now, transaction)

    def _open(self, now: Instant, transaction: ServerTransaction) -> None:
        """Answer a request outside any dialog (RFC 3261 §8.2); the parser has refused unknown schemes with 416."""
        request = transaction.request
        if request.method in ("BYE", "INFO"):
            self.respond(now, transaction, 481)
        elif request.method == "REGISTER" and self._is_registrar:
            self._ask(now, transaction)
        elif request.method not in ("INVITE", "OPTIONS"):
            self.respond(now, transaction, 405, headers=(("allow", ALLOW),))
        elif self.is_draining or (self.is_unready and request.method == "OPTIONS"):
            self.respond(now, transaction, 503, headers=self._retry_after())
        elif request.method == "OPTIONS":
            lines = (("allow", ALLOW), ("accept", SDP_TYPE), ("supported", SUPPORTED))
            self.respond(now, transaction, 200, headers=lines)
        elif not _accepts_sdp(request):
            self.respond(now, transaction, 406)
        elif len(self._calls) >= self.settings.max_invites:
            self.counters.overloads += 1
            self.respond(now, transaction, 503, headers=self._retry_after())
        else:
            self._open_call(now, transaction)

    def _ask(self, now: Instant, transaction: ServerTransaction) -> None:
        if len(self._asked) >= self.settings.max_asked:
            self.counters.overloads += 1
            self.respond(now, transaction, 503, headers=self._retry_after())
            return
        asked_id = AskedId(self._new_token())
        self._asked[asked_id] = AskedRequest(self, asked_id, transaction, now)
        self._trace_arrived()
        self._outputs.append(RegisterReceived(asked_id, transaction.request, transaction.flow))

    def _open_call(self, now: Instant, transaction: ServerTransaction) -> None:
        request, flow = transaction.request, transaction.flow
        try:
            offer = sdp_of(request)
            contact = path_back(self.listeners, self.settings, flow).contact(_user_of(request))
            dialog = dialog_of_uas(request, self._new_token(), contact, flow)
        except MalformedSip as error:
            self.respond(now, transaction, error.status or 400, headers=(("accept", SDP_TYPE),))
            return
        except MalformedDialog as error:
            self.respond(now, transaction, 400, _phrase(error.message))
            return
        invite_id = InviteId(self._new_token())
        call = IncomingCall(self, invite_id, transaction, dialog, offer)
        self._calls[invite_id] = call
        if self._traces is not None:
            self._traces.name(request.call_id, dialog.dialog_id.local_tag, invite_id)
            self._traces.name_next(invite_id)
        call.start(now)

    def _cancel(self, now: Instant, transaction: ServerTransaction) -> None:
        cancel = transaction.request
        invite = self.transactions.cancelled_by(cancel)
        if invite is None:
            self.respond(now, transaction, 481)
            return
        self.respond(now, transaction, 200, to_tag=invite.local_tag)
        if not invite.is_answered:
            invite.user.cancelled(now, invite, cancel)

    def _refuses_extensions(self, now: Instant, transaction: ServerTransaction) -> bool:
        request = transaction.request
        known = _REGISTRAR_TAGS if request.method == "REGISTER" and self._is_registrar else _SUPPORTED_TAGS
        unknown = [tag for tag in request.headers.all("require") if tag not in known]
        if not unknown:
            return False
        self.respond(now, transaction, 420, headers=(("unsupported", ", ".join(unknown)),))
        return True

    def _admits(self, now: Instant, flow: Flow, request: SipRequest) -> bool:
        if self._is_trusted(flow.remote[0]):
            return True
        if is_scanner(request.headers.get("user-agent"), self.settings.scanner_agents):
            self.counters.scanners += 1
            return False
        return self._is_within_rate(now, flow)

    def _is_within_rate(self, now: Instant, flow: Flow) -> bool:
        if self._rates.admits(now, flow.remote[0]):
            return True
        self.counters.over_rate += 1
        return False

    def _refuse_malformed(self, now: Instant, flow: Flow, error: SipParseError) -> None:
        self.counters.malformed += 1
        request, status = error.request, error.status
        if status is None or request is None or request.method == "ACK":
            return
        if not self._is_trusted(flow.remote[0]) and not self._is_within_rate(now, flow):
            return
        try:
            request.headers.set_first_value("via", str(request.via.with_source(*flow.remote)))
            self._respond_statelessly(flow, request, status, (), _phrase(error.message) if status == 400 else "")
        except (MalformedSip, InvalidParameter):
            return  # not even an answer can be built from it

    def _respond_statelessly(
        self, flow: Flow, request: SipRequest, status: int, headers: HeaderLines, reason: str = ""
    ) -> None:
        lines = (("server", self.settings.user_agent), *headers)
        response = response_to(request, status, reason or None, self._new_token(), lines)
        self.transmit(Transmit(response.to_bytes(), flow))

    def _retry_after(self) -> HeaderLines:
        low, high = self.settings.retry_after_min_s, self.settings.retry_after_max_s
        return (("retry-after", str(low + int(self._chance() * (high - low + 1)))),)

    def _trace_arrived(self) -> None:
        arrived = self._arrived
        if arrived is not None and self._traces is not None:
            self._arrived = None
            self._outputs.append(self._traces.arrived(*arrived))


_SUPPORTED_TAGS = frozenset(tag for tag in SUPPORTED.replace(" ", "").split(",") if tag)
_REGISTRAR_TAGS = _SUPPORTED_TAGS | {"path"}


def _nobody_asks(_now: Instant, _status: int, _response: SipResponse | None) -> None:
    """Take the answer to the BYE of a call that is no more."""


def _is_loopback(host: str) -> bool:
    return host.startswith("127.") or host == "::1"


def _return_target(flow: Flow, request: SipRequest) -> Target | None:
    """Return where to connect for a response when its connection has gone (RFC 3261 §18.2.2)."""
    if not flow.transport.is_reliable:
        return None
    return Target(flow.transport, flow.remote[0], request.via.port or 5060)


def _accepts_sdp(request: SipRequest) -> bool:
    accepted = request.headers.all("accept")
    if not accepted:
        return True
    for text in accepted:
        try:
            if parse_media_type(text).accepts(SDP_TYPE):
                return True
        except MalformedSip:
            continue
    return False


def _user_of(request: SipRequest) -> str:
    uri = request.uri
    return (uri.user or "") if isinstance(uri, SipUri) else ""


def _require_status(status: int, lowest: int, highest: int) -> None:
    if not lowest <= status <= highest:
        raise InvalidParameter(f"found status {status}, allowed is {lowest} to {highest}")


def _checked(headers: HeaderLines) -> HeaderLines:
    return tuple(application_header(name, value) for name, value in headers)


def _phrase(message: str) -> str:
    """Return an error's message as a reason phrase."""
    return f"Bad Request: {message}"[:120]
