"""Where a session is heard by others and hears them: in one room, or in a room and a side room at once.

A side room lets some members of a room talk beside the rest: who is in it hears it over the room, and its voice there
has a mute of its own. A supervisor who coaches is muted in the room and heard in the side room; agents listen to both,
customers to the room alone.
"""

from __future__ import annotations

import audioop
from typing import Protocol

from ringback.media.codecs.g711 import Law
from ringback.media.room import Member


class Place(Protocol):
    """What a session needs of the rooms it is in; `room.Member` is one."""

    def set_law(self, law: Law) -> None:
        """Follow the session's law."""

    def push(self, frame: bytes) -> None:
        """Take 20 ms of what the far party says: 160 law bytes."""

    def push_digit(self, digit: str) -> None:
        """Take a key that the far party pressed."""

    def hear_frame(self) -> bytes | None:
        """Return this slot's 160 law bytes of what is heard, `None` for silence."""

    def hear(self) -> bytes | None:
        """Return this slot's 160 samples of native linear audio, `None` for silence."""


class PlaceWithSide:
    """A member of a room that is in a side room too; keys are passed on in the room alone."""

    __slots__ = ("_law", "_main", "_side")

    def __init__(self, main: Member, side: Member, law: Law) -> None:
        self._main = main
        self._side = side
        self._law = law

    def set_law(self, law: Law) -> None:
        """Follow the session's law."""
        self._law = law
        self._main.set_law(law)
        self._side.set_law(law)

    def push(self, frame: bytes) -> None:
        """Take 20 ms of what the far party says; each room lets through what is not muted in it."""
        self._main.push(frame)
        self._side.push(frame)

    def push_digit(self, digit: str) -> None:
        """Take a key that the far party pressed."""
        self._main.push_digit(digit)

    def hear_frame(self) -> bytes | None:
        """Return this slot's 160 law bytes of both rooms; the only voice of the room passes untouched."""
        side = self._side.hear()
        if side is None:
            return self._main.hear_frame()
        main = self._main.hear()
        return self._law.encode(side if main is None else audioop.add(main, side, 2))

    def hear(self) -> bytes | None:
        """Return this slot's 160 samples of both rooms, `None` for silence."""
        main, side = self._main.hear(), self._side.hear()
        if main is None or side is None:
            return side if main is None else main
        return audioop.add(main, side, 2)
