"""`streams.away`: what a caller gets while the agent is away, by default and per stream."""

from __future__ import annotations

import pytest

from ringback.errors import InvalidParameter
from ringback.streams.away import AwayRules, check_fallback, check_hold, rules_of

SOUND = "https://app.example/hold.mp3"
XML = "https://app.example/away.xml"


def test_a_stream_without_settings_has_the_defaults() -> None:
    defaults = AwayRules(hold="tone", fallback_url=XML, reconnects=1, truth=True)
    assert rules_of(defaults, "tenant=7") == (defaults, ())


def test_extra_headers_win() -> None:
    headers = f"ringback.hold={SOUND},ringback.fallback={XML};ringback.reconnects=0,ringback.truth=1"
    rules, notes = rules_of(AwayRules(), headers)
    assert notes == ()
    assert (rules.hold_url, rules.fallback_url, rules.reconnects, rules.truth) == (SOUND, XML, 0, True)
    assert (
        rules_of(AwayRules(hold="tone", fallback_url=XML), "ringback.hold=silence,ringback.fallback=")[0] == AwayRules()
    )


@pytest.mark.parametrize("headers", ["ringback.hold=loud", "ringback.fallback=ftp://x", "ringback.reconnects=11"])
def test_what_cannot_be_used_is_noted_and_changes_nothing(headers: str) -> None:
    rules, (note,) = rules_of(AwayRules(), headers)
    assert rules == AwayRules()
    assert note.startswith("ringback.")
    assert "expected" in note


@pytest.mark.parametrize(
    ("count", "is_used"), [("0", True), ("10", True), ("-1", False), ("٣", False), ("9" * 5000, False)]
)
def test_how_often_is_bounded(count: str, is_used: bool) -> None:
    rules, notes = rules_of(AwayRules(reconnects=5), f"ringback.reconnects={count}")
    assert (rules.reconnects == 5) is not is_used
    assert bool(notes) is not is_used


def test_a_fallback_comes_before_six_seconds_of_silence() -> None:
    assert AwayRules().redial_max_ms == 6_000
    assert AwayRules(fallback_url=XML).redial_max_ms == 4_000
    assert AwayRules(fallback_url=XML, reconnect_max_ms=1_000).redial_max_ms == 1_000
    assert AwayRules(fallback_url=XML, hold="tone").redial_max_ms == 6_000


def test_the_node_s_fallback_is_for_streams_that_hold_their_document() -> None:
    defaults = AwayRules(fallback_url=XML)
    assert rules_of(defaults, "", holds_document=True)[0].fallback_url == XML
    assert rules_of(defaults, "", holds_document=False)[0].fallback_url == ""
    own = "ringback.fallback=http://app.example/own.xml"
    assert rules_of(defaults, own, holds_document=False)[0].fallback_url == "http://app.example/own.xml"


def test_words_and_urls() -> None:
    assert [check_hold(value) for value in ("silence", "tone", SOUND)] == ["silence", "tone", SOUND]
    assert [check_fallback(value) for value in ("", XML)] == ["", XML]
    for bad in ("", "http://", "file:///etc/passwd"):
        with pytest.raises(InvalidParameter):
            check_hold(bad)
    with pytest.raises(InvalidParameter):
        check_fallback("file:///etc/passwd")
