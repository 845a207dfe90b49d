"""Digits on their way out of a leg."""

from __future__ import annotations

from ringback.media.codecs.g711 import FRAME_SAMPLES, Law
from ringback.media.codecs.l16 import to_native
from ringback.media.rtp.sender import Datagram, RtpSender
from ringback.media.rtp.telephone_event import DIGITS, EventSender, plan_digits
from ringback.media.tone import digit_tone


class SentDigits:
    """Digits on their way to the far party, as telephone events or, without that, as tones.

    State: `queue`, then `send_slot` once per slot while `is_busy`.
    """

    __slots__ = ("_audio", "_limit", "_sender")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._sender = EventSender()
        self._audio = b""

    @property
    def is_busy(self) -> bool:
        """Return whether the next slot belongs to a digit or a pause."""
        return self._sender.is_busy

    def queue(self, digits: str, tone_ms: int, gap_ms: int) -> bool:
        """Queue `0-9*#A-D`, `w` 0.5 s, `W` 1 s; `False` when unusable or too many wait."""
        plans = plan_digits(digits, tone_ms, gap_ms)
        if plans is None or self._sender.waiting + len(plans) > self._limit:
            return False
        self._sender.queue(plans)
        return True

    def send_slot(self, law: Law, sender: RtpSender, event_type: int, out: list[Datagram]) -> tuple[bytes, str]:
        """Send this slot's part; returns the audio that the slot carries, and the digits that are complete with it."""
        plan = self._sender.current
        is_start = self._sender.elapsed_ms == 0
        packet, complete = self._sender.next_slot(sender.timestamp)
        frame = law.silence
        if event_type >= 0:
            if packet is not None:
                sender.send_event(event_type, packet.timestamp, packet.payload, out, marker=packet.marker)
        else:
            if plan is not None and is_start and plan.event >= 0:
                self._audio = law.encode(to_native(digit_tone(DIGITS[plan.event], plan.tone_ms)))
            if self._audio:
                frame = self._audio[:FRAME_SAMPLES]
                frame += law.silence[len(frame) :]
                self._audio = self._audio[FRAME_SAMPLES:]
            sender.send_frame(frame, out)
        return frame, complete
