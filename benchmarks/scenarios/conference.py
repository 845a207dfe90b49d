"""Conferences of 10 phones that all talk at once, on one media worker and spread over all of them."""

from __future__ import annotations

import asyncio
import gc

from benchmarks.figures import Figure, Outcome, Table
from benchmarks.options import SECOND_NUMBER, Options
from benchmarks.processes import CpuReading, CpuUse, Roles
from benchmarks.waiting import until
from ringback.phones.call import PhoneCall
from ringback.phones.phone import Phone
from ringback.phones.tones import goertzel_dbov, tone
from ringback.testing.answer_server import AnswerServer, AppReply, AppRequest
from ringback.testing.platform import Platform

MEMBERS = 10
_HEARD_DBOV = -34.0
_SILENT_DBOV = -50.0
_JUDGED_SAMPLES = 8 * 300
_TONE_MS = 120_000
_SETTLE_S = 1.0
_DOCUMENT = AppReply(b"<Response><Conference>Benchmark</Conference></Response>")


async def run(options: Options) -> Outcome:
    """Hold the conference twice and read what each phone hears."""
    outcome = Outcome("conference of 10")
    rows = []
    for workers in dict.fromkeys((1, options.workers)):
        use, roles, deaf = await _hold(workers, options.seconds)
        media = use.of(*roles.workers)
        if workers == 1:
            outcome.figures.append(
                Figure("CPU of a conference of 10, all talking, media", media, *(10.0, 5.0, "% of a core"), digits=2)
            )
        outcome.faults += [f"{workers} workers: a phone did not hear all others, or heard itself"] if deaf else []
        rows.append(
            (
                str(workers),
                f"{media:.2f}",
                " + ".join(f"{use.of(pid):.2f}" for pid in roles.workers),
                f"{use.of(roles.server):.2f}",
                f"{use.of(roles.generator):.1f}",
                f"{use.foreign:.1f}",
            )
        )
    outcome.tables.append(
        Table(
            "CPU, per cent of a core for the whole conference",
            ("media workers", "media", "each worker", "server", "generator", "foreign CPU"),
            tuple(rows),
        )
    )
    return outcome


async def _hold(workers: int, seconds: float) -> tuple[CpuUse, Roles, int]:
    """Return the use of CPU in a window, and how many phones heard something wrong."""

    async def answer(_request: AppRequest) -> AppReply:
        return _DOCUMENT

    application = AnswerServer(answer)
    await application.start()
    phones: list[Phone] = []
    try:
        with Platform.start(workers=workers, apps={SECOND_NUMBER: f"{application.url}/answer"}) as platform:
            pitches = [330.0 + 290.0 * index for index in range(MEMBERS)]
            calls: list[PhoneCall] = []
            for pitch in pitches:
                phone = Phone()
                phones.append(phone)
                await phone.start()
                call = await phone.call(platform.uri(SECOND_NUMBER))
                await call.until_answered()
                call.play(tone(pitch, _TONE_MS, level_dbov=-28))
                calls.append(call)
            await until(lambda: _wrong(calls, pitches) == 0, 10)
            await asyncio.sleep(_SETTLE_S)
            roles = Roles.of(platform)
            gc.collect()
            before = CpuReading.take(roles.all())
            await asyncio.sleep(seconds)
            use = CpuUse.between(before, CpuReading.take(roles.all()))
            # What a busy machine swallows is no fault of the mix: each phone has a moment in which all is right.
            judge = _Judge(calls, pitches)
            await until(judge.are_all_right, 10)
            wrong = len(judge.wrong)
            for call in calls:
                call.hang_up()
            await asyncio.gather(*(call.until_ended() for call in calls))
            return use, roles, wrong
    finally:
        for phone in phones:
            await phone.close()
        await application.close()


def _wrong(calls: list[PhoneCall], pitches: list[float]) -> int:
    """Return how many phones do not hear exactly the others now."""
    return sum(not _is_right(call, own, pitches) for own, call in zip(pitches, calls, strict=True))


def _is_right(call: PhoneCall, own: float, pitches: list[float]) -> bool:
    """Return whether a phone hears all others, and not itself, in the last 300 ms."""
    heard = call.heard_samples()[-_JUDGED_SAMPLES:]
    return all(
        goertzel_dbov(heard, pitch) < _SILENT_DBOV if pitch == own else goertzel_dbov(heard, pitch) > _HEARD_DBOV
        for pitch in pitches
    )


class _Judge:
    """Waits until every phone was right once; on a busy machine that is hardly ever at the same moment."""

    def __init__(self, calls: list[PhoneCall], pitches: list[float]) -> None:
        self.wrong = dict(zip(pitches, calls, strict=True))
        self._pitches = pitches

    def are_all_right(self) -> bool:
        """Look at those who were not right yet."""
        for own, call in tuple(self.wrong.items()):
            if _is_right(call, own, self._pitches):
                del self.wrong[own]
        return not self.wrong
