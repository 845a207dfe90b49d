"""What the INVITE usage reports. Of one `InviteId` the events come in order; `InviteEnded` comes exactly once, last.

Incoming: `InviteReceived` → (`CancelReceived` | `HungUp` | `reject` by the owner | `answer` → `Confirmed` | `HungUp`).
Outgoing: `Progressed`* → (`Refused` | `Answered` → … `HungUp` | `hangup` by the owner). Then `InviteEnded`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ringback.sip.flow import Flow
from ringback.sip.invite.values import InviteId
from ringback.sip.message import SipRequest, SipResponse


class EndDetail(Enum):
    """Why an outgoing call attempt or an established dialog ended; `REMOTE` is the ordinary case."""

    REMOTE = "remote"
    """The peer said so: a final response, a BYE."""
    TIMEOUT = "timeout"
    """No target answered in time (Timer B)."""
    TRANSPORT = "transport"
    """No target could be reached."""
    CANCELLED = "cancelled"
    """We cancelled; the status is the peer's 487, or 487 made here when a 200 crossed or nothing came."""
    CREDENTIALS = "credentials"
    """The peer wants a password we do not have, or refused ours twice."""
    NO_ACK = "no-ack"
    """Our 200 was never acknowledged in 64 × T1."""
    NO_ANSWER_IN_ACK = "no-answer-in-ack"
    """We offered in the 200 and the ACK brought no answer."""
    NO_ANSWER_FROM_OWNER = "no-answer-from-owner"
    """The peer offered in its 200 and nobody called `ack_with` in 64 × T1."""
    DIALOG_GONE = "dialog-gone"
    """The peer answered a request inside the dialog with 408 or 481, or not at all (RFC 5057)."""
    LIMIT = "limit"
    """One of our own tables is full."""


@dataclass(frozen=True, slots=True)
class InviteReceived:
    """A new incoming call. A 100 follows by itself after 200 ms; the owner calls `progress`, `answer` or `reject`.

    `offer` is the SDP part of the body, or None for a delayed offer: then `answer` carries our offer.
    """

    invite_id: InviteId
    request: SipRequest
    flow: Flow
    offer: bytes | None


@dataclass(frozen=True, slots=True)
class CancelReceived:
    """The caller gave up before our final response; 200 and 487 have been sent. `request` is None for an early BYE."""

    invite_id: InviteId
    request: SipRequest | None


@dataclass(frozen=True, slots=True)
class Confirmed:
    """The ACK of our 200 arrived; `sdp` is the answer if the 200 carried our offer, else None."""

    invite_id: InviteId
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class Progressed:
    """A provisional response above 100; responses of different forks differ in `response.to.tag`."""

    invite_id: InviteId
    status: int
    reason: str
    sdp: bytes | None
    response: SipResponse


@dataclass(frozen=True, slots=True)
class Answered:
    """The first 2xx. The ACK has been sent, unless we sent no offer: then `sdp` is one and `ack_with` answers it.

    `fork` is the index in `OutboundInvite.forks` of the phone that answered.
    """

    invite_id: InviteId
    sdp: bytes | None
    response: SipResponse
    fork: int = 0


@dataclass(frozen=True, slots=True)
class Refused:
    """The outgoing call will not be answered. `response` is None when `local`: then the status is our own."""

    invite_id: InviteId
    status: int
    reason: str
    response: SipResponse | None
    local: bool
    detail: EndDetail


@dataclass(frozen=True, slots=True)
class Reoffered:
    """The peer sent a re-INVITE; the owner calls `accept_reoffer` or `refuse_reoffer`.

    `sdp` is the new offer, or None when the peer asks for ours.
    """

    invite_id: InviteId
    sdp: bytes | None
    request: SipRequest


@dataclass(frozen=True, slots=True)
class ReofferConfirmed:
    """The ACK of our 200 to a re-INVITE arrived; `sdp` is the answer if that 200 carried our offer."""

    invite_id: InviteId
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class ReofferAnswered:
    """The peer accepted our re-INVITE. If that asked for an offer, `sdp` is one and `ack_with` answers it."""

    invite_id: InviteId
    sdp: bytes | None
    response: SipResponse


@dataclass(frozen=True, slots=True)
class ReofferRefused:
    """The peer refused our re-INVITE, or it timed out (408): the old session goes on. A 491 is repeated unseen."""

    invite_id: InviteId
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class InfoReceived:
    """An INFO with a body of a known type, already answered 200."""

    invite_id: InviteId
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class InfoAnswered:
    """The final status of an INFO that we sent; 408 if none came."""

    invite_id: InviteId
    status: int


@dataclass(frozen=True, slots=True)
class HungUp:
    """An answered call is over and it was not our `hangup`. `request` is the peer's BYE, if one came."""

    invite_id: InviteId
    request: SipRequest | None
    detail: EndDetail


@dataclass(frozen=True, slots=True)
class InviteEnded:
    """Nothing of this INVITE usage is left; the id is free."""

    invite_id: InviteId


InviteEvent = (
    InviteReceived
    | CancelReceived
    | Confirmed
    | Progressed
    | Answered
    | Refused
    | Reoffered
    | ReofferConfirmed
    | ReofferAnswered
    | ReofferRefused
    | InfoReceived
    | InfoAnswered
    | HungUp
    | InviteEnded
)
