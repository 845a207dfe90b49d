"""Thresholds of a play queue: each is news once, and again after the queue was half emptied."""

from __future__ import annotations

from ringback.media.degraded import DegradedLevels

SECOND = 8_000


def test_each_threshold_is_news_once() -> None:
    levels = DegradedLevels()
    assert levels.next_level == 12 * SECOND
    assert levels.reached(12 * SECOND) == 30
    assert levels.next_level == 24 * SECOND
    assert levels.reached(37 * SECOND) == 90
    assert levels.next_level > 10**12
    levels.reset()
    assert levels.reached(23 * SECOND) == 30


def test_a_threshold_is_news_again_after_the_queue_was_half_emptied() -> None:
    levels = DegradedLevels()
    assert levels.reached(25 * SECOND) == 60
    levels.eased(13 * SECOND)
    assert levels.next_level == 36 * SECOND
    levels.eased(11 * SECOND)
    assert levels.reached(24 * SECOND) == 60
    levels.eased(0)
    levels.eased(0)
    assert levels.next_level == 12 * SECOND
    assert levels.reached(11 * SECOND) == 0


def test_a_shorter_queue_has_its_own_thresholds() -> None:
    levels = DegradedLevels()
    levels.bound(10 * SECOND)
    assert levels.next_level == 3 * SECOND
    assert levels.reached(6 * SECOND) == 60
    assert levels.next_level == 9 * SECOND
    levels.bound(600 * SECOND)
    assert levels.next_level == 12 * SECOND
