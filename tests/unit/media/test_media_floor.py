"""`media.floor`: who has the floor, by levels alone."""

from __future__ import annotations

from ringback.media.floor import CHALLENGE_TICKS, LOUDER, SPEAKING_LEVEL, Floor, follow


def ticks(floor: Floor[str], count: int, **levels: float) -> list[str]:
    """Return who took the floor in so many slots of the same levels."""
    return [taker for _ in range(count) if (taker := floor.judge(levels.items())) is not None]


def test_the_floor_is_taken_after_the_challenge_and_not_a_slot_sooner() -> None:
    floor: Floor[str] = Floor()
    assert ticks(floor, CHALLENGE_TICKS - 1, a=1_000) == []
    assert ticks(floor, 5, a=1_000) == ["a"]
    assert floor.holder == "a"


def test_whoever_is_below_the_threshold_takes_nothing() -> None:
    assert ticks(Floor(), 100, a=SPEAKING_LEVEL - 1) == []


def test_it_is_taken_from_a_speaker_only_by_someone_much_louder() -> None:
    floor: Floor[str] = Floor()
    ticks(floor, CHALLENGE_TICKS, a=1_000)
    assert ticks(floor, 50, a=1_000, b=LOUDER * 1_000 - 1) == []
    assert ticks(floor, 50, a=1_000, b=LOUDER * 1_000) == ["b"]


def test_it_is_kept_in_silence_and_taken_by_the_next_who_speaks() -> None:
    floor: Floor[str] = Floor()
    ticks(floor, CHALLENGE_TICKS, a=1_000)
    assert ticks(floor, 500, a=0, b=0) == []
    assert floor.holder == "a"
    assert ticks(floor, 50, a=0, b=400) == ["b"]


def test_challengers_by_turns_take_nothing() -> None:
    floor: Floor[str] = Floor()
    taken = [ticks(floor, CHALLENGE_TICKS - 1, **{name: 1_000}) for name in "abab"]
    assert taken == [[], [], [], []]


def test_a_floor_whose_holder_left_is_free() -> None:
    floor: Floor[str] = Floor()
    ticks(floor, CHALLENGE_TICKS, a=1_000)
    floor.forget("b")
    assert floor.holder == "a"
    floor.forget("a")
    assert ticks(floor, 50, b=400) == ["b"]


def test_levels_rise_faster_than_they_fall() -> None:
    up = follow(0.0, 1_000)
    down = 1_000 - follow(1_000, 0.0)
    assert up > 5 * down > 0
