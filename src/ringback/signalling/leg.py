"""The state machine of one leg: what it does on each trigger in each state, as one table.

Pure: `SipLeg` carries the effects out. A pair that is not in `TABLE` is in `IGNORED` with its reason; a test walks the
product.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from types import MappingProxyType
from typing import Final

from ringback.machine import Instant, Timers, after_ms
from ringback.signalling.events import LegEnd, LegEndKind
from ringback.sip.endpoint import InviteEvent


class State(Enum):
    """How far a leg is."""

    INCOMING = "incoming"
    """Inbound: an INVITE waits for its owner."""
    ALERTING = "alerting"
    """Inbound: 180 is sent."""
    OPENING = "opening"
    """Inbound: the owner wants to be heard before it answers; the media session is being opened."""
    EARLY = "early"
    """Inbound: 183 with our answer is sent; audio flows, nobody has answered."""
    ANSWERING = "answering"
    """Inbound: the owner answered; the media session is being opened."""
    ACCEPTED = "accepted"
    """Inbound: 200 with our answer is sent, its ACK has not come."""
    OFFERED = "offered"
    """Inbound: 200 with our offer is sent; the ACK will bring the answer."""
    CONCLUDING = "concluding"
    """Inbound: the answer came with the ACK and is being applied."""
    IDLE = "idle"
    """Outbound: made, not started."""
    RESOLVING = "resolving"
    """Outbound: addresses of the targets are being looked up."""
    PREPARING = "preparing"
    """Outbound: the media session is being opened for the offer."""
    DIALLING = "dialling"
    """Outbound: INVITE is sent."""
    RINGING = "ringing"
    """Outbound: a provisional response came."""
    AGREEING = "agreeing"
    """Outbound: a 2xx came; its SDP is being applied."""
    CONFIRMED = "confirmed"
    """Answered on both sides."""
    RELEASING = "releasing"
    """Over on SIP; the media session is being closed."""
    ENDED = "ended"
    """Nothing is left."""


class Trigger(Enum):
    """What can happen to a leg."""

    RING = "ring"
    EARLY_MEDIA = "early-media"
    ANSWER = "answer"
    REJECT = "reject"
    HANG_UP = "hang-up"
    DIAL = "dial"
    RESOLVED = "resolved"
    UNRESOLVED = "unresolved"
    MEDIA_READY = "media-ready"
    """The session is open, and set if there was an offer to answer."""
    OFFER_READY = "offer-ready"
    """The session is open and our offer is made, for an INVITE that brought none."""
    AGREED = "agreed"
    """The peer's answer is applied."""
    MEDIA_FAILED = "media-failed"
    CODEC_MISSING = "codec-missing"
    WORKER_LOST = "worker-lost"
    MEDIA_CLOSED = "media-closed"
    PROGRESSED = "progressed"
    ANSWERED = "answered"
    REFUSED = "refused"
    CANCELLED = "cancelled"
    ACKED = "acked"
    HUNG_UP = "hung-up"
    REOFFERED = "reoffered"
    RING_DUE = "ring-due"
    SETUP_DUE = "setup-due"
    RELEASE_DUE = "release-due"


class Effect(Enum):
    """What the driver does. `ARM_…` and `STOP_…` are carried out by the machine itself."""

    RESOLVE = "resolve"
    OPEN_MEDIA = "open-media"
    SEND_RINGING = "send-ringing"
    SEND_EARLY_MEDIA = "send-early-media"
    SEND_ANSWER = "send-answer"
    SEND_INVITE = "send-invite"
    APPLY_ANSWER = "apply-answer"
    APPLY_PROGRESS = "apply-progress"
    RENEGOTIATE = "renegotiate"
    REFUSE_REOFFER = "refuse-reoffer"
    REFUSE = "refuse"
    """Send the final response of `Leg.end`."""
    HANG_UP = "hang-up"
    CLOSE_MEDIA = "close-media"
    REPORT_ANSWERED = "report-answered"
    REPORT_CONFIRMED = "report-confirmed"
    REPORT_ENDED = "report-ended"
    ARM_RING = "arm-ring"
    STOP_RING = "stop-ring"
    ARM_SETUP = "arm-setup"
    STOP_SETUP = "stop-setup"
    ARM_RELEASE = "arm-release"


class Timer(Enum):
    """Deadlines of a leg."""

    RING = "ring"
    """Armed when dialling starts, stopped by a 2xx; firing cancels the call. From `DialRequest.ring_timeout_ms`."""
    SETUP = "setup"
    """Armed when a media session is asked for, stopped when it is there; firing refuses the call with 503. From
    `SignallingSettings.setup_limit_ms` (sip.md section 2)."""
    RELEASE = "release"
    """Armed when the leg is over on SIP, stopped by the end of its media session; firing reports the end without it.
    From `SignallingSettings.release_limit_ms`."""


