"""The play queue of a leg: agent audio of any chunk size in, one 20 ms frame per slot out.

Chunks are kept as they came and turned into the leg's law when their turn comes, at most 200 ms at once, so a chunk of
a minute costs no more per slot than small ones. µ-law for a µ-law leg is never touched.

Delay. Audio is played at the next slot. What counts is the margin: how long before the queue would have run dry a
chunk came. It is kept between a reserve (2.5 ms, more after gaps) and 5 ms more, by asking the owner to move the slots
(`on_move`). An agent that sends in real time with jitter runs dry now and then:

- the start of its next utterance then waits for 20 ms more (at most 60), less again after utterances without a gap;
- silence that was played in a gap of up to 1 s, or in a longer one that the agent makes up for, would delay an agent
  that never pauses for the rest of the call. When chunks are small and come at the pace of real time, the surplus is
  cut out again, cross-faded, within 1 s of the gap: as it is, or not at all (`delay_policy`), or in pauses first; what
  finds none in time is then cut where it is quietest. Faster senders (synthesised speech) are never cut.
  `benchmarks/media_session.py` counts the cost.

Abrupt ends (queue empty, audio cleared) lead to silence within 2 ms.
"""

from __future__ import annotations

import audioop
from collections import deque
from collections.abc import Callable

from ringback.machine import MS, Instant
from ringback.media.codecs.concealment import CROSSFADE_SAMPLES, ramp_down, shortened
from ringback.media.codecs.convert import ULAW_8K, Downlink, unit_bytes
from ringback.media.codecs.g711 import FRAME_SAMPLES, PCMU, Law
from ringback.media.codecs.l16 import samples_of
from ringback.media.control.values import AudioFormat, DelayPolicy, Encoding

SAMPLES_PER_MS = 8
_CONVERT_SAMPLES = 10 * FRAME_SAMPLES
_GAP_SLOTS = 10
"""A gap up to 200 ms is an agent out of breath; a longer one is a pause between utterances."""
_DEBT_SLOTS = 50
"""Silence of gaps longer than 1 s is no delay: the agent had nothing to say."""
_DEBT_MAX = 5 * 8000
_STALL_MAX_SLOTS = 250
"""After up to 5 s an agent that sent in real time and now sends just as much as it missed has stalled."""
_STALL_TOLERANCE_SLOTS = 3
_START_STEP = FRAME_SAMPLES
_START_MAX = 3 * FRAME_SAMPLES
_PACE_SLOTS = 20
"""Slots over which an agent's pace is judged (400 ms)."""
_PACE_MIN = 17 * FRAME_SAMPLES
_PACE_MAX = 23 * FRAME_SAMPLES
_PACED_CHUNK_MAX = 3 * FRAME_SAMPLES
_FRAME_NS = 20 * MS
_SAMPLE_NS = _FRAME_NS // FRAME_SAMPLES
_STEP_NS = 5 * MS
"""Slots are moved in steps of the worker's phases."""
_STEPS_MAX = 3
_RESERVE_MIN_NS = 5 * MS // 2
_RESERVE_MAX_NS = _RESERVE_MIN_NS + 2 * _STEP_NS
"""What a chunk's arrival may vary by before the queue runs dry."""
_CALM_WINDOWS = 25
"""Judged windows without a gap (10 s) before the reserve shrinks by a step. A gap after as many says that something
stood still once, not that the agent varies: the reserve grows with the next one."""
_SEARCH_SLOTS = 25
"""How long a pause is waited for at most before audio is cut out of speech (0.5 s)."""
_BACK_SLOTS = 48
"""Slots after a gap until the delay that it made is undone, whatever the policy: 1 s, less two slots that what was
decided takes to be heard."""
_PAUSE_RMS = 260
"""About -42 dBov."""
_BURST_SEARCH_SLOTS = 8
"""The same where two windows may have gone by until the delay was seen."""
_AS_QUIET = 1.25
"""Within 2 dB."""
_LOUDEST = 1 << 17
"""Louder than any two frames."""
_GRACE_NS = 1000 * MS
"""Gaps this soon after slots in which the queue stood still say nothing about the agent."""
_EARLIER_AFTER = 2
_EARLIER_AFTER_GAP = 4
_EARLIER_AFTER_LATER = 12
"""Judged windows before slots are moved earlier: one may have been lucky, and slots shall not move to and fro."""
_GROWTH_MAX_NS = 2 * _FRAME_NS
_FAR_NS = 1 << 60
_FORMATS_MAX = 4
_QUIET_LEVEL = 64


