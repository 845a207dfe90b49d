"""All transitions of the four transaction machines (RFC 3261 §17, RFC 6026), as data.

Every (state, trigger) pair of a machine stands in its table or, with a reason, in its ignored set. Effects are carried
out in order, after the state has changed. `TERMINATED` has no transitions: the transaction leaves the table at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class State(Enum):
    """States of all four machines, by the RFC's names."""

    CALLING = "calling"
    TRYING = "trying"
    PROCEEDING = "proceeding"
    COMPLETED = "completed"
    CONFIRMED = "confirmed"
    ACCEPTED = "accepted"
    TERMINATED = "terminated"

    __hash__ = object.__hash__  # members are singletons; Enum's own hash is slow on table look-ups


class Trigger(Enum):
    """What can happen to a transaction."""

    PROVISIONAL = "1xx received"
    SUCCESS = "2xx received"
    FAILURE = "3xx to 6xx received"
    REQUEST = "request repeated by the peer"
    ACK = "ACK received"
    SEND_PROVISIONAL = "usage answers 1xx"
    SEND_SUCCESS = "usage answers 2xx"
    SEND_FAILURE = "usage answers 3xx to 6xx"
    IGNORE = "usage will never answer"
    TRANSPORT_ERROR = "the last transmission failed"
    TIMER_TRYING = "timer for 100 fired"
    TIMER_A = "timer A fired"
    TIMER_B = "timer B fired"
    TIMER_D = "timer D fired"
    TIMER_E = "timer E fired"
    TIMER_F = "timer F fired"
    TIMER_G = "timer G fired"
    TIMER_H = "timer H fired"
    TIMER_I = "timer I fired"
    TIMER_J = "timer J fired"
    TIMER_K = "timer K fired"
    TIMER_L = "timer L fired"
    TIMER_M = "timer M fired"

    __hash__ = object.__hash__


class Effect(Enum):
    """What a transition makes the transaction do."""

    DELIVER = "hand the response to the usage"
    DELIVER_ACK = "hand the ACK to the usage"
    TELL_TIMEOUT = "tell the usage that no response came"
    TELL_NO_ACK = "tell the usage that no ACK came"
    TELL_TRANSPORT_ERROR = "tell the usage that sending failed"
    SEND_ACK = "acknowledge a final response that is not 2xx"
    SEND_RESPONSE = "send the usage's response and keep it"
    SEND_TRYING = "send 100"
    REPEAT_REQUEST = "send the request again and double the interval"
    REPEAT_RESPONSE = "send the kept response again, if any"
    REARM_G = "double the interval of timer G"
    SLOW_REPEAT = "repeat at T2 from now on"
    STOP_REQUEST_TIMERS = "stop A, B, E and F"
    STOP_RESPONSE_TIMERS = "stop the timer for 100, G and H"
    START_D = "arm D"
    START_G_H = "arm H, and G over UDP"
    START_I = "arm I"
    START_J = "arm J"
    START_K = "arm K"
    START_L = "arm L"
    START_M = "arm M"

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class Next:
    """The outcome of a transition."""

    state: State
    effects: tuple[Effect, ...] = ()


Table = Mapping[tuple[State, Trigger], Next]


@dataclass(frozen=True, slots=True)
class MachineTable:
    """One machine: its first state, the triggers it can meet, its transitions and what it ignores, with reasons."""

    name: str
    initial: State
    triggers: frozenset[Trigger]
    table: Table
    ignored: Mapping[tuple[State, Trigger], str]


_S, _T, _E = State, Trigger, Effect