TIMER_TRIGGERS: Final = MappingProxyType(
    {Timer.RING: Trigger.RING_DUE, Timer.SETUP: Trigger.SETUP_DUE, Timer.RELEASE: Trigger.RELEASE_DUE}
)
_TIMER_ENDS: Final = {
    Trigger.RING_DUE: LegEnd(LegEndKind.RING_TIMEOUT, detail="nobody answered in time"),
    Trigger.SETUP_DUE: LegEnd(LegEndKind.MEDIA_FAILED, 503, detail="no media session in time"),
}


@dataclass(frozen=True, slots=True)
class Next:
    """The state after a trigger and what is done on the way, in order."""

    state: State
    effects: tuple[Effect, ...] = ()


_E = Effect
_REFUSE = Next(State.RELEASING, (_E.REFUSE, _E.ARM_RELEASE, _E.CLOSE_MEDIA))
_HANG_UP = Next(State.RELEASING, (_E.HANG_UP, _E.ARM_RELEASE, _E.CLOSE_MEDIA))
_RELEASE = Next(State.RELEASING, (_E.ARM_RELEASE, _E.CLOSE_MEDIA))
_END = Next(State.ENDED, (_E.REPORT_ENDED,))

_WAITING = {
    Trigger.EARLY_MEDIA: Next(State.OPENING, (_E.ARM_SETUP, _E.OPEN_MEDIA)),
    Trigger.ANSWER: Next(State.ANSWERING, (_E.ARM_SETUP, _E.OPEN_MEDIA)),
    Trigger.REJECT: _REFUSE,
    Trigger.HANG_UP: _REFUSE,
    Trigger.CANCELLED: _RELEASE,
    Trigger.HUNG_UP: _RELEASE,
}
_UNANSWERED_WITH_MEDIA = {
    Trigger.MEDIA_FAILED: _REFUSE,
    Trigger.CODEC_MISSING: _REFUSE,
    Trigger.WORKER_LOST: _REFUSE,
    Trigger.MEDIA_CLOSED: _REFUSE,
    Trigger.SETUP_DUE: _REFUSE,
    Trigger.REJECT: _REFUSE,
    Trigger.HANG_UP: _REFUSE,
    Trigger.CANCELLED: _RELEASE,
    Trigger.HUNG_UP: _RELEASE,
}
_BEFORE_INVITE = {
    Trigger.REJECT: _RELEASE,
    Trigger.HANG_UP: _RELEASE,
    Trigger.RING_DUE: _RELEASE,
}
_LIVE = {
    Trigger.REJECT: _HANG_UP,
    Trigger.HANG_UP: _HANG_UP,
    Trigger.MEDIA_FAILED: _HANG_UP,
    Trigger.CODEC_MISSING: _HANG_UP,
    Trigger.WORKER_LOST: _HANG_UP,
    Trigger.MEDIA_CLOSED: _HANG_UP,
    Trigger.HUNG_UP: _RELEASE,
}
_UNANSWERED = {
    **_LIVE,
    Trigger.ANSWERED: Next(State.AGREEING, (_E.STOP_RING, _E.APPLY_ANSWER)),
    Trigger.PROGRESSED: Next(State.RINGING, (_E.APPLY_PROGRESS,)),
    Trigger.REFUSED: _RELEASE,
    Trigger.RING_DUE: _HANG_UP,
}

