"""How long callers wait for the first word of a prompt that was never said before: one caller, and ten at once."""

from __future__ import annotations

import asyncio
from typing import Any

from benchmarks.callers import percentile
from benchmarks.figures import Figure, Outcome, Table
from benchmarks.options import SECOND_NUMBER, Options
from ringback.phones.phone import Phone
from ringback.testing.answer_server import AnswerServer, AppReply, AppRequest
from ringback.testing.platform import Platform

_ENGINES = ("piper", "flite", "espeak")
_CITIES = ("Lisbon", "Chicago", "Singapore", "Montreal", "Helsinki", "Auckland", "Nairobi", "Oslo", "Denver", "Kyoto")
_SETTLED_S = 20.0
_TOGETHER = 10
_ROUNDS = 3


class _Application:
    """Answers every call with a sentence that was not said before."""

    def __init__(self) -> None:
        self._said = 0

    def __call__(self, request: AppRequest) -> AppReply:
        city = _CITIES[self._said % len(_CITIES)]
        self._said += 1
        text = f"Your train to {city} leaves at {self._said} past five from platform {self._said + 3}."
        return AppReply(f"<Response><Speak>{text}</Speak></Response>".encode())


async def run(options: Options) -> Outcome:
    """Say ten new sentences with every engine that is installed, one after the other."""
    outcome = Outcome("Speech")
    rows: list[tuple[str, ...]] = []
    crowd_rows: list[tuple[str, ...]] = []
    best: list[float] = []
    for engine in _ENGINES:
        first, waits, crowd = await _measure(engine, options)
        if first is None:
            outcome.remarks.append(f"{engine} is not installed.")
            continue
        best = best or waits
        figures = (first, percentile(waits, 50), percentile(waits, 95), max(waits))
        rows.append((engine, *(f"{value:.0f}" for value in figures)))
        crowd_figures = (min(crowd), percentile(crowd, 50), percentile(crowd, 95), max(crowd))
        crowd_rows.append((engine, *(f"{value:.0f}" for value in crowd_figures)))
    outcome.figures.append(
        Figure("one sentence, new, warm: document runs → first sample leaves, p95",
               percentile(best, 95) if best else None, 300, 150, "ms", digits=0)
    )  # fmt: skip
    outcome.remarks.append(
        f"{len(_CITIES)} new sentences of 60 characters, one call at a time. From the start of `<Speak>` to the first "
        "sample that leaves the media worker, by the call's event log. The first column is the first sentence after "
        "the start of the server without `speech.preload`: program and voice are loaded. The figure is the most "
        "natural voice's."
    )
    outcome.tables.append(
        Table("First audio of a new sentence", ("engine", "cold, ms", "p50, ms", "p95, ms", "worst, ms"), tuple(rows))
    )
    outcome.tables.append(
        Table(
            f"First audio when {_TOGETHER} callers come at once, each with a new sentence",
            ("engine", "first of them, ms", "p50, ms", "p95, ms", "worst, ms"),
            tuple(crowd_rows),
        )
    )
    return outcome


async def _measure(engine: str, options: Options) -> tuple[float | None, list[float], list[float]]:
    """Return the wait for the first sentence of all, for each later one, and for those of a crowd; nothing without the
    engine.
    """
    application = AnswerServer(_Application())
    await application.start()
    phone = Phone()
    await phone.start()
    try:
        start = Platform.start(
            workers=options.workers,
            apps={SECOND_NUMBER: application.url},
            settings={"RINGBACK_SPEECH__PREFER": engine},
        )
        with start as platform:
            waits = []
            for _ in range(1 + len(_CITIES)):
                wait_ms = await _first_audio_ms(platform, phone, engine)
                if wait_ms is None:
                    return None, [], []
                waits.append(wait_ms)
            crowd: list[float] = []
            for _ in range(_ROUNDS):
                together = [_first_audio_ms(platform, phone, engine) for _ in range(_TOGETHER)]
                crowd += [wait_ms for wait_ms in await asyncio.gather(*together) if wait_ms is not None]
            return waits[0], waits[1:], crowd
    finally:
        await phone.close()
        await application.close()


async def _first_audio_ms(platform: Platform, phone: Phone, engine: str) -> float | None:
    call = await phone.call(platform.uri(SECOND_NUMBER))
    await call.until_answered()
    await call.until_ended(_SETTLED_S)
    rows = await asyncio.to_thread(platform.api.events, call.call_uuid)
    speech = _first(rows, "media", event="speech")
    if speech is None or speech["fields"]["engine"] != engine:
        return None
    begun = _first(rows, "element", phase="started", name="Speak")
    heard = _first(rows, "media", event="play started")
    assert begun is not None
    assert heard is not None
    return float(heard["at_ms"] - begun["at_ms"])


def _first(rows: list[dict[str, Any]], kind: str, **fields: str) -> dict[str, Any] | None:
    return next(
        (row for row in rows if row["kind"] == kind and fields.items() <= row["fields"].items()),
        None,
    )
