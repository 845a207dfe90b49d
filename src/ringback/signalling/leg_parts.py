"""What a leg is built from."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ringback.sdp.session import SessionDescription
from ringback.sip.endpoint import InviteId, OutboundInvite


class LegDirection(Enum):
    """Who called whom, from our side."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


@dataclass(frozen=True, slots=True)
class InboundPart:
    """What an inbound leg starts from; `offer` is `None` when the INVITE brought no SDP."""

    invite_id: InviteId
    offer: SessionDescription | None


@dataclass(frozen=True, slots=True)
class OutboundPart:
    """What an outbound leg starts from: the INVITE without targets and SDP, and the URIs that lead to targets."""

    invite: OutboundInvite
    target_uris: tuple[str, ...]
    ring_timeout_ms: int
    is_customers_uri: bool = False
    """Whether a customer wrote the URI, so that its addresses must pass `LegServices.judge_target`."""
    endpoint: str = ""
    """User name of the endpoint whose phones ring, in place of what the URIs lead to."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Parties:
    """Who is on both ends; see the attributes of `SipLeg`."""

    caller: str
    callee: str
    caller_name: str = ""
    is_anonymous: bool = False
    diverted_from: str = ""
    source_host: str = ""
    trunk_name: str = ""
    sip_headers: tuple[tuple[str, str], ...] = ()
    endpoint_id: str = ""
