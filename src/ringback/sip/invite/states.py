"""All transitions of the INVITE usage, as data: incoming calls, outgoing calls, and re-INVITEs inside either.

Every (state, trigger) pair stands in a table or, with a reason, in the ignored set beside it. Effects are carried out
in order, after the state has changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class CallState(Enum):
    """States of an incoming or outgoing call at the SIP level."""

    OFFERED = "incoming: no final response yet"
    ANSWERED = "incoming: 200 sent, ACK not seen"
    LEAVING = "incoming: hung up by us before the ACK; the BYE waits for it (RFC 3261 §15)"
    CALLING = "outgoing: no response yet"
    PROCEEDING = "outgoing: provisional response seen"
    HELD = "outgoing: hung up before any response; the CANCEL waits for one (RFC 3261 §9.1)"
    CANCELLING = "outgoing: CANCEL sent"
    ANSWER_DUE = "outgoing: the 200 brought an offer, the owner's answer is due"
    CONFIRMED = "talking"
    CLOSING = "our BYE is out"
    ENDED = "nothing left"

    __hash__ = object.__hash__  # members are singletons; Enum's own hash is slow on table look-ups


class CallTrigger(Enum):
    """What can happen to a call."""

    PROGRESS = "owner: provisional response"
    ANSWER = "owner: 200"
    REJECT = "owner: final failure"
    DROP = "owner: never answer"
    HANGUP = "owner: hang up"
    ANSWER_OFFER = "owner: answer to the offer in a 200"
    CANCEL = "peer: CANCEL"
    BYE = "peer: BYE"
    ACK = "peer: ACK"
    ACK_WITHOUT_ANSWER = "peer: ACK that lacks the answer to our offer"
    ACK_TIMEOUT = "no ACK in 64 × T1"
    PROVISIONAL = "peer: 1xx"
    SUCCESS = "peer: 2xx"
    SUCCESS_WITH_OFFER = "peer: 2xx with an offer that the owner must answer"
    RETRY = "attempt failed, another one is ready"
    REFUSED = "attempt failed, none is left"
    CANCEL_TIMEOUT = "no final response in 64 × T1 after CANCEL"
    ANSWER_TIMEOUT = "owner gave no answer to the offer in a 200"
    DIALOG_LOST = "peer does not know the dialog any more, or is silent"
    BYE_DONE = "our BYE was answered or timed out"

    __hash__ = object.__hash__


class CallEffect(Enum):
    """What a transition makes a call do."""

    SEND_PROVISIONAL = "send the owner's 1xx"
    SEND_SUCCESS = "send the owner's 200 and repeat it until the ACK"
    SEND_FAILURE = "send the owner's final failure"
    SEND_UNAVAILABLE = "send 480"
    SEND_NOTHING = "absorb the repeats of the INVITE without an answer"
    SEND_TERMINATED = "send 487"
    STOP_SUCCESS = "stop repeating the 200"
    ACCEPT_BYE = "answer 200 to the BYE"
    SEND_BYE = "send BYE"
    SEND_NEXT = "send the INVITE of the next attempt"
    SEND_CANCEL = "send CANCEL"
    SEND_ACK = "send the ACK of the 2xx"
    ESTABLISH = "take the dialog of the first 2xx"
    START_ANSWER_WAIT = "limit the owner's time to answer"
    STOP_ANSWER_WAIT = "the owner has answered"
    ABANDON = "drop the INVITE transaction"
    TELL_PROGRESS = "report the 1xx"
    TELL_ANSWERED = "report the 2xx"
    TELL_CONFIRMED = "report the ACK"
    TELL_REFUSED = "report the failure"
    TELL_CANCELLED = "report that the cancelled attempt is over"
    TELL_CALLER_GONE = "report the caller's CANCEL or early BYE"
    TELL_HUNG_UP = "report that the answered call is over"
    FINISH = "give up all timers and the id"

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class CallNext:
    """The outcome of a transition."""

    state: CallState
    effects: tuple[CallEffect, ...] = ()


@dataclass(frozen=True, slots=True)
class CallTable:
    """The machine of one direction."""

    name: str
    initial: CallState
    triggers: frozenset[CallTrigger]
    table: Mapping[tuple[CallState, CallTrigger], CallNext]
    ignored: Mapping[tuple[CallState, CallTrigger], str]


_S, _T, _E = CallState, CallTrigger, CallEffect

_TALKING: Mapping[tuple[CallState, CallTrigger], CallNext] = {
    (_S.CONFIRMED, _T.HANGUP): CallNext(_S.CLOSING, (_E.SEND_BYE,)),
    (_S.CONFIRMED, _T.BYE): CallNext(_S.ENDED, (_E.ACCEPT_BYE, _E.TELL_HUNG_UP, _E.FINISH)),
    (_S.CONFIRMED, _T.DIALOG_LOST): CallNext(_S.CLOSING, (_E.TELL_HUNG_UP, _E.SEND_BYE)),
    (_S.CLOSING, _T.BYE): CallNext(_S.CLOSING, (_E.ACCEPT_BYE,)),
    (_S.CLOSING, _T.BYE_DONE): CallNext(_S.ENDED, (_E.FINISH,)),
}
_ANSWERED_ALREADY = "answered; only a BYE ends it now"
_OVER = "our BYE is out, its answer ends everything"
_TALKING_IGNORED: Mapping[tuple[CallState, CallTrigger], str] = {
    (_S.CONFIRMED, _T.BYE_DONE): "no BYE of ours is out",
    (_S.CLOSING, _T.HANGUP): "a BYE is out already",
    (_S.CLOSING, _T.DIALOG_LOST): _OVER,
}

INCOMING = CallTable(
    name="incoming call",
    initial=_S.OFFERED,
    triggers=frozenset(
        {
            _T.PROGRESS,
            _T.ANSWER,
            _T.REJECT,
            _T.DROP,
            _T.HANGUP,
            _T.CANCEL,
            _T.BYE,
            _T.ACK,
            _T.ACK_WITHOUT_ANSWER,
            _T.ACK_TIMEOUT,
            _T.DIALOG_LOST,
            _T.BYE_DONE,
        }
    ),
    table={
        (_S.OFFERED, _T.PROGRESS): CallNext(_S.OFFERED, (_E.SEND_PROVISIONAL,)),
        (_S.OFFERED, _T.ANSWER): CallNext(_S.ANSWERED, (_E.SEND_SUCCESS,)),
        (_S.OFFERED, _T.REJECT): CallNext(_S.ENDED, (_E.SEND_FAILURE, _E.FINISH)),
        (_S.OFFERED, _T.DROP): CallNext(_S.ENDED, (_E.SEND_NOTHING, _E.FINISH)),
        (_S.OFFERED, _T.HANGUP): CallNext(_S.ENDED, (_E.SEND_UNAVAILABLE, _E.FINISH)),
        (_S.OFFERED, _T.CANCEL): CallNext(_S.ENDED, (_E.SEND_TERMINATED, _E.TELL_CALLER_GONE, _E.FINISH)),
        (_S.OFFERED, _T.BYE): CallNext(_S.ENDED, (_E.ACCEPT_BYE, _E.SEND_TERMINATED, _E.TELL_CALLER_GONE, _E.FINISH)),
        (_S.ANSWERED, _T.ACK): CallNext(_S.CONFIRMED, (_E.STOP_SUCCESS, _E.TELL_CONFIRMED)),
        (_S.ANSWERED, _T.ACK_WITHOUT_ANSWER): CallNext(_S.CLOSING, (_E.STOP_SUCCESS, _E.TELL_HUNG_UP, _E.SEND_BYE)),
        (_S.ANSWERED, _T.ACK_TIMEOUT): CallNext(_S.CLOSING, (_E.STOP_SUCCESS, _E.TELL_HUNG_UP, _E.SEND_BYE)),
        (_S.ANSWERED, _T.HANGUP): CallNext(_S.LEAVING),
        (_S.ANSWERED, _T.BYE): CallNext(_S.ENDED, (_E.STOP_SUCCESS, _E.ACCEPT_BYE, _E.TELL_HUNG_UP, _E.FINISH)),
        (_S.ANSWERED, _T.DIALOG_LOST): CallNext(_S.CLOSING, (_E.STOP_SUCCESS, _E.TELL_HUNG_UP, _E.SEND_BYE)),
        (_S.LEAVING, _T.ACK): CallNext(_S.CLOSING, (_E.STOP_SUCCESS, _E.SEND_BYE)),
        (_S.LEAVING, _T.ACK_WITHOUT_ANSWER): CallNext(_S.CLOSING, (_E.STOP_SUCCESS, _E.SEND_BYE)),
        (_S.LEAVING, _T.ACK_TIMEOUT): CallNext(_S.CLOSING, (_E.STOP_SUCCESS, _E.SEND_BYE)),
        (_S.LEAVING, _T.BYE): CallNext(_S.ENDED, (_E.STOP_SUCCESS, _E.ACCEPT_BYE, _E.FINISH)),
        (_S.LEAVING, _T.DIALOG_LOST): CallNext(_S.CLOSING, (_E.STOP_SUCCESS, _E.SEND_BYE)),
        **_TALKING,
    },
    ignored={
        (_S.OFFERED, _T.ACK): "nothing to acknowledge",
        (_S.OFFERED, _T.ACK_WITHOUT_ANSWER): "nothing to acknowledge",
        (_S.OFFERED, _T.ACK_TIMEOUT): "armed by the 200",
        (_S.OFFERED, _T.DIALOG_LOST): "no request of ours is out in an early dialog",
        (_S.OFFERED, _T.BYE_DONE): "no BYE of ours is out",
        (_S.ANSWERED, _T.PROGRESS): "a final response is out",
        (_S.ANSWERED, _T.ANSWER): "a final response is out",
        (_S.ANSWERED, _T.REJECT): "a final response is out",
        (_S.ANSWERED, _T.DROP): "a final response is out",
        (_S.ANSWERED, _T.CANCEL): "no effect after the final response (RFC 3261 §9.2)",
        (_S.ANSWERED, _T.BYE_DONE): "no BYE of ours is out",
        (_S.LEAVING, _T.PROGRESS): "a final response is out",
        (_S.LEAVING, _T.ANSWER): "a final response is out",
        (_S.LEAVING, _T.REJECT): "a final response is out",
        (_S.LEAVING, _T.DROP): "a final response is out",
        (_S.LEAVING, _T.HANGUP): "asked for already",
        (_S.LEAVING, _T.CANCEL): "no effect after the final response",
        (_S.LEAVING, _T.BYE_DONE): "no BYE of ours is out",
        (_S.CONFIRMED, _T.PROGRESS): _ANSWERED_ALREADY,
        (_S.CONFIRMED, _T.ANSWER): _ANSWERED_ALREADY,
        (_S.CONFIRMED, _T.REJECT): _ANSWERED_ALREADY,
        (_S.CONFIRMED, _T.DROP): _ANSWERED_ALREADY,
        (_S.CONFIRMED, _T.CANCEL): "no effect after the final response",
        (_S.CONFIRMED, _T.ACK): "repeat of the ACK",
        (_S.CONFIRMED, _T.ACK_WITHOUT_ANSWER): "repeat of the ACK",
        (_S.CONFIRMED, _T.ACK_TIMEOUT): "stopped by the ACK",
        (_S.CLOSING, _T.PROGRESS): _OVER,
        (_S.CLOSING, _T.ANSWER): _OVER,
        (_S.CLOSING, _T.REJECT): _OVER,
        (_S.CLOSING, _T.DROP): _OVER,
        (_S.CLOSING, _T.CANCEL): _OVER,
        (_S.CLOSING, _T.ACK): _OVER,
        (_S.CLOSING, _T.ACK_WITHOUT_ANSWER): _OVER,
        (_S.CLOSING, _T.ACK_TIMEOUT): _OVER,
        **_TALKING_IGNORED,
    },
)

_REFUSED = CallNext(_S.ENDED, (_E.TELL_REFUSED, _E.FINISH))
_CANCELLED = CallNext(_S.ENDED, (_E.TELL_CANCELLED, _E.FINISH))
_ANSWERED = CallNext(_S.CONFIRMED, (_E.ESTABLISH, _E.SEND_ACK, _E.TELL_ANSWERED))
_ANSWERED_WITH_OFFER = CallNext(_S.ANSWER_DUE, (_E.ESTABLISH, _E.START_ANSWER_WAIT, _E.TELL_ANSWERED))
_CROSSED = CallNext(_S.CLOSING, (_E.ESTABLISH, _E.SEND_ACK, _E.TELL_CANCELLED, _E.SEND_BYE))
_NO_DIALOG = "no dialog yet"
_NO_BYE = "no BYE of ours is out"
_NO_CANCEL = "no CANCEL is out"
_NO_OFFER = "no offer waits for an answer"
_MORE_2XX = "further 2xx are acknowledged, and those of other forks hung up, apart from the machine"
_FINAL_SEEN = "the 2xx decided"

OUTGOING = CallTable(
    name="outgoing call",
    initial=_S.CALLING,
    triggers=frozenset(
        {
            _T.HANGUP,
            _T.ANSWER_OFFER,
            _T.BYE,
            _T.PROVISIONAL,
            _T.SUCCESS,
            _T.SUCCESS_WITH_OFFER,
            _T.RETRY,
            _T.REFUSED,
            _T.CANCEL_TIMEOUT,
            _T.ANSWER_TIMEOUT,
            _T.DIALOG_LOST,
            _T.BYE_DONE,
        }
    ),
    table={
        (_S.CALLING, _T.PROVISIONAL): CallNext(_S.PROCEEDING, (_E.TELL_PROGRESS,)),
        (_S.CALLING, _T.SUCCESS): _ANSWERED,
        (_S.CALLING, _T.SUCCESS_WITH_OFFER): _ANSWERED_WITH_OFFER,
        (_S.CALLING, _T.RETRY): CallNext(_S.CALLING, (_E.SEND_NEXT,)),
        (_S.CALLING, _T.REFUSED): _REFUSED,
        (_S.CALLING, _T.HANGUP): CallNext(_S.HELD),
        (_S.PROCEEDING, _T.PROVISIONAL): CallNext(_S.PROCEEDING, (_E.TELL_PROGRESS,)),
        (_S.PROCEEDING, _T.SUCCESS): _ANSWERED,
        (_S.PROCEEDING, _T.SUCCESS_WITH_OFFER): _ANSWERED_WITH_OFFER,
        (_S.PROCEEDING, _T.RETRY): CallNext(_S.CALLING, (_E.SEND_NEXT,)),
        (_S.PROCEEDING, _T.REFUSED): _REFUSED,
        (_S.PROCEEDING, _T.HANGUP): CallNext(_S.CANCELLING, (_E.SEND_CANCEL,)),
        (_S.HELD, _T.PROVISIONAL): CallNext(_S.CANCELLING, (_E.SEND_CANCEL,)),
        (_S.HELD, _T.SUCCESS): _CROSSED,
        (_S.HELD, _T.SUCCESS_WITH_OFFER): _CROSSED,
        (_S.HELD, _T.RETRY): _CANCELLED,
        (_S.HELD, _T.REFUSED): _CANCELLED,
        (_S.CANCELLING, _T.SUCCESS): _CROSSED,
        (_S.CANCELLING, _T.SUCCESS_WITH_OFFER): _CROSSED,
        (_S.CANCELLING, _T.RETRY): _CANCELLED,
        (_S.CANCELLING, _T.REFUSED): _CANCELLED,
        (_S.CANCELLING, _T.CANCEL_TIMEOUT): CallNext(_S.ENDED, (_E.ABANDON, _E.TELL_CANCELLED, _E.FINISH)),
        (_S.ANSWER_DUE, _T.ANSWER_OFFER): CallNext(_S.CONFIRMED, (_E.STOP_ANSWER_WAIT, _E.SEND_ACK)),
        (_S.ANSWER_DUE, _T.HANGUP): CallNext(_S.CLOSING, (_E.STOP_ANSWER_WAIT, _E.SEND_ACK, _E.SEND_BYE)),
        (_S.ANSWER_DUE, _T.ANSWER_TIMEOUT): CallNext(_S.CLOSING, (_E.SEND_ACK, _E.TELL_HUNG_UP, _E.SEND_BYE)),
        (_S.ANSWER_DUE, _T.BYE): CallNext(_S.ENDED, (_E.STOP_ANSWER_WAIT, _E.ACCEPT_BYE, _E.TELL_HUNG_UP, _E.FINISH)),
        (_S.ANSWER_DUE, _T.DIALOG_LOST): CallNext(
            _S.CLOSING, (_E.STOP_ANSWER_WAIT, _E.SEND_ACK, _E.TELL_HUNG_UP, _E.SEND_BYE)
        ),
        **_TALKING,
    },
    ignored={
        (_S.CALLING, _T.ANSWER_OFFER): _NO_OFFER,
        (_S.CALLING, _T.ANSWER_TIMEOUT): _NO_OFFER,
        (_S.CALLING, _T.BYE): _NO_DIALOG,
        (_S.CALLING, _T.DIALOG_LOST): _NO_DIALOG,
        (_S.CALLING, _T.BYE_DONE): _NO_BYE,
        (_S.CALLING, _T.CANCEL_TIMEOUT): _NO_CANCEL,
        (_S.PROCEEDING, _T.ANSWER_OFFER): _NO_OFFER,
        (_S.PROCEEDING, _T.ANSWER_TIMEOUT): _NO_OFFER,
        (_S.PROCEEDING, _T.BYE): "a callee ends an early dialog by its final response (RFC 3261 §15)",
        (_S.PROCEEDING, _T.DIALOG_LOST): "the INVITE's own final response decides",
        (_S.PROCEEDING, _T.BYE_DONE): _NO_BYE,
        (_S.PROCEEDING, _T.CANCEL_TIMEOUT): _NO_CANCEL,
        (_S.HELD, _T.HANGUP): "asked for already",
        (_S.HELD, _T.ANSWER_OFFER): _NO_OFFER,
        (_S.HELD, _T.ANSWER_TIMEOUT): _NO_OFFER,
        (_S.HELD, _T.BYE): _NO_DIALOG,
        (_S.HELD, _T.DIALOG_LOST): _NO_DIALOG,
        (_S.HELD, _T.BYE_DONE): _NO_BYE,
        (_S.HELD, _T.CANCEL_TIMEOUT): _NO_CANCEL,
        (_S.CANCELLING, _T.HANGUP): "asked for already",
        (_S.CANCELLING, _T.PROVISIONAL): "nobody listens to progress any more",
        (_S.CANCELLING, _T.ANSWER_OFFER): _NO_OFFER,
        (_S.CANCELLING, _T.ANSWER_TIMEOUT): _NO_OFFER,
        (_S.CANCELLING, _T.BYE): "the INVITE's own final response decides",
        (_S.CANCELLING, _T.DIALOG_LOST): "the INVITE's own final response decides",
        (_S.CANCELLING, _T.BYE_DONE): _NO_BYE,
        (_S.ANSWER_DUE, _T.PROVISIONAL): _FINAL_SEEN,
        (_S.ANSWER_DUE, _T.SUCCESS): _MORE_2XX,
        (_S.ANSWER_DUE, _T.SUCCESS_WITH_OFFER): _MORE_2XX,
        (_S.ANSWER_DUE, _T.RETRY): _FINAL_SEEN,
        (_S.ANSWER_DUE, _T.REFUSED): _FINAL_SEEN,
        (_S.ANSWER_DUE, _T.CANCEL_TIMEOUT): _NO_CANCEL,
        (_S.ANSWER_DUE, _T.BYE_DONE): _NO_BYE,
        (_S.CONFIRMED, _T.PROVISIONAL): _FINAL_SEEN,
        (_S.CONFIRMED, _T.SUCCESS): _MORE_2XX,
        (_S.CONFIRMED, _T.SUCCESS_WITH_OFFER): _MORE_2XX,
        (_S.CONFIRMED, _T.RETRY): _FINAL_SEEN,
        (_S.CONFIRMED, _T.REFUSED): _FINAL_SEEN,
        (_S.CONFIRMED, _T.CANCEL_TIMEOUT): _NO_CANCEL,
        (_S.CONFIRMED, _T.ANSWER_OFFER): _NO_OFFER,
        (_S.CONFIRMED, _T.ANSWER_TIMEOUT): _NO_OFFER,
        (_S.CLOSING, _T.PROVISIONAL): _OVER,
        (_S.CLOSING, _T.SUCCESS): _MORE_2XX,
        (_S.CLOSING, _T.SUCCESS_WITH_OFFER): _MORE_2XX,
        (_S.CLOSING, _T.RETRY): _OVER,
        (_S.CLOSING, _T.REFUSED): _OVER,
        (_S.CLOSING, _T.CANCEL_TIMEOUT): _OVER,
        (_S.CLOSING, _T.ANSWER_OFFER): _OVER,
        (_S.CLOSING, _T.ANSWER_TIMEOUT): _OVER,
        **_TALKING_IGNORED,
    },
)
