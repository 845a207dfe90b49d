"""All transitions of re-INVITEs inside a confirmed dialog, as data (RFC 3261 §14)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class ReofferState(Enum):
    """Who renegotiates, and how far it has got."""

    IDLE = "nobody renegotiates"
    SENT = "our re-INVITE waits for its final response"
    ANSWER_DUE = "the 200 brought an offer, the owner's answer is due"
    BACKOFF = "refused with 491, to be repeated"
    RECEIVED = "the peer's re-INVITE waits for the owner"
    ACCEPTED = "the peer's re-INVITE was answered 200, ACK not seen"

    __hash__ = object.__hash__


class ReofferTrigger(Enum):
    """What can happen to a renegotiation."""

    OFFER = "owner: re-INVITE"
    ANSWER_OFFER = "owner: answer to the offer in a 200"
    ACCEPT = "owner: 200 to the peer's re-INVITE"
    REFUSE = "owner: failure to the peer's re-INVITE"
    INVITE = "peer: re-INVITE"
    CANCEL = "peer: CANCEL of its re-INVITE"
    ACK = "peer: ACK of our 200"
    ACK_TIMEOUT = "no ACK in 64 × T1"
    SUCCESS = "peer: 2xx"
    SUCCESS_WITH_OFFER = "peer: 2xx with an offer that the owner must answer"
    AUTHORIZED = "peer: 401 or 407 for which we have credentials"
    GLARE = "peer: 491"
    GLARE_OVER = "back-off after 491 is over"
    REFUSED = "peer: other failure"
    LOST = "peer: 408, 481, or silence"
    ANSWER_TIMEOUT = "owner gave no answer to the offer in a 200"

    __hash__ = object.__hash__


class ReofferEffect(Enum):
    """What a transition makes the renegotiation do."""

    SEND_INVITE = "send our re-INVITE"
    SEND_ACK = "send the ACK of the 2xx"
    SEND_SUCCESS = "send the owner's 200 and repeat it until the ACK"
    SEND_FAILURE = "send the owner's failure"
    SEND_PENDING = "send 491"
    SEND_RETRY_LATER = "send 500 with Retry-After (RFC 3261 §14.2)"
    SEND_TERMINATED = "send 487"
    STOP_SUCCESS = "stop repeating the 200"
    START_BACKOFF = "draw and arm the back-off (RFC 3261 §14.1)"
    STOP_BACKOFF = "give up our postponed re-INVITE"
    START_ANSWER_WAIT = "limit the owner's time to answer"
    STOP_ANSWER_WAIT = "the owner has answered"
    TELL_REOFFERED = "report the peer's re-INVITE"
    TELL_CONFIRMED = "report the ACK"
    TELL_ANSWERED = "report the 2xx"
    TELL_REFUSED = "report the failure of our re-INVITE"
    TELL_LOST = "report that the dialog is gone"

    __hash__ = object.__hash__


@dataclass(frozen=True, slots=True)
class ReofferNext:
    """The outcome of a transition."""

    state: ReofferState
    effects: tuple[ReofferEffect, ...] = ()


_S, _T, _E = ReofferState, ReofferTrigger, ReofferEffect

REOFFER_TABLE: Mapping[tuple[ReofferState, ReofferTrigger], ReofferNext] = {
    (_S.IDLE, _T.OFFER): ReofferNext(_S.SENT, (_E.SEND_INVITE,)),
    (_S.IDLE, _T.INVITE): ReofferNext(_S.RECEIVED, (_E.TELL_REOFFERED,)),
    (_S.SENT, _T.INVITE): ReofferNext(_S.SENT, (_E.SEND_PENDING,)),
    (_S.SENT, _T.SUCCESS): ReofferNext(_S.IDLE, (_E.SEND_ACK, _E.TELL_ANSWERED)),
    (_S.SENT, _T.SUCCESS_WITH_OFFER): ReofferNext(_S.ANSWER_DUE, (_E.START_ANSWER_WAIT, _E.TELL_ANSWERED)),
    (_S.SENT, _T.AUTHORIZED): ReofferNext(_S.SENT, (_E.SEND_INVITE,)),
    (_S.SENT, _T.GLARE): ReofferNext(_S.BACKOFF, (_E.START_BACKOFF,)),
    (_S.SENT, _T.REFUSED): ReofferNext(_S.IDLE, (_E.TELL_REFUSED,)),
    (_S.SENT, _T.LOST): ReofferNext(_S.IDLE, (_E.TELL_REFUSED, _E.TELL_LOST)),
    (_S.ANSWER_DUE, _T.INVITE): ReofferNext(_S.ANSWER_DUE, (_E.SEND_PENDING,)),
    (_S.ANSWER_DUE, _T.ANSWER_OFFER): ReofferNext(_S.IDLE, (_E.STOP_ANSWER_WAIT, _E.SEND_ACK)),
    (_S.ANSWER_DUE, _T.ANSWER_TIMEOUT): ReofferNext(_S.IDLE, (_E.SEND_ACK, _E.TELL_LOST)),
    (_S.BACKOFF, _T.GLARE_OVER): ReofferNext(_S.SENT, (_E.SEND_INVITE,)),
    # The peer's offer changes what ours was made from: the owner decides anew.
    (_S.BACKOFF, _T.INVITE): ReofferNext(_S.RECEIVED, (_E.STOP_BACKOFF, _E.TELL_REFUSED, _E.TELL_REOFFERED)),
    (_S.RECEIVED, _T.INVITE): ReofferNext(_S.RECEIVED, (_E.SEND_RETRY_LATER,)),
    (_S.RECEIVED, _T.ACCEPT): ReofferNext(_S.ACCEPTED, (_E.SEND_SUCCESS,)),
    (_S.RECEIVED, _T.REFUSE): ReofferNext(_S.IDLE, (_E.SEND_FAILURE,)),
    (_S.RECEIVED, _T.CANCEL): ReofferNext(_S.IDLE, (_E.SEND_TERMINATED,)),
    (_S.ACCEPTED, _T.INVITE): ReofferNext(_S.ACCEPTED, (_E.SEND_PENDING,)),
    (_S.ACCEPTED, _T.ACK): ReofferNext(_S.IDLE, (_E.STOP_SUCCESS, _E.TELL_CONFIRMED)),
    (_S.ACCEPTED, _T.ACK_TIMEOUT): ReofferNext(_S.IDLE, (_E.STOP_SUCCESS, _E.TELL_LOST)),
}

_NOT_SENT = "no re-INVITE of ours is out"
_NOT_RECEIVED = "no re-INVITE of the peer waits"
_BUSY = "one renegotiation at a time; the owner asks again later"

REOFFER_IGNORED: Mapping[tuple[ReofferState, ReofferTrigger], str] = {
    **{
        (state, trigger): _NOT_SENT
        for state in (_S.IDLE, _S.ANSWER_DUE, _S.BACKOFF, _S.RECEIVED, _S.ACCEPTED)
        for trigger in (_T.SUCCESS, _T.SUCCESS_WITH_OFFER, _T.AUTHORIZED, _T.GLARE, _T.REFUSED, _T.LOST)
    },
    **{
        (state, trigger): _NOT_RECEIVED
        for state in (_S.IDLE, _S.SENT, _S.ANSWER_DUE, _S.BACKOFF, _S.ACCEPTED)
        for trigger in (_T.ACCEPT, _T.REFUSE, _T.CANCEL)
    },
    **{
        (state, trigger): "no 200 of ours waits for its ACK"
        for state in (_S.IDLE, _S.SENT, _S.ANSWER_DUE, _S.BACKOFF, _S.RECEIVED)
        for trigger in (_T.ACK, _T.ACK_TIMEOUT)
    },
    **{
        (state, trigger): "no offer waits for an answer"
        for state in (_S.IDLE, _S.SENT, _S.BACKOFF, _S.RECEIVED, _S.ACCEPTED)
        for trigger in (_T.ANSWER_OFFER, _T.ANSWER_TIMEOUT)
    },
    **{
        (state, _T.GLARE_OVER): "armed in BACKOFF only"
        for state in (_S.IDLE, _S.SENT, _S.ANSWER_DUE, _S.RECEIVED, _S.ACCEPTED)
    },
    **{(state, _T.OFFER): _BUSY for state in (_S.SENT, _S.ANSWER_DUE, _S.BACKOFF, _S.RECEIVED, _S.ACCEPTED)},
}