INVITE_CLIENT = MachineTable(
    name="INVITE client",
    initial=State.CALLING,
    triggers=frozenset(
        {
            _T.PROVISIONAL,
            _T.SUCCESS,
            _T.FAILURE,
            _T.TRANSPORT_ERROR,
            _T.TIMER_A,
            _T.TIMER_B,
            _T.TIMER_D,
            _T.TIMER_M,
        }
    ),
    table={
        (_S.CALLING, _T.PROVISIONAL): Next(_S.PROCEEDING, (_E.STOP_REQUEST_TIMERS, _E.DELIVER)),
        (_S.CALLING, _T.SUCCESS): Next(_S.ACCEPTED, (_E.STOP_REQUEST_TIMERS, _E.START_M, _E.DELIVER)),
        (_S.CALLING, _T.FAILURE): Next(_S.COMPLETED, (_E.STOP_REQUEST_TIMERS, _E.SEND_ACK, _E.START_D, _E.DELIVER)),
        (_S.CALLING, _T.TIMER_A): Next(_S.CALLING, (_E.REPEAT_REQUEST,)),
        (_S.CALLING, _T.TIMER_B): Next(_S.TERMINATED, (_E.TELL_TIMEOUT,)),
        (_S.CALLING, _T.TRANSPORT_ERROR): Next(_S.TERMINATED, (_E.TELL_TRANSPORT_ERROR,)),
        (_S.PROCEEDING, _T.PROVISIONAL): Next(_S.PROCEEDING, (_E.DELIVER,)),
        (_S.PROCEEDING, _T.SUCCESS): Next(_S.ACCEPTED, (_E.START_M, _E.DELIVER)),
        (_S.PROCEEDING, _T.FAILURE): Next(_S.COMPLETED, (_E.SEND_ACK, _E.START_D, _E.DELIVER)),
        (_S.COMPLETED, _T.FAILURE): Next(_S.COMPLETED, (_E.SEND_ACK,)),
        (_S.COMPLETED, _T.TIMER_D): Next(_S.TERMINATED),
        (_S.COMPLETED, _T.TRANSPORT_ERROR): Next(_S.TERMINATED, (_E.TELL_TRANSPORT_ERROR,)),
        (_S.ACCEPTED, _T.SUCCESS): Next(_S.ACCEPTED, (_E.DELIVER,)),
        (_S.ACCEPTED, _T.TIMER_M): Next(_S.TERMINATED),
    },
    ignored={
        (_S.CALLING, _T.TIMER_D): "armed in Completed only",
        (_S.CALLING, _T.TIMER_M): "armed in Accepted only",
        (_S.PROCEEDING, _T.TIMER_A): "stopped by the response",
        (_S.PROCEEDING, _T.TIMER_B): "a ringing call never times out here (RFC 3261 §17.1.1.2)",
        (_S.PROCEEDING, _T.TIMER_D): "armed in Completed only",
        (_S.PROCEEDING, _T.TIMER_M): "armed in Accepted only",
        (_S.PROCEEDING, _T.TRANSPORT_ERROR): "the request has arrived; a late report of a repeat says nothing new",
        (_S.COMPLETED, _T.PROVISIONAL): "overtaken by the final response",
        (_S.COMPLETED, _T.SUCCESS): "a final response has been given to the usage",
        (_S.COMPLETED, _T.TIMER_A): "stopped by the response",
        (_S.COMPLETED, _T.TIMER_B): "stopped by the response",
        (_S.COMPLETED, _T.TIMER_M): "armed in Accepted only",
        (_S.ACCEPTED, _T.PROVISIONAL): "overtaken by the 2xx",
        (_S.ACCEPTED, _T.FAILURE): "the 2xx came first and decides (RFC 6026 §7.2)",
        (_S.ACCEPTED, _T.TRANSPORT_ERROR): "the usage sends its ACKs itself",
        (_S.ACCEPTED, _T.TIMER_A): "stopped by the response",
        (_S.ACCEPTED, _T.TIMER_B): "stopped by the response",
        (_S.ACCEPTED, _T.TIMER_D): "armed in Completed only",
    },
)

