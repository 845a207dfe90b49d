"""DTMF by INFO."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.signalling.digits import DIGITS, InfoDigit, read_info

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
