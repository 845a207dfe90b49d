"""DTMF by INFO, and one key by two ways."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.machine import MS, Instant
from ringback.signalling.digits import DIGITS, DigitMerger, DigitSource, InfoDigit, read_info

RELAY = "application/dtmf-relay"


@pytest.mark.parametrize(
    ("content_type", "body", "found"),
    [
        (RELAY, "Signal=5\r\nDuration=160\r\n", InfoDigit("5", 160)),
        (RELAY, "signal= #\nduration = 250", InfoDigit("#", 250)),
        ("Application/DTMF-Relay; charset=utf-8", "Duration=100\r\nSignal=*\r\n", InfoDigit("*", 100)),
        (RELAY, "Signal=11\r\n", InfoDigit("#", 0)),
        (RELAY, "Signal=10\r\n", InfoDigit("*", 0)),
        (RELAY, 'Signal="a"\r\n', InfoDigit("A", 0)),
        (RELAY, "Signal=1\r\nSignal=2\r\n", InfoDigit("1", 0)),
        (RELAY, "Signal=1\r\nDuration=99999\r\n", InfoDigit("1", 10_000)),
        (RELAY, "Signal=1\r\nDuration=x\r\n", InfoDigit("1", 0)),
        ("application/dtmf", "7", InfoDigit("7", 0)),
        ("application/dtmf", " 12\r\n", InfoDigit("A", 0)),
        (RELAY, "Signal=!\r\n", None),
        (RELAY, "Signal=55\r\n", None),
        (RELAY, "", None),
        ("application/dtmf", "hello", None),
        ("text/plain", "Signal=5", None),
    ],
)
def test_info_bodies(content_type: str, body: str, found: InfoDigit | None) -> None:
    assert read_info(content_type, body.encode()) == found


@given(st.sampled_from([RELAY, "application/dtmf", ""]), st.binary(max_size=200))
def test_any_body_is_a_digit_or_nothing(content_type: str, body: bytes) -> None:
    found = read_info(content_type, body)
    assert found is None or found.digit in DIGITS


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
