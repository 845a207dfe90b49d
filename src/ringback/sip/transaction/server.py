"""Server transactions: INVITE and all other methods (RFC 3261 §17.2, RFC 6026, RFC 4320)."""

from __future__ import annotations

from enum import Enum
from typing import Protocol

from ringback.machine import Instant, after_ms
from ringback.sip.flow import Flow, Target, Transmit
from ringback.sip.message import SipRequest, SipResponse, response_to
from ringback.sip.timers import OwnedTimers, Timer
from ringback.sip.transaction.host import TransactionHost
from ringback.sip.transaction.keys import ServerKey
from ringback.sip.transaction.tables import INVITE_SERVER, SERVER, Effect, State, Trigger


class ServerFailure(Enum):
    """What went wrong after a response of ours."""

    NO_ACK = "no-ack"
    """No ACK came for a final response that is not 2xx."""
    TRANSPORT = "transport"
    """The response could not be sent."""


class ServerUser(Protocol):
    """The usage above a server transaction."""

    def acknowledged(self, now: Instant, transaction: ServerTransaction, ack: SipRequest) -> None:
        """Take an ACK for a 2xx that carries the branch of its INVITE."""

    def cancelled(self, now: Instant, transaction: ServerTransaction, cancel: SipRequest) -> None:
        """Learn of a CANCEL for this INVITE; the CANCEL itself has been answered."""

    def response_failed(self, now: Instant, transaction: ServerTransaction, failure: ServerFailure) -> None:
        """Learn that a response was not sent or not acknowledged."""

    def server_transaction_ended(self, now: Instant, transaction: ServerTransaction) -> None:
        """Learn that the transaction has left the table."""


class Unattended:
    """The usage of requests that are answered at once: nothing that happens later matters."""

    def acknowledged(self, now: Instant, transaction: ServerTransaction, ack: SipRequest) -> None:
        """Ignore it."""

    def cancelled(self, now: Instant, transaction: ServerTransaction, cancel: SipRequest) -> None:
        """Ignore it: the final response is out."""

    def response_failed(self, now: Instant, transaction: ServerTransaction, failure: ServerFailure) -> None:
        """Ignore it: the peer repeats its request or gives up."""

    def server_transaction_ended(self, now: Instant, transaction: ServerTransaction) -> None:
        """Ignore it."""


_TIMER_TRIGGERS = {
    Timer.TRYING: Trigger.TIMER_TRYING,
    Timer.G: Trigger.TIMER_G,
    Timer.H: Trigger.TIMER_H,
    Timer.I: Trigger.TIMER_I,
    Timer.J: Trigger.TIMER_J,
    Timer.L: Trigger.TIMER_L,
}


