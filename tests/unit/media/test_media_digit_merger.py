"""One key by two ways."""

from __future__ import annotations

from ringback.machine import MS, Instant
from ringback.media.digit_merger import DigitMerger, DigitSource


def test_key_by_both_ways_counts_once_in_either_order() -> None:
    merger = DigitMerger(200)
    assert merger.counts(Instant(0), DigitSource.RTP, "5")
    assert not merger.counts(Instant(200 * MS), DigitSource.INFO, "5")
    assert merger.counts(Instant(1000 * MS), DigitSource.INFO, "5")
    assert not merger.counts(Instant(1100 * MS), DigitSource.RTP, "5")


def test_key_by_the_other_way_later_is_a_new_press() -> None:
    merger = DigitMerger(200)
    assert merger.counts(Instant(0), DigitSource.RTP, "5")
    assert merger.counts(Instant(201 * MS), DigitSource.INFO, "5")


def test_same_way_or_other_key_is_a_new_press() -> None:
    merger = DigitMerger(200)
    assert merger.counts(Instant(0), DigitSource.RTP, "5")
    assert merger.counts(Instant(50 * MS), DigitSource.RTP, "5")
    assert merger.counts(Instant(60 * MS), DigitSource.INFO, "6")
    assert [merger.counts(Instant(90 * MS), DigitSource.INFO, "5") for _ in range(3)] == [False, False, True]


def test_memory_is_bounded() -> None:
    merger = DigitMerger(10_000)
    for _ in range(1000):
        assert merger.counts(Instant(0), DigitSource.RTP, "1")
    assert sum(not merger.counts(Instant(1), DigitSource.INFO, "1") for _ in range(1000)) == 32
