"""Scenes that are played again because the machine stood still: each is told, as tests that needed a second run are."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

from ringback.phones.phone import Phone

_TRIES = 3


def tell_stall(stood_still_ms: int) -> None:
    """Write the running test's name to the notes of `scripts/second_chance.py`, which prints them, if it runs it."""
    notes = os.environ.get("UNSTEADY_NOTES")
    if notes:
        test = os.environ.get("PYTEST_CURRENT_TEST", "a test").partition(" ")[0]
        with Path(notes).open("a") as file:
            file.write(f"{test} (played again: audio stood still for {stood_still_ms} ms)\n")


async def undisturbed(phone: Phone, play: Callable[[int], Awaitable[None]]) -> None:
    """Play a scene that needs audio without a hole, such as words for a recogniser.

    It is played again, up to twice, when it failed and something stood still meanwhile.

    Args:
        play: Gets the number of the attempt, so that each can have paths of its own.
    """
    for attempt in range(_TRIES):
        before_ms = phone.pacer.stood_still_ms
        try:
            await play(attempt)
        except (AssertionError, TimeoutError):
            stood_still_ms = phone.pacer.stood_still_ms - before_ms
            if attempt == _TRIES - 1 or not stood_still_ms:
                raise
            tell_stall(stood_still_ms)
            await phone.hang_up_all()
        else:
            return