CLIENT = MachineTable(
    name="non-INVITE client",
    initial=State.TRYING,
    triggers=frozenset(
        {_T.PROVISIONAL, _T.SUCCESS, _T.FAILURE, _T.TRANSPORT_ERROR, _T.TIMER_E, _T.TIMER_F, _T.TIMER_K}
    ),
    table={
        (_S.TRYING, _T.PROVISIONAL): Next(_S.PROCEEDING, (_E.SLOW_REPEAT, _E.DELIVER)),
        (_S.TRYING, _T.SUCCESS): Next(_S.COMPLETED, (_E.STOP_REQUEST_TIMERS, _E.START_K, _E.DELIVER)),
        (_S.TRYING, _T.FAILURE): Next(_S.COMPLETED, (_E.STOP_REQUEST_TIMERS, _E.START_K, _E.DELIVER)),
        (_S.TRYING, _T.TIMER_E): Next(_S.TRYING, (_E.REPEAT_REQUEST,)),
        (_S.TRYING, _T.TIMER_F): Next(_S.TERMINATED, (_E.TELL_TIMEOUT,)),
        (_S.TRYING, _T.TRANSPORT_ERROR): Next(_S.TERMINATED, (_E.TELL_TRANSPORT_ERROR,)),
        (_S.PROCEEDING, _T.PROVISIONAL): Next(_S.PROCEEDING, (_E.DELIVER,)),
        (_S.PROCEEDING, _T.SUCCESS): Next(_S.COMPLETED, (_E.STOP_REQUEST_TIMERS, _E.START_K, _E.DELIVER)),
        (_S.PROCEEDING, _T.FAILURE): Next(_S.COMPLETED, (_E.STOP_REQUEST_TIMERS, _E.START_K, _E.DELIVER)),
        (_S.PROCEEDING, _T.TIMER_E): Next(_S.PROCEEDING, (_E.REPEAT_REQUEST,)),
        (_S.PROCEEDING, _T.TIMER_F): Next(_S.TERMINATED, (_E.TELL_TIMEOUT,)),
        (_S.PROCEEDING, _T.TRANSPORT_ERROR): Next(_S.TERMINATED, (_E.TELL_TRANSPORT_ERROR,)),
        (_S.COMPLETED, _T.TIMER_K): Next(_S.TERMINATED),
    },
    ignored={
        (_S.TRYING, _T.TIMER_K): "armed in Completed only",
        (_S.PROCEEDING, _T.TIMER_K): "armed in Completed only",
        (_S.COMPLETED, _T.PROVISIONAL): "overtaken by the final response",
        (_S.COMPLETED, _T.SUCCESS): "repeat of the final response, absorbed",
        (_S.COMPLETED, _T.FAILURE): "repeat of the final response, absorbed",
        (_S.COMPLETED, _T.TRANSPORT_ERROR): "nothing more is sent",
        (_S.COMPLETED, _T.TIMER_E): "stopped by the final response",
        (_S.COMPLETED, _T.TIMER_F): "stopped by the final response",
    },
)

