"""What a leg reports to its owner, why it ended, and what a new outbound leg needs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from ringback.media.control.events import AnySessionEvent
from ringback.media.control.values import Address, MediaDirection
from ringback.numbers.trunks import Gateway, GatewayCredentials, NatMode


class LegEndKind(Enum):
    """Why a leg ended; `calls.hangup` maps it to the customer's cause."""

    REMOTE_HANGUP = "remote-hangup"
    """The far party sent BYE."""
    LOCAL_HANGUP = "local-hangup"
    """The owner called `hangup`."""
    REJECTED = "rejected"
    """The owner called `reject`; the status is the one we sent."""
    CANCELLED_BY_CALLER = "cancelled-by-caller"
    """The caller gave up before we answered."""
    REFUSED = "refused"
    """The callee, a proxy or the last gateway sent a final status of 300 or above."""
    RING_TIMEOUT = "ring-timeout"
    """Nobody answered within `ring_timeout_ms`; we cancelled."""
    REQUEST_TIMEOUT = "request-timeout"
    """The last gateway never answered the INVITE (Timer B)."""
    NO_ACK = "no-ack"
    """Our 200 was never acknowledged, or the ACK brought no answer to our offer."""
    TRANSPORT = "transport"
    """No gateway could be reached or resolved, or the dialog was lost."""
    MEDIA_TIMEOUT = "media-timeout"
    """The owner ended the leg after `MediaTimedOut`."""
    MEDIA_FAILED = "media-failed"
    """No media session could be opened or set in time."""
    WORKER_LOST = "worker-lost"
    """The media worker of the leg died."""
    NOT_REGISTERED = "not-registered"
    """No phone is registered as the endpoint that was dialled."""
    NO_COMMON_CODEC = "no-common-codec"
    """The far party's SDP is malformed, or shares no codec or profile with us."""


@dataclass(frozen=True, slots=True)
class LegEnd:
    """Why and how a leg ended. `sip_status` is 0 after an answered call; `detail` is for people."""

    kind: LegEndKind
    sip_status: int = 0
    sip_reason: str = ""
    reason_header: str = ""
    """The peer's `Reason` header (RFC 3326), as received."""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class LegRinging:
    """An outbound leg made progress: every 18x is reported. `has_early_media`: RTP flows already."""

    status: int
    has_early_media: bool


@dataclass(frozen=True, slots=True)
class LegAnswered:
    """The call is answered and audio is negotiated; `local` and `remote` are RTP addresses."""

    codec_name: str
    local: Address
    remote: Address


@dataclass(frozen=True, slots=True)
class LegConfirmed:
    """The ACK of our 200 arrived. Inbound legs only; it follows `LegAnswered`, except after a delayed offer."""


@dataclass(frozen=True, slots=True)
class LegRenegotiated:
    """A re-INVITE changed the audio; `direction` is from our side, so RECVONLY and INACTIVE mean: on hold."""

    codec_name: str
    remote: Address
    direction: MediaDirection


@dataclass(frozen=True, slots=True)
class LegMedia:
    """Something happened on the leg's media session. Digits by SIP INFO arrive as `DigitReceived` too, once each."""

    event: AnySessionEvent


@dataclass(frozen=True, slots=True)
class LegEnded:
    """The last event of a leg, exactly once, after its media session is released."""

    end: LegEnd


LegEvent = LegRinging | LegAnswered | LegConfirmed | LegRenegotiated | LegMedia | LegEnded


@dataclass(frozen=True, slots=True, kw_only=True)
class DialRequest:
    """An outbound leg to be made.

    Args:
        call_uuid: Sent as `X-CallUUID`; names the call in the event log.
        request_uri: `sip:` or `tel:` URI as it goes on the wire.
        from_uri: The caller: a URI, or only its user part, which is completed with `SignallingSettings.domain`.
        to_uri: The callee; empty means `request_uri`.
        from_display: Display name of the caller; characters a header cannot carry are dropped.
        targets: Gateways in the order to try; empty: where `request_uri` points.
        credentials: Answers to 401 and 407.
        headers: Complete extra headers, such as a trunk's own.
        custom_headers: The customer's `sip_headers`, sent as `X-PH-<name>`; reserved and malformed ones are dropped.
        ring_timeout_ms: From the INVITE to a 2xx.
        trunk_name: For logs and counts.
        codecs: Offered, in order of preference; empty: those of the settings.
        nat: Latching of the trunk.
        affinity: Legs with the same value share a media worker.
        max_forwards: How many further hops it may take; a leg dialled for another takes over its rest (RFC 7332).
        endpoint: User name of one of our endpoints: all its phones ring, wherever `request_uri` points.
        is_customers_uri: A customer wrote `request_uri`: its addresses must be allowed, those of gateways need not.
    """

    call_uuid: str
    request_uri: str
    from_uri: str
    to_uri: str = ""
    from_display: str = ""
    targets: tuple[Gateway, ...] = ()
    credentials: tuple[GatewayCredentials, ...] = ()
    headers: tuple[tuple[str, str], ...] = ()
    custom_headers: tuple[tuple[str, str], ...] = ()
    ring_timeout_ms: int = 120_000
    trunk_name: str = ""
    codecs: tuple[str, ...] = ()
    nat: NatMode = NatMode.AUTO
    affinity: str = ""
    endpoint: str = ""
    is_customers_uri: bool = False
    max_forwards: int = 70