_ROWS: Final[Mapping[State, Mapping[Trigger, Next]]] = {
    State.INCOMING: {**_WAITING, Trigger.RING: Next(State.ALERTING, (_E.SEND_RINGING,))},
    State.ALERTING: _WAITING,
    State.OPENING: {
        **_UNANSWERED_WITH_MEDIA,
        Trigger.RING: Next(State.OPENING, (_E.SEND_RINGING,)),
        Trigger.ANSWER: Next(State.ANSWERING),
        Trigger.MEDIA_READY: Next(State.EARLY, (_E.STOP_SETUP, _E.SEND_EARLY_MEDIA)),
    },
    State.EARLY: {
        **_UNANSWERED_WITH_MEDIA,
        Trigger.ANSWER: Next(State.ACCEPTED, (_E.SEND_ANSWER, _E.REPORT_ANSWERED)),
    },
    State.ANSWERING: {
        **_UNANSWERED_WITH_MEDIA,
        Trigger.RING: Next(State.ANSWERING, (_E.SEND_RINGING,)),
        Trigger.MEDIA_READY: Next(State.ACCEPTED, (_E.STOP_SETUP, _E.SEND_ANSWER, _E.REPORT_ANSWERED)),
        Trigger.OFFER_READY: Next(State.OFFERED, (_E.STOP_SETUP, _E.SEND_ANSWER)),
    },
    State.ACCEPTED: {
        **_LIVE,
        Trigger.ACKED: Next(State.CONFIRMED, (_E.REPORT_CONFIRMED,)),
        Trigger.REOFFERED: Next(State.ACCEPTED, (_E.RENEGOTIATE,)),
    },
    State.OFFERED: {
        **_LIVE,
        Trigger.ACKED: Next(State.CONCLUDING, (_E.APPLY_ANSWER,)),
        Trigger.REOFFERED: Next(State.OFFERED, (_E.REFUSE_REOFFER,)),
    },
    State.CONCLUDING: {
        **_LIVE,
        Trigger.AGREED: Next(State.CONFIRMED, (_E.REPORT_ANSWERED, _E.REPORT_CONFIRMED)),
        Trigger.REOFFERED: Next(State.CONCLUDING, (_E.REFUSE_REOFFER,)),
    },
    State.IDLE: {
        **_BEFORE_INVITE,
        Trigger.DIAL: Next(State.RESOLVING, (_E.ARM_RING, _E.RESOLVE)),
    },
    State.RESOLVING: {
        **_BEFORE_INVITE,
        Trigger.RESOLVED: Next(State.PREPARING, (_E.ARM_SETUP, _E.OPEN_MEDIA)),
        Trigger.UNRESOLVED: _RELEASE,
    },
    State.PREPARING: {
        **_BEFORE_INVITE,
        Trigger.OFFER_READY: Next(State.DIALLING, (_E.STOP_SETUP, _E.SEND_INVITE)),
        Trigger.MEDIA_FAILED: _RELEASE,
        Trigger.WORKER_LOST: _RELEASE,
        Trigger.MEDIA_CLOSED: _RELEASE,
        Trigger.SETUP_DUE: _RELEASE,
    },
    State.DIALLING: _UNANSWERED,
    State.RINGING: _UNANSWERED,
    State.AGREEING: {
        **_LIVE,
        Trigger.AGREED: Next(State.CONFIRMED, (_E.REPORT_ANSWERED,)),
        Trigger.REOFFERED: Next(State.AGREEING, (_E.REFUSE_REOFFER,)),
    },
    State.CONFIRMED: {**_LIVE, Trigger.REOFFERED: Next(State.CONFIRMED, (_E.RENEGOTIATE,))},
    State.RELEASING: {
        Trigger.REOFFERED: Next(State.RELEASING, (_E.REFUSE_REOFFER,)),
        Trigger.MEDIA_CLOSED: _END,
        Trigger.RELEASE_DUE: _END,
    },
    State.ENDED: {},
}

TABLE: Final[Mapping[tuple[State, Trigger], Next]] = MappingProxyType(
    {(state, trigger): following for state, row in _ROWS.items() for trigger, following in row.items()}
)

INBOUND_STATES: Final = frozenset(
    {
        *(State.INCOMING, State.ALERTING, State.OPENING, State.EARLY),
        *(State.ANSWERING, State.ACCEPTED, State.OFFERED, State.CONCLUDING),
    }
)
OUTBOUND_STATES: Final = frozenset(
    {State.IDLE, State.RESOLVING, State.PREPARING, State.DIALLING, State.RINGING, State.AGREEING}
)
UNANSWERED_INBOUND: Final = frozenset({State.INCOMING, State.ALERTING, State.OPENING, State.EARLY, State.ANSWERING})
ANSWERED: Final = frozenset({State.ACCEPTED, State.OFFERED, State.CONCLUDING, State.AGREEING, State.CONFIRMED})
WITHOUT_SESSION: Final = frozenset({State.INCOMING, State.ALERTING, State.IDLE, State.RESOLVING})

_OWNERS_ANSWER: Final = frozenset({Trigger.RING, Trigger.EARLY_MEDIA, Trigger.ANSWER})
_MEDIA: Final = frozenset(
    {
        Trigger.MEDIA_READY,
        Trigger.OFFER_READY,
        Trigger.AGREED,
        Trigger.MEDIA_FAILED,
        Trigger.CODEC_MISSING,
        Trigger.WORKER_LOST,
        Trigger.MEDIA_CLOSED,
    }
)
_OUTBOUND_ONLY: Final = frozenset(
    {
        Trigger.DIAL,
        Trigger.RESOLVED,
        Trigger.UNRESOLVED,
        Trigger.PROGRESSED,
        Trigger.ANSWERED,
        Trigger.REFUSED,
        Trigger.RING_DUE,
    }
)
_INBOUND_ONLY: Final = frozenset({Trigger.CANCELLED, Trigger.ACKED})