INVITE_SERVER = MachineTable(
    name="INVITE server",
    initial=State.PROCEEDING,
    triggers=frozenset(
        {
            _T.REQUEST,
            _T.ACK,
            _T.SEND_PROVISIONAL,
            _T.SEND_SUCCESS,
            _T.SEND_FAILURE,
            _T.IGNORE,
            _T.TRANSPORT_ERROR,
            _T.TIMER_TRYING,
            _T.TIMER_G,
            _T.TIMER_H,
            _T.TIMER_I,
            _T.TIMER_L,
        }
    ),
    table={
        (_S.PROCEEDING, _T.REQUEST): Next(_S.PROCEEDING, (_E.REPEAT_RESPONSE,)),
        (_S.PROCEEDING, _T.SEND_PROVISIONAL): Next(_S.PROCEEDING, (_E.STOP_RESPONSE_TIMERS, _E.SEND_RESPONSE)),
        (_S.PROCEEDING, _T.SEND_SUCCESS): Next(_S.ACCEPTED, (_E.STOP_RESPONSE_TIMERS, _E.SEND_RESPONSE, _E.START_L)),
        (_S.PROCEEDING, _T.SEND_FAILURE): Next(_S.COMPLETED, (_E.STOP_RESPONSE_TIMERS, _E.SEND_RESPONSE, _E.START_G_H)),
        # Not of the RFC: a hostile source gets no answer, and Accepted is the state that absorbs its repeats.
        (_S.PROCEEDING, _T.IGNORE): Next(_S.ACCEPTED, (_E.STOP_RESPONSE_TIMERS, _E.START_L)),
        (_S.PROCEEDING, _T.TIMER_TRYING): Next(_S.PROCEEDING, (_E.SEND_TRYING,)),
        (_S.PROCEEDING, _T.TRANSPORT_ERROR): Next(_S.PROCEEDING, (_E.TELL_TRANSPORT_ERROR,)),
        (_S.COMPLETED, _T.REQUEST): Next(_S.COMPLETED, (_E.REPEAT_RESPONSE,)),
        (_S.COMPLETED, _T.ACK): Next(_S.CONFIRMED, (_E.STOP_RESPONSE_TIMERS, _E.START_I)),
        (_S.COMPLETED, _T.TIMER_G): Next(_S.COMPLETED, (_E.REPEAT_RESPONSE, _E.REARM_G)),
        (_S.COMPLETED, _T.TIMER_H): Next(_S.TERMINATED, (_E.TELL_NO_ACK,)),
        (_S.COMPLETED, _T.TRANSPORT_ERROR): Next(_S.TERMINATED, (_E.TELL_TRANSPORT_ERROR,)),
        (_S.CONFIRMED, _T.TIMER_I): Next(_S.TERMINATED),
        (_S.ACCEPTED, _T.SEND_SUCCESS): Next(_S.ACCEPTED, (_E.SEND_RESPONSE,)),
        (_S.ACCEPTED, _T.ACK): Next(_S.ACCEPTED, (_E.DELIVER_ACK,)),
        (_S.ACCEPTED, _T.TRANSPORT_ERROR): Next(_S.ACCEPTED, (_E.TELL_TRANSPORT_ERROR,)),
        (_S.ACCEPTED, _T.TIMER_L): Next(_S.TERMINATED),
    },
    ignored={
        (_S.PROCEEDING, _T.ACK): "no final response to acknowledge yet",
        (_S.PROCEEDING, _T.TIMER_G): "armed in Completed only",
        (_S.PROCEEDING, _T.TIMER_H): "armed in Completed only",
        (_S.PROCEEDING, _T.TIMER_I): "armed in Confirmed only",
        (_S.PROCEEDING, _T.TIMER_L): "armed in Accepted only",
        (_S.COMPLETED, _T.SEND_PROVISIONAL): "a final response is out",
        (_S.COMPLETED, _T.SEND_SUCCESS): "another final response is out",
        (_S.COMPLETED, _T.IGNORE): "a final response is out",
        (_S.COMPLETED, _T.SEND_FAILURE): "a final response is out",
        (_S.COMPLETED, _T.TIMER_TRYING): "stopped by the response",
        (_S.COMPLETED, _T.TIMER_I): "armed in Confirmed only",
        (_S.COMPLETED, _T.TIMER_L): "armed in Accepted only",
        (_S.CONFIRMED, _T.REQUEST): "repeat that the ACK overtook",
        (_S.CONFIRMED, _T.ACK): "repeated ACK, absorbed",
        (_S.CONFIRMED, _T.SEND_PROVISIONAL): "a final response is out",
        (_S.CONFIRMED, _T.SEND_SUCCESS): "another final response is out",
        (_S.CONFIRMED, _T.IGNORE): "a final response is out",
        (_S.CONFIRMED, _T.SEND_FAILURE): "a final response is out",
        (_S.CONFIRMED, _T.TRANSPORT_ERROR): "nothing more is sent",
        (_S.CONFIRMED, _T.TIMER_TRYING): "stopped by the response",
        (_S.CONFIRMED, _T.TIMER_G): "stopped by the ACK",
        (_S.CONFIRMED, _T.TIMER_H): "stopped by the ACK",
        (_S.CONFIRMED, _T.TIMER_L): "armed in Accepted only",
        (_S.ACCEPTED, _T.REQUEST): "the usage repeats the 2xx by its own timer (RFC 6026 §7.1)",
        (_S.ACCEPTED, _T.SEND_PROVISIONAL): "a final response is out",
        (_S.ACCEPTED, _T.IGNORE): "a final response is out",
        (_S.ACCEPTED, _T.SEND_FAILURE): "a 2xx cannot be taken back",
        (_S.ACCEPTED, _T.TIMER_TRYING): "stopped by the response",
        (_S.ACCEPTED, _T.TIMER_G): "armed in Completed only",
        (_S.ACCEPTED, _T.TIMER_H): "armed in Completed only",
        (_S.ACCEPTED, _T.TIMER_I): "armed in Confirmed only",
    },
)

