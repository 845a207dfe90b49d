"""What one leg tells its owner and the event log."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from ringback.ids import LegId
from ringback.media.control.commands import SetRemote
from ringback.media.control.events import AnySessionEvent
from ringback.media.control.values import Address
from ringback.signalling.events import (
    LegAnswered,
    LegConfirmed,
    LegEnd,
    LegEnded,
    LegEvent,
    LegMedia,
    LegRenegotiated,
    LegRinging,
)
from ringback.signalling.leg_parts import LegDirection
from ringback.telemetry.events import EventSink
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)

LegListener = Callable[[LegEvent], None]
"""Called on the loop with every event of one leg, in order; must not block or raise."""


class LegReports:
    """The events of one leg, in order, and its facts.

    State: nothing is told after `ended`. Events that come before there is a listener wait for it.
    """

    __slots__ = ("_direction", "_has_ended", "_leg_id", "_listener", "_timeline", "_unheard", "call_uuid")

    def __init__(
        self, timeline: EventSink, leg_id: LegId, direction: LegDirection, *, call_uuid: str, waiting_max: int
    ) -> None:
        self.call_uuid = call_uuid
        """Names the call in the event log; may be replaced before the first event."""
        self._timeline = timeline
        self._leg_id = leg_id
        self._direction = direction
        self._listener: LegListener | None = None
        self._unheard: deque[LegEvent] = deque(maxlen=waiting_max)
        self._has_ended = False

    @property
    def listener(self) -> LegListener | None:
        """Receives every event; those that came before it was set are delivered when it is set."""
        return self._listener

    @listener.setter
    def listener(self, listener: LegListener | None) -> None:
        self._listener = listener
        while self._listener is not None and self._unheard:
            self._tell(self._unheard.popleft())

    def note(self, what: str, **fields: object) -> None:
        """Record a fact in the event log."""
        self._timeline.record(
            self.call_uuid, "leg", {"event": what, "leg_id": self._leg_id, "direction": self._direction.value, **fields}
        )

    def ringing(self, status: int, *, has_early_media: bool) -> None:
        """Report a provisional response."""
        self.note("ringing", status=status, early_media=has_early_media)
        self._report(LegRinging(status, has_early_media))

    def answered(self, local: Address, remote: SetRemote) -> None:
        """Report the answer: audio can flow."""
        codec = remote.codec.name
        self.note("answered", codec=codec, local=_text(local), remote=_text(remote.address))
        self._report(LegAnswered(codec, local, remote.address))

    def confirmed(self) -> None:
        """Report the ACK."""
        self.note("confirmed")
        self._report(LegConfirmed())

    def renegotiated(self, remote: SetRemote) -> None:
        """Report that audio flows otherwise than before."""
        codec, direction = remote.codec.name, remote.direction
        self.note("renegotiated", codec=codec, remote=_text(remote.address), direction=direction.value)
        self._report(LegRenegotiated(codec, remote.address, direction))

    def media(self, event: AnySessionEvent) -> None:
        """Report what the media session does."""
        self._report(LegMedia(event))

    def ended(self, end: LegEnd) -> None:
        """Report the end; the last report."""
        self.note(
            "ended",
            kind=end.kind.value,
            status=end.sip_status,
            reason=end.sip_reason,
            reason_header=end.reason_header,
            detail=end.detail,
        )
        self._report(LegEnded(end))
        self._has_ended = True

    def _report(self, event: LegEvent) -> None:
        if self._has_ended:
            return
        if self._listener is None or self._unheard:
            self._unheard.append(event)
        else:
            self._tell(event)

    def _tell(self, event: LegEvent) -> None:
        listener = self._listener
        if listener is None:
            return
        try:
            listener(event)
        except Exception as error:
            # A broken owner must not keep ports and dialogs alive.
            _log.error("leg listener failed", call_uuid=self.call_uuid, leg_id=self._leg_id, exc_info=error)


def _text(address: Address) -> str:
    return f"{address.host}:{address.port}"
