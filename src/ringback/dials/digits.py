"""Recognises digit patterns in the keys that one party presses. Pure."""

from __future__ import annotations

from ringback.machine import SECOND, Instant

PAUSE_MAX = 5 * SECOND
"""Keys further apart than this do not belong together."""


class DigitPatterns:
    """Finds each pattern as soon as its last key is pressed; the longest of several wins.

    A pattern that begins a longer one is reported and may still grow into the longer one.
    """

    def __init__(self, patterns: tuple[str, ...]) -> None:
        self._patterns = sorted((each for each in patterns if each), key=len, reverse=True)
        self._longest = len(self._patterns[0]) if self._patterns else 0
        self._pressed = ""
        self._pressed_at: Instant | None = None

    def press(self, now: Instant, digit: str) -> str:
        """Take one key and return the pattern that it completes, or an empty text."""
        if not self._patterns:
            return ""
        if self._pressed_at is not None and now - self._pressed_at > PAUSE_MAX:
            self._pressed = ""
        self._pressed_at = now
        self._pressed = (self._pressed + digit)[-self._longest :]
        found = next((each for each in self._patterns if self._pressed.endswith(each)), "")
        if found and not any(other != found and other.startswith(found) for other in self._patterns):
            self._pressed = ""
        return found
