"""Client transactions: INVITE and all other methods (RFC 3261 §17.1, RFC 6026, RFC 4320)."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from ringback.machine import Instant, after_ms
from ringback.sip.flow import Flow, Target, Transmit
from ringback.sip.header_fields import Headers
from ringback.sip.message import SipRequest, SipResponse
from ringback.sip.settings import SipSettings
from ringback.sip.timers import OwnedTimers, Timer
from ringback.sip.transaction.host import TransactionHost
from ringback.sip.transaction.keys import ClientKey
from ringback.sip.transaction.tables import CLIENT, INVITE_CLIENT, Effect, State, Trigger


class ClientFailure(Enum):
    """Why no final response will come."""

    TIMEOUT = "timeout"
    TRANSPORT = "transport"


class ClientUser(Protocol):
    """The usage above a client transaction."""

    def response_received(self, now: Instant, transaction: ClientTransaction, response: SipResponse) -> None:
        """Take a provisional response, the final one, or (INVITE only) a further 2xx."""

    def transaction_failed(self, now: Instant, transaction: ClientTransaction, failure: ClientFailure) -> None:
        """Learn that no final response will come; `transaction_ended` follows."""

    def transaction_ended(self, now: Instant, transaction: ClientTransaction) -> None:
        """Learn that the transaction has left the table."""


class UnattendedClient:
    """The usage of requests whose outcome changes nothing, such as CANCEL."""

    def response_received(self, now: Instant, transaction: ClientTransaction, response: SipResponse) -> None:
        """Ignore it."""

    def transaction_failed(self, now: Instant, transaction: ClientTransaction, failure: ClientFailure) -> None:
        """Ignore it."""

    def transaction_ended(self, now: Instant, transaction: ClientTransaction) -> None:
        """Ignore it."""


_TIMER_TRIGGERS = {
    Timer.A: Trigger.TIMER_A,
    Timer.B: Trigger.TIMER_B,
    Timer.D: Trigger.TIMER_D,
    Timer.E: Trigger.TIMER_E,
    Timer.F: Trigger.TIMER_F,
    Timer.K: Trigger.TIMER_K,
    Timer.M: Trigger.TIMER_M,
}


class ClientTransaction:
    """One request of ours and the responses to it.

    State: `start` once; afterwards the layer feeds responses, timers and transport errors.
    """

    __slots__ = (
        "_ack",
        "_fallback",
        "_host",
        "_interval_ms",
        "_payload",
        "_timeout_ms",
        "_timers",
        "_user",
        "destination",
        "flow",
        "key",
        "machine",
        "request",
        "state",
    )

    def __init__(
        self,
        host: TransactionHost,
        request: SipRequest,
        destination: Flow | Target,
        user: ClientUser,
        timeout_ms: int | None,
        fallback: Target | None,
    ) -> None:
        self.request = request
        self.destination = destination
        self.flow: Flow | None = None  # where the last response came from
        self.machine = INVITE_CLIENT if request.method == "INVITE" else CLIENT
        self.state = self.machine.initial
        self.key = ClientKey(request.via.branch, request.method)
        self._host = host
        self._fallback = fallback
        self._user = user
        self._timers = OwnedTimers(host.timers, self)
        self._timeout_ms = timeout_ms if timeout_ms is not None else 64 * host.settings.t1_ms
        self._interval_ms = host.settings.t1_ms
        self._payload = request.to_bytes()
        self._ack: bytes | None = None

    @property
    def is_invite(self) -> bool:
        """Return whether the request is an INVITE."""
        return self.machine is INVITE_CLIENT

    def start(self, now: Instant) -> None:
        """Send the request and arm its timers."""
        repeat, timeout = (Timer.A, Timer.B) if self.is_invite else (Timer.E, Timer.F)
        if not self.destination.transport.is_reliable:
            self._timers.arm(repeat, after_ms(now, self._interval_ms))
        self._timers.arm(timeout, after_ms(now, self._timeout_ms))
        self._transmit(self._payload)

    def receive(self, now: Instant, response: SipResponse, flow: Flow) -> None:
        """Take a response that matched."""
        self.flow = flow
        status = response.status
        trigger = Trigger.PROVISIONAL if status < 200 else Trigger.SUCCESS if status < 300 else Trigger.FAILURE
        self._step(now, trigger, response)

    def handle_timer(self, now: Instant, timer: Timer) -> None:
        """Act on a timer that is due."""
        self._timers.fired(timer)
        self._step(now, _TIMER_TRIGGERS[timer], None)

    def fail_transport(self, now: Instant) -> None:
        """Learn that the last transmission failed."""
        self._step(now, Trigger.TRANSPORT_ERROR, None)

    def abandon(self, now: Instant) -> None:
        """Leave the table now: the usage waits for nothing more."""
        if self.state is not State.TERMINATED:
            self._terminate(now)

    def _step(self, now: Instant, trigger: Trigger, response: SipResponse | None) -> None:
        transition = self.machine.table.get((self.state, trigger))
        if transition is None:
            return
        self.state = transition.state
        for effect in transition.effects:
            self._carry_out(now, effect, response)
        if transition.state is State.TERMINATED:
            self._terminate(now)

    def _terminate(self, now: Instant) -> None:
        self.state = State.TERMINATED
        self._timers.stop_all()
        self._host.forget_client(self.key)
        self._user.transaction_ended(now, self)

    def _carry_out(self, now: Instant, effect: Effect, response: SipResponse | None) -> None:
        settings = self._host.settings
        timers = self._timers
        reliable = self.destination.transport.is_reliable
        if effect is Effect.DELIVER:
            assert response is not None
            self._user.response_received(now, self, response)
        elif effect is Effect.SEND_ACK:
            assert response is not None
            if self._ack is None:
                self._ack = acknowledgement(self.request, response).to_bytes()
            self._transmit(self._ack)
        elif effect is Effect.REPEAT_REQUEST:
            self._transmit(self._payload)
            if self.is_invite:
                self._interval_ms *= 2
                timers.arm(Timer.A, after_ms(now, self._interval_ms))
            else:
                self._interval_ms = min(self._interval_ms * 2, settings.t2_ms)
                timers.arm(Timer.E, after_ms(now, self._interval_ms))
        elif effect is Effect.SLOW_REPEAT:
            self._interval_ms = settings.t2_ms
            if timers.is_armed(Timer.E):
                timers.arm(Timer.E, after_ms(now, settings.t2_ms))
        elif effect is Effect.STOP_REQUEST_TIMERS:
            for timer in (Timer.A, Timer.B, Timer.E, Timer.F):
                timers.stop(timer)
        elif effect is Effect.START_D:
            timers.arm(Timer.D, after_ms(now, 0 if reliable else max(32_000, 64 * settings.t1_ms)))
        elif effect is Effect.START_K:
            timers.arm(Timer.K, after_ms(now, 0 if reliable else settings.t4_ms))
        elif effect is Effect.START_M:
            timers.arm(Timer.M, after_ms(now, 64 * settings.t1_ms))
        elif effect is Effect.TELL_TIMEOUT:
            self._user.transaction_failed(now, self, ClientFailure.TIMEOUT)
        elif effect is Effect.TELL_TRANSPORT_ERROR:
            self._user.transaction_failed(now, self, ClientFailure.TRANSPORT)
        else:  # pragma: no cover - the tables' test shows that clients use no other effect
            raise AssertionError(effect)

    def _transmit(self, payload: bytes) -> None:
        self._host.transmit(Transmit(payload, self.destination, self.key, self._fallback))


def acknowledgement(invite: SipRequest, response: SipResponse) -> SipRequest:
    """Return the ACK of a final response that is not 2xx (RFC 3261 §17.1.1.3)."""
    sent = invite.headers
    headers = Headers()
    headers.add("via", sent.get("via") or "")
    headers.add("from", sent.get("from") or "")
    headers.add("to", response.headers.get("to") or "")
    headers.add("call-id", invite.call_id)
    headers.add("cseq", f"{invite.cseq.number} ACK")
    headers.add("max-forwards", "70")
    for name in ("route", "authorization", "proxy-authorization"):
        for value in sent.all(name):
            headers.add(name, value)
    return SipRequest("ACK", invite.uri_text, headers, b"")


def timeout_ms_for(settings: SipSettings, is_last_target: bool) -> int:
    """Return timer B or F of a request: short while another target is left to try."""
    return 64 * settings.t1_ms if is_last_target else settings.failover_timeout_ms