SERVER = MachineTable(
    name="non-INVITE server",
    initial=State.TRYING,
    triggers=frozenset(
        {_T.REQUEST, _T.SEND_PROVISIONAL, _T.SEND_SUCCESS, _T.SEND_FAILURE, _T.TRANSPORT_ERROR, _T.TIMER_J}
    ),
    table={
        (_S.TRYING, _T.SEND_PROVISIONAL): Next(_S.PROCEEDING, (_E.SEND_RESPONSE,)),
        (_S.TRYING, _T.SEND_SUCCESS): Next(_S.COMPLETED, (_E.SEND_RESPONSE, _E.START_J)),
        (_S.TRYING, _T.SEND_FAILURE): Next(_S.COMPLETED, (_E.SEND_RESPONSE, _E.START_J)),
        (_S.PROCEEDING, _T.REQUEST): Next(_S.PROCEEDING, (_E.REPEAT_RESPONSE,)),
        (_S.PROCEEDING, _T.SEND_PROVISIONAL): Next(_S.PROCEEDING, (_E.SEND_RESPONSE,)),
        (_S.PROCEEDING, _T.SEND_SUCCESS): Next(_S.COMPLETED, (_E.SEND_RESPONSE, _E.START_J)),
        (_S.PROCEEDING, _T.SEND_FAILURE): Next(_S.COMPLETED, (_E.SEND_RESPONSE, _E.START_J)),
        (_S.PROCEEDING, _T.TRANSPORT_ERROR): Next(_S.TERMINATED, (_E.TELL_TRANSPORT_ERROR,)),
        (_S.COMPLETED, _T.REQUEST): Next(_S.COMPLETED, (_E.REPEAT_RESPONSE,)),
        (_S.COMPLETED, _T.TIMER_J): Next(_S.TERMINATED),
        (_S.COMPLETED, _T.TRANSPORT_ERROR): Next(_S.TERMINATED, (_E.TELL_TRANSPORT_ERROR,)),
    },
    ignored={
        (_S.TRYING, _T.REQUEST): "nothing to repeat before the usage answers (RFC 3261 §17.2.2)",
        (_S.TRYING, _T.TRANSPORT_ERROR): "nothing has been sent",
        (_S.TRYING, _T.TIMER_J): "armed in Completed only",
        (_S.PROCEEDING, _T.TIMER_J): "armed in Completed only",
        (_S.COMPLETED, _T.SEND_PROVISIONAL): "a final response is out",
        (_S.COMPLETED, _T.SEND_SUCCESS): "a final response is out",
        (_S.COMPLETED, _T.SEND_FAILURE): "a final response is out",
    },
)

MACHINES = (INVITE_CLIENT, CLIENT, INVITE_SERVER, SERVER)