class ServerTransaction:
    """One request of the peer and our responses to it; `user` may be set by the usage after creation."""

    __slots__ = (
        "_host",
        "_interval_ms",
        "_last_response",
        "_timers",
        "fallback",
        "flow",
        "key",
        "local_tag",
        "machine",
        "request",
        "state",
        "user",
    )

    def __init__(
        self,
        host: TransactionHost,
        request: SipRequest,
        key: ServerKey,
        flow: Flow,
        user: ServerUser,
        fallback: Target | None,
    ) -> None:
        self.request = request
        self.key = key
        self.flow = flow
        self.user = user
        self.local_tag = ""  # of the usage, for the 200 to a CANCEL
        self.machine = INVITE_SERVER if request.method == "INVITE" else SERVER
        self.state = self.machine.initial
        self._host = host
        self.fallback = fallback
        self._timers = OwnedTimers(host.timers, self)
        self._interval_ms = host.settings.t1_ms
        self._last_response: bytes | None = None

    @property
    def is_answered(self) -> bool:
        """Return whether a final response has been sent."""
        return self.state not in (State.TRYING, State.PROCEEDING)

    def start(self, now: Instant) -> None:
        """Arm the timer for 100, if the request is an INVITE."""
        if self.machine is INVITE_SERVER:
            self._timers.arm(Timer.TRYING, after_ms(now, self._host.settings.trying_ms))

    def receive(self, now: Instant, request: SipRequest, flow: Flow) -> None:
        """Take a request that matched: a repeat, or an ACK."""
        self.flow = flow  # a peer behind NAT may have moved; answers follow it
        self._step(now, Trigger.ACK if request.method == "ACK" else Trigger.REQUEST, request=request)

    def respond(self, now: Instant, response: SipResponse) -> None:
        """Send a response of the usage; ignored where the machine has no place for it."""
        status = response.status
        if status < 200:
            trigger = Trigger.SEND_PROVISIONAL
        else:
            trigger = Trigger.SEND_SUCCESS if status < 300 else Trigger.SEND_FAILURE
        self._step(now, trigger, response=response)

    def ignore(self, now: Instant) -> None:
        """Give up answering an INVITE: its repeats are absorbed for 64 × T1."""
        self._step(now, Trigger.IGNORE)

    def handle_timer(self, now: Instant, timer: Timer) -> None:
        """Act on a timer that is due."""
        self._timers.fired(timer)
        self._step(now, _TIMER_TRIGGERS[timer])

    def fail_transport(self, now: Instant) -> None:
        """Learn that the last transmission failed."""
        self._step(now, Trigger.TRANSPORT_ERROR)

    def abandon(self, now: Instant) -> None:
        """Leave the table now: no response will be given."""
        if self.state is not State.TERMINATED:
            self._terminate(now)

    def _step(
        self,
        now: Instant,
        trigger: Trigger,
        *,
        request: SipRequest | None = None,
        response: SipResponse | None = None,
    ) -> None:
        transition = self.machine.table.get((self.state, trigger))
        if transition is None:
            return
        self.state = transition.state
        for effect in transition.effects:
            self._carry_out(now, effect, request, response)
        if transition.state is State.TERMINATED:
            self._terminate(now)

    def _terminate(self, now: Instant) -> None:
        self.state = State.TERMINATED
        self._timers.stop_all()
        self._host.forget_server(self.key)
        self.user.server_transaction_ended(now, self)

    def _carry_out(
        self, now: Instant, effect: Effect, request: SipRequest | None, response: SipResponse | None
    ) -> None:
        settings = self._host.settings
        timers = self._timers
        reliable = self.flow.transport.is_reliable
        if effect is Effect.SEND_RESPONSE:
            assert response is not None
            self._last_response = response.to_bytes()
            self._transmit(self._last_response)
        elif effect is Effect.SEND_TRYING:
            self._last_response = response_to(self.request, 100).to_bytes()
            self._transmit(self._last_response)
        elif effect is Effect.REPEAT_RESPONSE:
            if self._last_response is not None:
                self._transmit(self._last_response)
        elif effect is Effect.STOP_RESPONSE_TIMERS:
            for timer in (Timer.TRYING, Timer.G, Timer.H):
                timers.stop(timer)
        elif effect is Effect.START_G_H:
            if not reliable:
                timers.arm(Timer.G, after_ms(now, self._interval_ms))
            timers.arm(Timer.H, after_ms(now, 64 * settings.t1_ms))
        elif effect is Effect.REARM_G:
            self._interval_ms = min(self._interval_ms * 2, settings.t2_ms)
            timers.arm(Timer.G, after_ms(now, self._interval_ms))
        elif effect is Effect.START_I:
            timers.arm(Timer.I, after_ms(now, 0 if reliable else settings.t4_ms))
        elif effect is Effect.START_J:
            timers.arm(Timer.J, after_ms(now, 0 if reliable else 64 * settings.t1_ms))
        elif effect is Effect.START_L:
            timers.arm(Timer.L, after_ms(now, 64 * settings.t1_ms))
        elif effect is Effect.DELIVER_ACK:
            assert request is not None
            self.user.acknowledged(now, self, request)
        elif effect is Effect.TELL_NO_ACK:
            self.user.response_failed(now, self, ServerFailure.NO_ACK)
        elif effect is Effect.TELL_TRANSPORT_ERROR:
            self.user.response_failed(now, self, ServerFailure.TRANSPORT)
        else:  # pragma: no cover - the tables' test shows that servers use no other effect
            raise AssertionError(effect)

    def _transmit(self, payload: bytes) -> None:
        self._host.transmit(Transmit(payload, self.flow, self.key, self.fallback))
