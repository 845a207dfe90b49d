"""Who answered: each rule by itself, then the committed greetings."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from tests.support.greetings import Samples, confusion, rest, tone, verdicts

from ringback.media.control.values import Answerer
from ringback.media.detect.answering_machine import MachineRules

DOCUMENT = Path(__file__).parents[3] / "docs" / "machine_detection.md"


def speech(ms: int) -> Samples:
    """Return a voice as the energy rules see it: a sound that is no clean tone."""
    wobble = np.sin(2 * np.pi * 3.1 * np.arange(8 * ms) / 8_000)
    return tone(180, 360, 610, 905, ms=ms, level=1_500) * (1 + 0.3 * wobble)


def judged(*parts: Samples, rules: MachineRules | None = None) -> list[tuple[Answerer, str]]:
    """Return the verdicts on these sounds, one after the other."""
    pcm = np.concatenate(parts).astype(np.int16).tobytes()
    return [(verdict.answerer, verdict.reason) for verdict in verdicts(pcm, rules)]


def test_few_words_and_silence_are_a_human() -> None:
    ((answerer, reason),) = judged(rest(500), speech(800), rest(3_000))
    assert answerer is Answerer.HUMAN
    assert reason.endswith("then 800 ms of silence")


def test_verdict_falls_as_soon_as_the_rule_fits() -> None:
    pcm = np.concatenate([rest(500), speech(800), rest(3_000)]).astype(np.int16).tobytes()
    assert 2_080 <= verdicts(pcm)[0].after_ms <= 2_200
    pcm = np.concatenate([rest(500), speech(6_000)]).astype(np.int16).tobytes()
    assert 4_080 <= verdicts(pcm)[0].after_ms <= 4_200


@pytest.mark.parametrize(
    ("rules", "reason"),
    [
        (MachineRules(), "greeting longer than 3600 ms"),
        (MachineRules(greeting_ms=1_000), "greeting longer than 1000 ms"),
        (MachineRules(greeting_ms=0, speech_ms=2_000), "more than 2000 ms of speech"),
        (MachineRules(greeting_ms=0, words=3), "more than 3 words"),
    ],
)
def test_long_greetings_are_machines(rules: MachineRules, reason: str) -> None:
    words = [part for _ in range(20) for part in (speech(300), rest(100))]
    assert judged(rest(200), *words, rules=rules)[0] == (Answerer.MACHINE, reason)


def test_silence_is_nobody() -> None:
    assert judged(rest(8_000)) == [(Answerer.UNKNOWN, "nothing said for 4500 ms")]
    assert judged(rest(8_000), rules=MachineRules(initial_silence_ms=0)) == [
        (Answerer.UNKNOWN, "no rule fitted within 5000 ms")
    ]


def test_click_is_no_word() -> None:
    assert judged(rest(500), speech(60), rest(6_000))[0][0] is Answerer.UNKNOWN


def test_rules_that_are_off_leave_it_open() -> None:
    nothing = MachineRules(initial_silence_ms=0, speech_ms=0, greeting_ms=0, silence_ms=0)
    assert judged(speech(3_000), rest(3_000), rules=nothing) == [(Answerer.UNKNOWN, "no rule fitted within 5000 ms")]


def test_beep_revises_a_verdict_once() -> None:
    found = judged(rest(300), speech(500), rest(1_200), tone(1_000, ms=500), rest(900), tone(1_000, ms=500), rest(500))
    assert [answerer for answerer, _ in found] == [Answerer.HUMAN, Answerer.MACHINE]
    assert re.fullmatch(r"beep of \d+ ms at 1000 Hz", found[1][1])


def test_greetings_of_the_set_and_the_table_of_the_documentation() -> None:
    counts, times = confusion()
    kinds = list(times)
    total = {kind: sum(counts[kind, answerer] for answerer in Answerer) for kind in kinds}
    assert counts["human", Answerer.MACHINE] <= 0.03 * total["human"]
    assert counts["machine", Answerer.MACHINE] >= 0.8 * total["machine"]
    assert counts["machine and beep", Answerer.MACHINE] >= 0.95 * total["machine and beep"]
    assert counts["ringing", Answerer.MACHINE] == counts["keys", Answerer.MACHINE] == 0
    table = DOCUMENT.read_text()
    for kind in kinds:
        middle = sorted(times[kind])[len(times[kind]) // 2]
        cells = [kind, *(str(counts[kind, answerer]) for answerer in Answerer), f"{middle / 1000:.1f} s"]
        row = f"| {' | '.join(cells)} |"
        assert row in table, f"the documentation should have the row\n{row}"
