"""One call of a virtual caller and what it heard, with assertions that show the whole call when they fail."""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from pathlib import Path

from ringback.phones.checks import HEARD_DBOV
from ringback.phones.main import CallReport, CallRequest, run_call
from ringback.phones.script import CallScript
from ringback.phones.sound_files import read_sound, write_wav
from ringback.phones.timeline import Line
from ringback.phones.tones import Samples, find, level_dbov, melody
from ringback.testing.platform import Platform

_AFTER_SOUND_MS = 1_000
_OUR_MELODY_MS = 3_000
_PIECE_SAMPLES = 4_000


@dataclass(frozen=True, slots=True)
class DialledCall:
    """A call that is over. `report` has every figure, `timeline` what phone and platform say happened."""

    report: CallReport
    timeline: tuple[str, ...]

    @property
    def first_audio_ms(self) -> int | None:
        """Return how long after the answer the caller heard the first sound; `None` for silence."""
        return self.report.heard.first_audio_ms

    @property
    def digits(self) -> str:
        """Return the keys that the other side pressed."""
        return self.report.digits_heard

    def save(self, path: Path | str) -> None:
        """Write what the caller heard as an 8 kHz wav file."""
        write_wav(Path(path), self.report.heard_samples)

    def assert_answered(self) -> None:
        """Check that the call was answered."""
        __tracebackhide__ = True
        end = self.report.end
        if not self.report.was_answered:
            self._fail(f"the call was not answered: {end.status or ''} {end.reason}".rstrip(": "))

    def assert_heard(self, *, within_ms: int | None = None, at_least_ms: int = 100) -> None:
        """Check that the caller heard something.

        Args:
            within_ms: How long after the answer the first sound may come; any time by default.
            at_least_ms: How much sound there must be in all.
        """
        __tracebackhide__ = True
        self.assert_answered()
        heard = self.report.heard
        if heard.sound_ms < at_least_ms:
            self._fail(f"heard {heard.sound_ms} ms of sound in {self.report.talk_ms} ms, expected {at_least_ms} ms")
        if within_ms is not None and (heard.first_audio_ms is None or heard.first_audio_ms > within_ms):
            self._fail(
                f"the first sound came {heard.first_audio_ms} ms after the answer, expected within {within_ms} ms"
            )

    def assert_heard_sound(self, sound: Path | str | Samples, *, likeness: float = 0.6) -> None:
        """Check that the caller heard a certain sound, at any time and volume.

        Args:
            sound: A wav or mp3 file, or samples at 8 kHz.
            likeness: 1 is an exact copy; a good line reaches 0.9, a very busy machine 0.7; another melody 0.55.
        """
        __tracebackhide__ = True
        self.assert_answered()
        wanted = read_sound(Path(sound)) if isinstance(sound, (Path, str)) else sound
        heard = self.report.heard_samples
        found = _likeness(wanted, heard)
        if found < likeness:
            name = sound if isinstance(sound, (Path, str)) else "the sound"
            self._fail(f"heard {name} with a likeness of {max(found, 0):.2f}, expected {likeness:.2f}")

    def assert_heard_itself(self, *, likeness: float = 0.5) -> None:
        """Check that what the caller said came back: what an echoing agent does."""
        __tracebackhide__ = True
        self.assert_answered()
        if self.report.heard.likeness < likeness:
            self._fail(f"heard itself with a likeness of {self.report.heard.likeness:.2f}, expected {likeness:.2f}")

    def _fail(self, what: str) -> None:
        __tracebackhide__ = True
        raise AssertionError("\n".join([what, f"call {self.report.call_uuid or 'without an id'}", *self.timeline]))


def dial(
    platform: Platform,
    number: str,
    *,
    says: Path | str | Samples | None = None,
    for_s: float | None = None,
    digits: str = "",
    caller: str = "15550009999",
) -> DialledCall:
    """Call a number of the platform, listen, hang up, and return what became of it.

    Blocks the test's thread; it may be used in tests with a running event loop too.

    Args:
        number: A number, or a `sip:` URI.
        says: What the caller says once it is answered: a wav or mp3 file, or samples. Default: a melody of 3 s.
        for_s: How long the caller stays. Default: as long as it talks, and 1 s.
        digits: Keys that it presses 1 s after the answer; `w` waits 0.5 s.
        caller: Its own number.
    """
    samples = melody(seed=1, duration_ms=_OUR_MELODY_MS) if says is None else _samples(says)
    talk_ms = len(samples) // 8 + _AFTER_SOUND_MS if for_s is None else int(for_s * 1_000)
    request = CallRequest(
        uri=number if number.startswith("sip:") else platform.uri(number.lstrip("+")),
        caller=caller,
        samples=samples,
        script=CallScript(talk_ms=talk_ms, digits=digits),
        api=platform.api,
    )
    lines: list[Line] = []
    reports: list[CallReport] = []
    failures: list[BaseException] = []

    def run() -> None:
        try:
            reports.append(asyncio.run(run_call(request, lines.append)))
        except BaseException as failure:
            failures.append(failure)

    # A thread, because the test may stand inside a running loop.
    caller_thread = threading.Thread(target=run, name="virtual-caller")
    caller_thread.start()
    caller_thread.join()
    if failures:
        raise failures[0]
    start_ms = lines[0].wall_ms if lines else 0
    return DialledCall(reports[0], tuple(line.shown(start_ms) for line in lines))


def _likeness(wanted: Samples, heard: Samples) -> float:
    """Return how well the pieces of half a second of `wanted` are found in `heard`, in the mean.

    Pieces, because a line that loses or gains 20 ms in between has not made another sound of it.
    """
    if not len(wanted) or not len(heard):
        return 0.0
    starts = range(0, max(len(wanted) - _PIECE_SAMPLES // 2, 1), _PIECE_SAMPLES)
    pieces = [wanted[start : start + _PIECE_SAMPLES] for start in starts]
    audible = [piece for piece in pieces if level_dbov(piece) > HEARD_DBOV]
    return sum(find(piece, heard).likeness for piece in audible) / len(audible) if audible else 0.0


def _samples(sound: Path | str | Samples) -> Samples:
    return read_sound(Path(sound)) if isinstance(sound, (Path, str)) else sound