def _reason_to_ignore(state: State, trigger: Trigger) -> str:
    """Return why a pair outside the table is harmless; empty if nobody has thought of it."""
    if state is State.ENDED:
        return "nothing is left"
    if state is State.RELEASING:
        return "the leg is over; late events of SIP, media and owner change nothing"
    if state in INBOUND_STATES and trigger in _OUTBOUND_ONLY:
        return "an inbound leg does not dial"
    if state in OUTBOUND_STATES and trigger in _INBOUND_ONLY:
        return "an outbound leg is not cancelled or acknowledged by its peer"
    if trigger in _OWNERS_ANSWER:
        return "ringing and answering are asked of a new inbound call only; asking again is harmless"
    if state in WITHOUT_SESSION and trigger in _MEDIA:
        return "no media session was asked for"
    if trigger in _MEDIA:
        return "an answer to a step that this state has behind it or does not take"
    if trigger in (Trigger.SETUP_DUE, Trigger.RELEASE_DUE):
        return "the timer is not armed in this state"
    if trigger in _OUTBOUND_ONLY:
        return "dialling is behind this leg; a late final or provisional response belongs to a fork"
    if trigger is Trigger.ACKED:
        return "a repeated ACK, or that of a re-INVITE"
    if trigger is Trigger.CANCELLED:
        return "a CANCEL after the final response has no effect (RFC 3261 §9.2)"
    if trigger in (Trigger.HUNG_UP, Trigger.REOFFERED):
        return "no dialog exists yet"
    return ""


IGNORED: Final[Mapping[tuple[State, Trigger], str]] = MappingProxyType(
    {
        (state, trigger): reason
        for state in State
        for trigger in Trigger
        if (state, trigger) not in TABLE and (reason := _reason_to_ignore(state, trigger))
    }
)


@dataclass(frozen=True, slots=True)
class LegInput:
    """One trigger; `end` says how the leg ends if the trigger ends it, `event` what SIP reported."""

    trigger: Trigger
    end: LegEnd | None = None
    event: InviteEvent | None = None


@dataclass(frozen=True, slots=True)
class LegOutput:
    """One effect and the input that asked for it."""

    effect: Effect
    cause: LegInput


@dataclass(frozen=True, slots=True)
class LegLimits:
    """Durations of a leg's timers."""

    ring_ms: int = 120_000
    setup_ms: int = 2_000
    release_ms: int = 2_000


class Leg:
    """One leg's state, timers and waiting outputs.

    Attributes:
        state: Changed by `handle_input` and `handle_timeout` only.
        end: Why the leg ended; set once, when it enters RELEASING.
    """

    __slots__ = ("_limits", "_outputs", "_timers", "end", "state")

    def __init__(self, state: State, limits: LegLimits) -> None:
        self.state = state
        self.end: LegEnd | None = None
        self._limits = limits
        # A list: few wait at once, and an empty deque takes 760 bytes of every leg.
        self._outputs: list[LegOutput] = []
        self._timers: Timers[Timer] = Timers()

    def handle_input(self, now: Instant, event: LegInput) -> None:
        """Take one trigger; a pair outside the table changes nothing."""
        following = TABLE.get((self.state, event.trigger))
        if following is None:
            return
        if following.state is State.RELEASING and self.state is not State.RELEASING:
            self._timers.stop_all()
            self.end = event.end or LegEnd(LegEndKind.MEDIA_FAILED, detail=f"ended by {event.trigger.value}")
        elif following.state is State.ENDED:
            self._timers.stop_all()
        self.state = following.state
        for effect in following.effects:
            if not self._set_timer(now, effect):
                self._outputs.append(LegOutput(effect, event))

    def handle_timeout(self, now: Instant) -> None:
        """Fire every timer that is due."""
        for timer in self._timers.expired(now):
            trigger = TIMER_TRIGGERS[timer]
            self.handle_input(now, LegInput(trigger, _TIMER_ENDS.get(trigger)))

    def poll_output(self) -> LegOutput | None:
        """Return the next effect, or `None`."""
        return self._outputs.pop(0) if self._outputs else None

    def poll_timeout(self) -> Instant | None:
        """Return the earliest deadline, or `None`."""
        return self._timers.next_deadline()

    def _set_timer(self, now: Instant, effect: Effect) -> bool:
        match effect:
            case Effect.ARM_RING:
                self._timers.arm(Timer.RING, after_ms(now, self._limits.ring_ms))
            case Effect.ARM_SETUP:
                self._timers.arm(Timer.SETUP, after_ms(now, self._limits.setup_ms))
            case Effect.ARM_RELEASE:
                self._timers.arm(Timer.RELEASE, after_ms(now, self._limits.release_ms))
            case Effect.STOP_RING:
                self._timers.stop(Timer.RING)
            case Effect.STOP_SETUP:
                self._timers.stop(Timer.SETUP)
            case _:
                return False
        return True
