"""`media.worker.hold`: how long the loop is held, and what ends it early."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import pytest

from ringback.machine import MS
from ringback.media.worker.hold import LoopHold


@pytest.fixture
def hold() -> Iterator[LoopHold]:
    hold = LoopHold()
    yield hold
    hold.close()
    hold.close()


def held_ms(hold: LoopHold, longest_ms: float) -> float:
    started = time.monotonic()
    hold.hold(int(longest_ms * MS))
    return (time.monotonic() - started) * 1_000


def test_without_anything_urgent_the_time_passes(hold: LoopHold) -> None:
    assert held_ms(hold, 5) >= 5
    # The shortest of many: whoever else wants the processor does not count.
    assert min(held_ms(hold, 0) for _ in range(50)) < 5
    assert min(held_ms(hold, -1) for _ in range(50)) < 5


def test_an_arrival_ends_one_hold_even_if_nobody_reads_it(hold: LoopHold) -> None:
    reader, writer = os.pipe()
    try:
        hold.watch(reader)
        os.write(writer, b"x")
        assert held_ms(hold, 60_000) < 30_000
        assert held_ms(hold, 20) >= 20
        os.write(writer, b"y")
        assert held_ms(hold, 60_000) < 30_000
    finally:
        os.close(reader)
        os.close(writer)


def test_a_closed_descriptor_is_forgotten(hold: LoopHold) -> None:
    reader, writer = os.pipe()
    hold.watch(reader)
    os.close(reader)
    os.close(writer)
    assert held_ms(hold, 5) >= 5
