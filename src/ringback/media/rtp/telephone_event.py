"""Digits as RTP events: recognising them, sending them.

Spec: RFC 4733; reference: sip.md section 8. Clock 8000 Hz, events 0 to 15.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from ringback.machine import MS, Instant
from ringback.media.rtp.packet import TIMESTAMP_MASK

PAYLOAD = struct.Struct("!BBH")
"""Event; end bit, reserved bit and volume; duration."""
DIGITS = "0123456789*#ABCD"
END_BIT = 0x80
VOLUME_DBM0 = 10
"""Sent as -10 dBm0."""
LOST_END_NS = 120 * MS
"""Silence after which an event without end packet is over."""
SEGMENT = 0xFFFF
"""Duration at which a long event goes on in a new segment (RFC 4733 §2.5.1.3)."""

_REMEMBERED = 16
_FRAME_SAMPLES = 160
_FRAME_MS = 20
_UPDATE_MS = 50
_END_PACKETS = 3


@dataclass(slots=True)
class _Event:
    ssrc: int
    event: int
    timestamp: int
    heard: Instant
    has_ended: bool


class EventReceiver:
    """Finds the digits in a leg's telephone events: one per (SSRC, event, timestamp), whatever is lost or repeated.

    State: survives renegotiation; `is_active` tells that a key is held.
    """

    def __init__(self) -> None:
        self._last: _Event | None = None
        # Lists here and below: most calls carry no digits, and an empty deque takes 760 bytes of every call.
        self._seen: list[tuple[int, int, int]] = []

    def is_active(self, now: Instant) -> bool:
        """Return whether an event goes on: neither ended nor silent for 120 ms."""
        last = self._last
        return last is not None and not last.has_ended and now - last.heard < LOST_END_NS

    def take(self, now: Instant, ssrc: int, timestamp: int, payload: bytes) -> str | None:
        """Take one event payload; returns the digit when this packet is the first of a key press.

        A payload that is too short or not a digit gives `None`. Redundant blocks after the first are not read.
        """
        if len(payload) < PAYLOAD.size:
            return None
        event, flags, _duration = PAYLOAD.unpack_from(payload)
        if event >= len(DIGITS):
            return None
        has_ended = bool(flags & END_BIT)
        key = (ssrc, event, timestamp)
        last = self._last
        if key in self._seen:
            if last is not None and (last.ssrc, last.event, last.timestamp) == key:
                last.heard = now
                last.has_ended = last.has_ended or has_ended
            return None
        self._seen.append(key)
        del self._seen[:-_REMEMBERED]
        is_segment = (
            last is not None
            and self.is_active(now)
            and last.ssrc == ssrc
            and last.event == event
            and (last.timestamp + SEGMENT) & TIMESTAMP_MASK == timestamp
        )
        self._last = _Event(ssrc, event, timestamp, now, has_ended)
        return None if is_segment else DIGITS[event]


@dataclass(frozen=True, slots=True)
class EventPacket:
    """A telephone event to send in this slot; the timestamp is that of its first packet."""

    payload: bytes
    timestamp: int
    marker: bool


@dataclass(frozen=True, slots=True)
class DigitPlan:
    """One digit or pause to send; `ends` names the command text that is complete after it."""

    event: int
    """-1 is a pause."""
    tone_ms: int
    gap_ms: int
    ends: str = ""


def plan_digits(digits: str, tone_ms: int, gap_ms: int) -> list[DigitPlan] | None:
    """Return the plan of a digit string, or `None` when a character is unusable or nothing is left.

    `w` waits 0.5 s, `W` 1 s, and `@ms` at the end sets the tone's length. Tones last 40 to 6000 ms, gaps 40 to 6000.
    """
    text, _, override = digits.partition("@")
    if override:
        if not (override.isascii() and override.isdigit() and len(override) <= 5):
            return None
        tone_ms = int(override)
    tone_ms = min(max(tone_ms, 40), 6000)
    gap_ms = min(max(gap_ms, 40), 6000)
    plan: list[DigitPlan] = []
    for index, character in enumerate(text):
        ends = digits if index == len(text) - 1 else ""
        if character in "wW":
            plan.append(DigitPlan(-1, 0, 500 if character == "w" else 1000, ends))
            continue
        event = DIGITS.find(character.upper())
        if event < 0:
            return None
        plan.append(DigitPlan(event, tone_ms, gap_ms, ends))
    return plan or None


class EventSender:
    """Sends planned digits, one slot of 20 ms at a time.

    Shape: a first packet with marker, updates each 50 ms, the last packet three times, duration growing in the event
    clock while the timestamp stands. State: `is_busy` while digits or gaps remain.
    """

    def __init__(self) -> None:
        self._plans: list[DigitPlan] = []
        self._elapsed_ms = 0
        self._timestamp = 0
        self._next_update_ms = 0
        self._ends_left = 0

    @property
    def is_busy(self) -> bool:
        """Return whether digits or the gap behind them remain."""
        return bool(self._plans)

    @property
    def waiting(self) -> int:
        """Return how many digits and pauses are queued."""
        return len(self._plans)

    @property
    def current(self) -> DigitPlan | None:
        """Return the digit or pause of the next slot."""
        return self._plans[0] if self._plans else None

    @property
    def elapsed_ms(self) -> int:
        """Return how long `current` has been going on."""
        return self._elapsed_ms

    def queue(self, plans: list[DigitPlan]) -> None:
        """Append planned digits."""
        self._plans.extend(plans)

    def clear(self) -> None:
        """Forget everything."""
        self._plans.clear()
        self._elapsed_ms = 0

    def next_slot(self, timestamp: int) -> tuple[EventPacket | None, str]:
        """Return this slot's packet, if any, and the digit string that is complete after this slot, else "".

        `timestamp` is the RTP time of the slot; an event keeps that of its first slot.
        """
        if not self._plans:
            return None, ""
        plan = self._plans[0]
        if self._elapsed_ms == 0:
            self._timestamp = timestamp
            self._next_update_ms = 0
            self._ends_left = _END_PACKETS if plan.event >= 0 else 0
        is_first = self._elapsed_ms == 0
        self._elapsed_ms += _FRAME_MS
        packet = None
        if plan.event >= 0:
            packet = self._event_packet(plan, is_first)
        if self._elapsed_ms >= plan.tone_ms + plan.gap_ms and self._ends_left == 0:
            self._plans.pop(0)
            self._elapsed_ms = 0
            return packet, plan.ends
        return packet, ""

    def _event_packet(self, plan: DigitPlan, is_first: bool) -> EventPacket | None:
        if self._elapsed_ms >= plan.tone_ms and not is_first:
            if self._ends_left == 0:
                return None
            self._ends_left -= 1
            return self._packet(plan.event | END_BIT << 8, plan.tone_ms, marker=False)
        if self._elapsed_ms < self._next_update_ms:
            return None
        self._next_update_ms += _UPDATE_MS
        return self._packet(plan.event, self._elapsed_ms, marker=is_first)

    def _packet(self, event_and_end: int, duration_ms: int, *, marker: bool) -> EventPacket:
        event, end = event_and_end & 0xFF, event_and_end >> 8
        payload = PAYLOAD.pack(event, end | VOLUME_DBM0, duration_ms * _FRAME_SAMPLES // _FRAME_MS)
        return EventPacket(payload, self._timestamp, marker)
