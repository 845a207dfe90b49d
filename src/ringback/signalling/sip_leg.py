"""One leg on SIP: drives its state machine, its INVITE usage and its media session."""

from __future__ import annotations

from collections.abc import Callable
from enum import Enum

from ringback.ids import LegId, SessionId
from ringback.media.control.commands import SessionCommand
from ringback.signalling.events import LegEvent

LegListener = Callable[[LegEvent], None]
"""Called on the loop with every event of one leg, in order; must not block or raise."""


class LegDirection(Enum):
    """Who called whom, from our side."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class SipLeg:
    """One side of a call: one SIP dialog and one media session.

    Attributes:
        leg_id, session_id: Minted by `Legs`; the media session exists from `answer` (inbound) or the start (outbound).
        direction: Inbound or outbound.
        call_uuid: Names the call in the event log and in `X-CallUUID`; may be replaced before the first event.
        caller, callee: Digits without `+`, or a `sip:` URI.
        caller_name: Display name, empty when absent or withheld.
        is_anonymous: The caller withheld the number; `caller` is then `anonymous`.
        diverted_from: Who forwarded the call here (digits or URI), empty if nobody.
        sip_headers: Headers of the INVITE (inbound) or of the 2xx (outbound), names and values, in order.
        custom_headers: Those headers that start with `X-PH-`, with that prefix.
        source_host: Address of the signalling peer.
        trunk_name: The trunk that the call came or leaves by, or empty.
    """

    leg_id: LegId
    session_id: SessionId
    direction: LegDirection
    call_uuid: str
    caller: str
    callee: str
    caller_name: str
    is_anonymous: bool
    diverted_from: str
    sip_headers: tuple[tuple[str, str], ...]
    custom_headers: tuple[tuple[str, str], ...]
    source_host: str
    trunk_name: str

    @property
    def listener(self) -> LegListener | None:
        """Receives every event of the leg; events that came before it was set are delivered when it is set."""
        raise NotImplementedError

    @listener.setter
    def listener(self, listener: LegListener | None) -> None:
        raise NotImplementedError

    @property
    def is_answered(self) -> bool:
        """Return whether a 2xx was sent or received and the leg lives."""
        raise NotImplementedError

    @property
    def has_ended(self) -> bool:
        """Return whether `LegEnded` was reported."""
        raise NotImplementedError

    async def ring(self) -> None:
        """Send 180 to the caller; without effect when it was sent, or the leg is answered or over."""
        raise NotImplementedError

    async def answer(self) -> None:
        """Open the media session, negotiate, send 200 and return when audio can flow; repeating it is harmless.

        Raises:
            LegOver: The leg ended before it was answered (the caller gave up, or it was rejected).
            MediaError: No media session within the limit, or no common codec; a final response was sent and
                `LegEnded` follows.
        """
        raise NotImplementedError

    async def reject(self, status: int, reason: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Refuse an inbound call with a final status of 300 to 699 and return when the leg has ended.

        An answered leg is hung up instead; an ended one is left alone.
        """
        raise NotImplementedError

    async def hangup(self, q850: int = 16, text: str = "") -> None:
        """End the leg by BYE, CANCEL or a final response, as its state needs; return when it has ended. Idempotent."""
        raise NotImplementedError

    async def end_for_media_timeout(self) -> None:
        """End the leg like `hangup`, reported as `LegEndKind.MEDIA_TIMEOUT`: for an owner that got `MediaTimedOut`."""
        raise NotImplementedError

    async def media(self, command: SessionCommand) -> None:
        """Send a command to the leg's media session and return when the worker accepts it.

        Raises:
            LegOver: The leg has ended or its session is not open yet.
            MediaError: The worker refused the command or died.
        """
        raise NotImplementedError

    async def send_info(self, content_type: str, body: bytes) -> None:
        """Send a SIP INFO inside the dialog."""
        raise NotImplementedError

    async def wait_ended(self) -> None:
        """Return when `LegEnded` was reported."""
        raise NotImplementedError
