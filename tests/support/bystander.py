"""A caller in a process of its own, which nothing that a test does to its own loop can disturb.

It calls an echoing number, plays one steady tone, and judges in the end how much of the tone came back:
`python -m tests.support.bystander URI` prints a line when it hears itself, and its verdict when stdin ends or the call
does.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass

import numpy as np

from ringback.phones.call import PhoneCall
from ringback.phones.checks import HEARD_DBOV
from ringback.phones.phone import Phone, PhoneSettings
from ringback.phones.tones import level_dbov, levels_dbov, purity, tone
from tests.support.waiting import until

PITCH_HZ = 620
LEVEL_DBOV = -15.0
GAP_MAX_MS = 60
"""What a call may miss that nothing hit: three packets."""
_LONGEST_MS = 120_000
_LOUD_DBOV = LEVEL_DBOV - 15
_WINDOW_MS = 20
_JUDGED_MS = 2_000
_TAIL_MS = 500
"""What was sent last has not come back when the call ends; nobody judges it."""


@dataclass(frozen=True)
class Verdict:
    """What came back of the tone, from its first sound to half a second before the end."""

    ended_by: str
    """Who ended the call: `us` (told to), `them`, `nobody`."""
    heard_ms: int
    quiet_ms: int
    longest_gap_ms: int
    purity: float
    """Share of the power at the tone's pitch: the median over pieces of 0.1 s of the last two seconds."""
    level_dbov: float
    stalled_ms: int
    """The longest time for which this process itself got no processor; nobody on the machine did better."""

    def assert_whole(self) -> None:
        """Check that the tone came back without a gap, but for what the machine's own stalls explain."""
        assert self.heard_ms, self
        assert self.longest_gap_ms <= GAP_MAX_MS + 3 * self.stalled_ms, self
        # Gaps of a stalled machine cost purity; a stranger's louder tone would leave nearly nothing of it.
        assert self.purity > (0.9 if self.stalled_ms <= GAP_MAX_MS else 0.5), self


def judged(call: PhoneCall, stalled_ms: float) -> Verdict:
    """Return the verdict on a call that is over."""
    samples = call.heard_samples()
    levels = levels_dbov(samples)
    first = int(np.argmax(levels > HEARD_DBOV)) if len(levels) else 0
    levels = levels[first : max(len(levels) - _TAIL_MS // _WINDOW_MS, first)]
    longest = run = 0
    for is_quiet in levels < _LOUD_DBOV:
        run = run + 1 if is_quiet else 0
        longest = max(longest, run)
    last = samples[first * 160 : -_TAIL_MS * 8][-_JUDGED_MS * 8 :]
    pieces = last[: len(last) // 800 * 800].reshape(-1, 800)
    assert call.end is not None
    return Verdict(
        ended_by=call.end.by,
        heard_ms=_WINDOW_MS * len(levels),
        quiet_ms=_WINDOW_MS * int(np.sum(levels < _LOUD_DBOV)),
        longest_gap_ms=_WINDOW_MS * longest,
        purity=round(float(np.median([purity(piece, PITCH_HZ) for piece in pieces])), 3) if len(pieces) else 0.0,
        level_dbov=round(level_dbov(last), 1),
        stalled_ms=round(stalled_ms),
    )


async def run(uri: str) -> None:
    """Call, wait for the end of stdin or of the call, and print the verdict."""
    phone = Phone(PhoneSettings(user="15550007777"))
    await phone.start()
    call = await phone.call(uri)
    await call.until_answered()
    call.play(tone(PITCH_HZ, _LONGEST_MS, level_dbov=LEVEL_DBOV))
    await until(lambda: level_dbov(call.heard_samples()[-800:]) > _LOUD_DBOV, "the own echo")
    _say({"call_uuid": call.call_uuid})
    told = asyncio.ensure_future(_end_of_stdin())
    ended = asyncio.ensure_future(call.until_ended(timeout_s=_LONGEST_MS / 1000))
    await asyncio.wait((told, ended), return_when=asyncio.FIRST_COMPLETED)
    told.cancel()
    call.hang_up()
    with contextlib.suppress(TimeoutError):
        await call.until_ended(timeout_s=2)
    await phone.close()
    _say(asdict(judged(call, phone.pacer.worst_lateness_ms)))


async def _end_of_stdin() -> None:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


def _say(fact: object) -> None:
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


class Bystander:
    """The process as the test holds it."""

    def __init__(self, process: asyncio.subprocess.Process, call_uuid: str) -> None:
        self.call_uuid = call_uuid
        self._process = process

    async def verdict(self, *, after_s: float = 0, is_told: bool = True, timeout_s: float = 30) -> Verdict:
        """Return what was heard once the call is over.

        Args:
            after_s: For how long the call goes on before it is ended, if it does.
            is_told: Whether the bystander is told to end the call; else the other side must.
        """
        await asyncio.sleep(after_s)
        assert self._process.stdin is not None
        if is_told:
            self._process.stdin.close()
        return Verdict(**await _hear(self._process, timeout_s))


@asynccontextmanager
async def bystander(uri: str) -> AsyncIterator[Bystander]:
    """Run one; it hears itself when the block begins."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.support.bystander", uri),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        yield Bystander(process, (await _hear(process, 40))["call_uuid"])
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
        await process.wait()


async def _hear(process: asyncio.subprocess.Process, timeout_s: float) -> dict[str, str]:
    assert process.stdout is not None
    async with asyncio.timeout(timeout_s):
        line = await process.stdout.readline()
    assert line, "the bystander said nothing"
    fact: dict[str, str] = json.loads(line)
    return fact


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1]))
