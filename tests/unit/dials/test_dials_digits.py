from __future__ import annotations

import pytest

from ringback.dials.digits import PAUSE_MAX, DigitPatterns
from ringback.machine import SECOND, Instant


def pressed(patterns: tuple[str, ...], keys: str) -> list[str]:
    machine = DigitPatterns(patterns)
    return [found for at, key in enumerate(keys) if (found := machine.press(Instant(at * SECOND), key))]


@pytest.mark.parametrize(
    ("patterns", "keys", "found"),
    [
        (("1",), "121", ["1", "1"]),
        (("12",), "112", ["12"]),
        (("11",), "111", ["11"]),
        (("1", "12"), "12", ["1", "12"]),
        (("1", "21"), "21", ["21"]),
        (("*9", "#"), "5*9#", ["*9", "#"]),
        ((), "123", []),
        (("", "7"), "7", ["7"]),
    ],
)
def test_patterns_are_found_as_soon_as_their_last_key_is_pressed(
    patterns: tuple[str, ...], keys: str, found: list[str]
) -> None:
    assert pressed(patterns, keys) == found


@pytest.mark.parametrize(("pause", "found"), [(PAUSE_MAX, "12"), (PAUSE_MAX + 1, "")])
def test_keys_that_are_far_apart_do_not_belong_together(pause: int, found: str) -> None:
    machine = DigitPatterns(("12",))
    machine.press(Instant(0), "1")
    assert machine.press(Instant(pause), "2") == found