class _Chunk:
    """Agent audio that waits for conversion; `at` bytes of it are converted."""

    __slots__ = ("at", "audio", "format")

    def __init__(self, audio: bytes, format: AudioFormat) -> None:
        self.audio = audio
        self.format = format
        self.at = 0


class Playout:
    """The play queue; positions and sizes count samples of the leg.

    State: `queue` on arrival, `take` once per slot, `skip_slot` for slots in which something else is sent.
    """

    __slots__ = (
        "_baseline",
        "_calm",
        "_carry",
        "_carry_format",
        "_carry_slots",
        "_chunk_max",
        "_converters",
        "_debt",
        "_due",
        "_earlier_in",
        "_gap_slots",
        "_grace_until",
        "_had_gap",
        "_has_searched",
        "_is_playing",
        "_last",
        "_law",
        "_least_margin",
        "_listen_slots",
        "_lowest_margin",
        "_may_keep",
        "_native",
        "_offset",
        "_on_move",
        "_owed_at",
        "_pace_received",
        "_pace_run",
        "_pace_slots",
        "_pieces",
        "_quietest",
        "_reserve",
        "_run_of_last",
        "_search_count",
        "_search_slots",
        "_settled",
        "_stall_level",
        "_stall_slots",
        "_start_level",
        "_start_wait",
        "delay_policy",
        "gaps",
        "incomplete_samples",
        "level",
        "max_samples",
        "position",
        "trimmed_samples",
    )

    def __init__(self, law: Law, max_ms: int, on_move: Callable[[int], int] = lambda by_ns: 0) -> None:
        self._on_move = on_move
        """Asked to let this and all later slots come so many nanoseconds later, or earlier when negative; returns by
        how many they will."""
        self.level = 0
        """Samples queued."""
        self.position = 0
        """Samples that left the queue since the start: played, cleared or cut out."""
        self.max_samples = max_ms * SAMPLES_PER_MS
        self.delay_policy = DelayPolicy.DROP_OLDEST
        self.gaps = 0
        """How often an utterance ran dry and went on within 200 ms."""
        self.incomplete_samples = 0
        """How often the rest of one of the agent's samples never came."""
        self.trimmed_samples = 0
        """Samples cut out to undo delay."""
        self._law = law
        self._native = ULAW_8K if law is PCMU else None
        self._pieces: deque[bytes | _Chunk] = deque()
        self._offset = 0
        self._carry = b""
        self._carry_format = ULAW_8K
        self._carry_slots = 0
        """For how many slots it has waited behind an empty queue."""
        self._converters: dict[AudioFormat, Downlink] = {}
        self._last = b""
        self._is_playing = False
        self._gap_slots = _DEBT_SLOTS
        self._had_gap = False
        self._start_level = 0
        self._start_wait = 0
        self._debt = 0
        self._due = 0
        self._owed_at = -_FAR_NS
        self._grace_until = 0
        self._pace_slots = _PACE_SLOTS
        self._pace_received = 0
        self._pace_run = 0
        self._run_of_last = 0
        self._stall_slots = 0
        self._stall_level = 0
        self._search_count = 0
        self._search_slots = 0
        self._listen_slots = 0
        self._has_searched = False
        self._may_keep = False
        self._quietest = _LOUDEST
        self._chunk_max = 0
        self._least_margin = _FAR_NS
        self._lowest_margin = _FAR_NS
        self._earlier_in = _EARLIER_AFTER
        self._baseline = 0
        self._reserve = _RESERVE_MIN_NS
        self._calm = 0
        self._settled = _CALM_WINDOWS

    @property
    def level_ms(self) -> int:
        """Return the queued time."""
        return self.level // SAMPLES_PER_MS

    @property
    def silent_slots(self) -> int:
        """Return for how many slots the queue has been dry."""
        return self._gap_slots

    @property
    def end_position(self) -> int:
        """Return the position behind the last queued sample."""
        return self.position + self.level

    def set_law(self, law: Law) -> None:
        """Change the leg's law; queued audio is translated."""
        if law is self._law:
            return
        table = law.from_other
        self._pieces = deque(piece.translate(table) if type(piece) is bytes else piece for piece in self._pieces)
        self._last = self._last.translate(table)
        self._converters.clear()
        self._law = law
        self._native = ULAW_8K if law is PCMU else None

    def queue(self, now: Instant, audio: bytes, format: AudioFormat) -> bool:
        """Append a chunk; `False` when it does not fit into the queue, which then is unchanged.

        What makes no whole sample of the leg waits for the next chunk of the same format, until 1 s after the queue ran
        dry: half a sample joined with the next utterance would make noise of all of it.
        """
        if format is self._native:
            samples = len(audio)
            if self.level + samples > self.max_samples:
                return False
            if self._carry:
                self._drop_carry()
            if samples == 0:
                return True
            self._pieces.append(audio)
        else:
            unit = unit_bytes(format)
            if self._carry:
                if self._carry_format == format:
                    audio = self._carry + audio
                else:
                    self._drop_carry()
            samples = len(audio) // unit
            if self.level + samples > self.max_samples:
                return False
            rest = len(audio) - samples * unit
            self._carry = audio[len(audio) - rest :] if rest else b""
            self._carry_format = format
            self._carry_slots = 0
            if samples == 0:
                return True
            self._pieces.append(_Chunk(audio[: len(audio) - rest] if rest else audio, format))
        margin = self._due - now + self.level * _SAMPLE_NS
        if margin < self._least_margin:
            self._least_margin = margin
        self.level += samples
        self._pace_received += samples
        if samples > self._chunk_max:
            self._chunk_max = samples
        return True

    def _drop_carry(self) -> None:
        # Whole samples of a higher rate that make none of the leg's: less than 0.125 ms, and no fault of the agent's.
        if self._carry_format.encoding is Encoding.L16 and len(self._carry) % 2:
            self.incomplete_samples += 1
        self._carry = b""

    def take(self, now: Instant) -> bytes | None:
        """Return this slot's frame of 160 law bytes, or `None` for silence."""
        level = self.level
        if level < FRAME_SAMPLES or not self._is_playing:
            return self._take_at_edge(now)
        self._due = now + _FRAME_NS
        self._pace_slots -= 1
        if self._pace_slots <= 0:
            self._judge_pace()
            level = self.level
        self.level = level - FRAME_SAMPLES
        self.position += FRAME_SAMPLES
        piece = self._pieces[0]
        if self._offset == 0 and type(piece) is bytes and len(piece) == FRAME_SAMPLES:
            self._last = piece
            self._pieces.popleft()
            return piece
        self._last = frame = self._cut(FRAME_SAMPLES)
        return frame

    def skip_slot(self, slots: int = 1) -> None:
        """Note slots in which the queue stood still: digits were sent, or the process missed them."""
        if self._is_playing:
            self._owe(slots * FRAME_SAMPLES)
            self._due += slots * _FRAME_NS
            self._owed_at = self._due
            self._grace_until = self._due + _GRACE_NS
            self._earlier_in = 0

    def clear(self) -> int:
        """Drop everything queued and return how many samples that was; the next frame fades out."""
        dropped = self.level
        self._pieces.clear()
        self._offset = 0
        self._carry = b""
        self.position += dropped
        self.level = 0
        self._debt = 0
        self._pace_run = 0
        for converter in self._converters.values():
            converter.reset()
        return dropped

    # -- edges ---------------------------------------------------------------------------------------------------

    def _take_at_edge(self, now: Instant) -> bytes | None:
        """Return the frame at the start or the end of an utterance, or during silence."""
        if self._is_playing:
            return self._run_dry()
        if self.level == 0:
            self._gap_slots += 1
            self._start_wait = 0
            if self._gap_slots == _GAP_SLOTS + 1:
                self._adapt_start()
            if self._gap_slots == _DEBT_SLOTS:
                self._debt = 0
                self._pace_run = 0
            if self._carry:
                self._carry_slots += 1
                if self._carry_slots == _DEBT_SLOTS:
                    self._drop_carry()
            return None
        is_resuming = self._gap_slots <= _GAP_SLOTS
        if is_resuming:
            self.gaps += 1
            self._had_gap = True
            self._calm = 0
            if now >= self._grace_until:
                self._wait_before_earlier(_EARLIER_AFTER_GAP)
                if self._settled < _CALM_WINDOWS:
                    self._reserve = min(self._reserve + _STEP_NS, _RESERVE_MAX_NS)
                self._settled = 0
        elif self.level < FRAME_SAMPLES + self._start_level and self._start_wait < self._start_level:
            self._start_wait += FRAME_SAMPLES
            return None
        if self._gap_slots < _DEBT_SLOTS:
            self._owe(self._gap_slots * FRAME_SAMPLES + self._start_wait)
        elif self._run_of_last > 1 and self._gap_slots <= _STALL_MAX_SLOTS:
            self._stall_slots, self._stall_level = self._gap_slots, self.level
        self._start_wait = 0
        self._owed_at = now
        self._is_playing = True
        self._gap_slots = 0
        self._reset_pace()
        return self.take(now) if self.level >= FRAME_SAMPLES else self._run_dry()

    def _adapt_start(self) -> None:
        """Let the last utterance decide how long the next ones wait at their start."""
        if self._had_gap:
            self._start_level = min(self._start_level + _START_STEP, _START_MAX)
        else:
            self._start_level = max(self._start_level - _START_STEP // 4, 0)
        self._had_gap = False

    def _run_dry(self) -> bytes | None:
        """Play what is left, fade out and wait for more."""
        self._is_playing = False
        self._run_of_last = self._pace_run
        self._stall_slots = 0
        self._gap_slots = 0 if self.level else 1
        count = self.level
        self.level = 0
        self.position += count
        if count:
            self._owe(FRAME_SAMPLES - count)
        rest = self._cut(count) if count else b""
        for converter in self._converters.values():
            converter.reset()
        last = (rest or self._last)[-1:]
        self._last = b""
        level = int(samples_of(self._law.decode(last))[0]) if last else 0
        if abs(level) > _QUIET_LEVEL:
            return rest + self._law.encode(ramp_down(level, FRAME_SAMPLES - count))
        return rest + self._law.silence[count:] if count else None

    # -- pace ----------------------------------------------------------------------------------------------------

    def _reset_pace(self) -> None:
        self._pace_slots = _PACE_SLOTS
        self._search_slots = 0
        self._pace_received = 0
        self._chunk_max = 0
        self._least_margin = _FAR_NS

    def _judge_pace(self) -> None:
        """Bring the margin of an agent that sends in real time to its reserve: cut surplus out, ask for a move."""
        if self._search_slots:
            self._search_pause()
            return
        if self._stall_slots:
            self._judge_stall()
        is_paced = _PACE_MIN <= self._pace_received <= _PACE_MAX and self._chunk_max <= _PACED_CHUNK_MAX
        margin = self._least_margin
        self._reset_pace()
        if not is_paced:
            self._pace_run = 0
            self._lowest_margin = _FAR_NS
            return
        self._calm += 1
        self._settled += 1
        if self._calm >= _CALM_WINDOWS:
            self._calm = 0
            if self._reserve > _RESERVE_MIN_NS:
                self._reserve -= _STEP_NS
                # A gap soon after shows that it was too early.
                self._settled = 0
        self._baseline = margin if self._pace_run == 0 else min(self._baseline, margin)
        self._pace_run += 1
        growth = margin - self._baseline
        surplus = min(self._debt * _SAMPLE_NS, margin - self._reserve)
        if growth >= _GROWTH_MAX_NS:
            # The agent's clock is fast.
            surplus = max(surplus, growth - _FRAME_NS)
        surplus = min(surplus, (self.level - FRAME_SAMPLES) * _SAMPLE_NS)
        self._earlier_in -= 1
        if surplus >= _FRAME_NS and self.delay_policy is not DelayPolicy.KEEP:
            count = surplus // _FRAME_NS * FRAME_SAMPLES
            if self.delay_policy is DelayPolicy.SHORTEN_SILENCE:
                self._begin_search(count)
                return
            self._cut_out(count)
            margin -= count * _SAMPLE_NS
            self._lowest_margin = _FAR_NS
        else:
            self._has_searched = False
        self._lowest_margin = min(self._lowest_margin, margin)
        if margin < self._reserve:
            self._wait_before_earlier(_EARLIER_AFTER_LATER)
            self._move(min(-((margin - self._reserve) // _STEP_NS), _STEPS_MAX))
        elif self._earlier_in <= 0:
            steps = (self._lowest_margin - self._reserve) // _STEP_NS
            if steps > _STEPS_MAX:
                # Of more than a frame, the rest is the agent's cushion.
                steps = min(self._debt * _SAMPLE_NS // _STEP_NS, _STEPS_MAX)
            self._wait_before_earlier(_EARLIER_AFTER)
            self._move(-steps)

    def _judge_stall(self) -> None:
        """Own up to a long gap if the agent sent in one go what it would have sent in the gap: it did not pause."""
        missed = self._stall_slots * FRAME_SAMPLES
        surplus = self._stall_level + self._pace_received - _PACE_SLOTS * FRAME_SAMPLES
        if abs(surplus - missed) <= missed // 10 + _STALL_TOLERANCE_SLOTS * FRAME_SAMPLES:
            self._owe(missed)
        self._stall_slots = 0

    def _begin_search(self, count: int) -> None:
        """Look for pauses to take the surplus out of, for as long as the second since the gap lasts."""
        left = _BACK_SLOTS - (self._due - self._owed_at) // _FRAME_NS
        self._may_keep = False
        if left > -_BACK_SLOTS:
            self._search_slots = min(max(left, 1), _SEARCH_SLOTS)
        else:
            # No gap made it: a burst, up to two windows ago, or the agent's clock, which may wait for a pause.
            self._may_keep = count == FRAME_SAMPLES
            self._search_slots = 1 if self._has_searched and not self._may_keep else _BURST_SEARCH_SLOTS
        self._has_searched = True
        self._listen_slots = self._search_slots // 2
        self._search_count = count
        self._quietest = _LOUDEST
        self._search_pause()

    def _search_pause(self) -> None:
        """Cut quiet frames out as they come, and what is left of the surplus at a quiet place before time is up.

        That place is the first in the second half of the time that is as quiet as the quietest of the first half.
        """
        self._search_slots -= 1
        self._search_count = min(self._search_count, (self.level // FRAME_SAMPLES - 1) * FRAME_SAMPLES)
        while self._search_count > 0 and self._loudness(1)[0] < _PAUSE_RMS:
            self._cut_out(FRAME_SAMPLES)
            self._search_count -= FRAME_SAMPLES
        if self._search_count > 0 and not self._may_keep:
            ends = self._loudness(self._search_count // FRAME_SAMPLES + 1)
            loudness = ends[0] + ends[-1]
            if self._search_slots >= self._listen_slots and self._search_slots:
                self._quietest = min(self._quietest, loudness)
            elif loudness <= self._quietest * _AS_QUIET or not self._search_slots:
                self._cut_out(self._search_count)
                self._search_count = 0
        if self._search_count > 0 and self._search_slots:
            self._pace_slots = 1
        else:
            self._search_slots = 0
            self._lowest_margin = _FAR_NS
            self._reset_pace()

    def _loudness(self, frames: int) -> list[int]:
        """Return the root mean squares of the next frames, which stay queued."""
        front = self._cut(frames * FRAME_SAMPLES)
        if self._offset:
            first = self._pieces[0]
            assert type(first) is bytes
            self._pieces[0] = first[self._offset :]
            self._offset = 0
        self._pieces.appendleft(front)
        pcm = self._law.decode(front)
        size = 2 * FRAME_SAMPLES
        return [audioop.rms(pcm[at : at + size], 2) for at in range(0, len(pcm), size)]

    def _wait_before_earlier(self, windows: int) -> None:
        self._earlier_in = max(self._earlier_in, windows)
        self._lowest_margin = _FAR_NS

    def _move(self, steps: int) -> None:
        if steps:
            by_ns = self._on_move(steps * _STEP_NS)
            self._due += by_ns
            self._owe(by_ns // _SAMPLE_NS)

    def _owe(self, samples: int) -> None:
        """Note delay of our making, which is no cushion of the agent's."""
        self._debt = min(max(self._debt + samples, 0), _DEBT_MAX)
        self._baseline += samples * _SAMPLE_NS

    def _cut_out(self, count: int) -> None:
        """Remove `count` samples from the front, cross-faded into what follows."""
        span = min(count + CROSSFADE_SAMPLES, self.level)
        joined = self._law.encode(shortened(self._law.decode(self._cut(span)), count))
        if self._offset:
            first = self._pieces[0]
            assert type(first) is bytes
            self._pieces[0] = first[self._offset :]
            self._offset = 0
        self._pieces.appendleft(joined)
        dropped = span - len(joined)
        self.level -= dropped
        self.position += dropped
        self.trimmed_samples += dropped
        self._debt = max(self._debt - dropped, 0)
        self._baseline -= dropped * _SAMPLE_NS

    # -- pieces --------------------------------------------------------------------------------------------------

    def _cut(self, count: int) -> bytes:
        """Return the next `count` queued samples as law bytes; the caller keeps the accounts."""
        pieces = self._pieces
        parts: list[bytes] = []
        while count > 0:
            piece = pieces[0]
            if isinstance(piece, _Chunk):
                piece = self._convert_head(piece)
            start = self._offset
            part = piece[start : start + count]
            count -= len(part)
            if start + len(part) == len(piece):
                pieces.popleft()
                self._offset = 0
            else:
                self._offset = start + len(part)
            parts.append(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _convert_head(self, chunk: _Chunk) -> bytes:
        """Turn the first 200 ms of the chunk at the head into a piece of law bytes before it."""
        size = _CONVERT_SAMPLES * unit_bytes(chunk.format)
        if chunk.at == 0 and len(chunk.audio) <= size:
            raw = chunk.audio
            self._pieces.popleft()
        else:
            raw = chunk.audio[chunk.at : chunk.at + size]
            chunk.at += len(raw)
            if chunk.at >= len(chunk.audio):
                self._pieces.popleft()
        converter = self._converters.get(chunk.format)
        if converter is None:
            if len(self._converters) >= _FORMATS_MAX:
                self._converters.clear()
            converter = self._converters[chunk.format] = Downlink(chunk.format, self._law)
        piece = converter.process(raw)
        self._pieces.appendleft(piece)
        return piece
