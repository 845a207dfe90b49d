"""`X-PH-` headers both ways."""

from __future__ import annotations

import pytest

from ringback.signalling.custom_headers import (
    MAXIMUM_HEADERS,
    MAXIMUM_NAME_CHARACTERS,
    MAXIMUM_VALUE_CHARACTERS,
    incoming_headers,
    outgoing_headers,
)


def test_names_get_the_prefix_once() -> None:
    assert outgoing_headers([("Test", "1"), ("x-ph-Other", " 2 ")]) == (("X-PH-Test", "1"), ("X-PH-Other", "2"))


@pytest.mark.parametrize(
    "name",
    ["PH-a", "Plivo", "plivo-x", "FS-a", "SipAuth", "sipauthuser", "ZT-1", "Twilio-x", "ClientRegion", "X-PH-FS-a"],
)
def test_reserved_names_are_dropped_both_ways(name: str) -> None:
    assert outgoing_headers([(name, "1"), ("ok", "2")]) == (("X-PH-ok", "2"),)
    assert incoming_headers([(f"X-PH-{name.removeprefix('X-PH-')}", "1")]) == ()


@pytest.mark.parametrize(
    ("name", "value"), [("", "x"), ("a b", "x"), ("a:", "x"), ("a", "x\r\nEvil: 1"), ("a", "x\0"), ("ä", "x")]
)
def test_what_cannot_stand_in_a_header_is_dropped(name: str, value: str) -> None:
    assert outgoing_headers([(name, value)]) == ()


def test_only_prefixed_headers_come_in_with_their_spelling() -> None:
    pairs = [("x-ph-OrderId", "7"), ("X-Other", "8"), ("From", "9"), ("X-PH-", "empty name")]
    assert incoming_headers(pairs) == (("X-PH-OrderId", "7"),)


def test_lengths_and_count_are_bounded() -> None:
    name, value = "n" * MAXIMUM_NAME_CHARACTERS, "v" * MAXIMUM_VALUE_CHARACTERS
    assert len(outgoing_headers([(name, value)])) == 1
    assert outgoing_headers([(name + "n", "v")]) == outgoing_headers([("n", value + "v")]) == ()
    pairs = [(f"n{number}", "v") for number in range(MAXIMUM_HEADERS + 1)]
    assert len(outgoing_headers(pairs)) == MAXIMUM_HEADERS
    assert len(incoming_headers([(f"X-PH-{name}", value) for name, value in pairs])) == MAXIMUM_HEADERS
