"""Asking whoever answered for a key before it becomes a participant."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from ringback.calls.live import LiveCall
from ringback.multiparty.spec import Sound
from ringback.rooms.ports import Prompt
from ringback.rooms.stage import Stage

CONFIRM_S = 30
"""How long an answered call may take to press the key."""


class Confirmation:
    """Follows one answered call until the key is pressed, the time is over, or `close`.

    State: exactly one of `on_key` and `on_late` is called, unless it is closed first or the call ends.
    """

    def __init__(
        self,
        stage: Stage,
        call: LiveCall,
        key: str,
        sound: Sound,
        on_key: Callable[[], None],
        on_late: Callable[[], None],
    ) -> None:
        self._stage = stage
        self._call = call
        self._key = key
        self._on_key = on_key
        self._on_late = on_late
        self._is_open = True
        self._prompts: Sequence[Prompt] = ()
        call.watchers.append(self)
        self._timer = asyncio.get_running_loop().call_later(CONFIRM_S, self._late)
        call.note("multiparty", event="asked for a key")
        if sound.url:
            self._prompts = stage.begin([call], sound.url, repeats=True, method=sound.method)

    def close(self) -> None:
        """Ask no more; repeating it is harmless."""
        if not self._is_open:
            return
        self._is_open = False
        self._timer.cancel()
        self._call.watchers.remove(self)
        self._stage.stop(self._prompts)

    def _late(self) -> None:
        self.close()
        self._on_late()

    def call_rang(self, call: LiveCall, *, has_early_media: bool) -> None:
        """Note nothing; the call is answered."""

    def call_answered(self, call: LiveCall) -> None:
        """Note nothing; the call is answered."""

    def digit_pressed(self, call: LiveCall, digit: str) -> None:
        """Take a key; others than the one that is asked for are ignored."""
        if digit == self._key:
            self.close()
            self._on_key()

    def call_ended(self, call: LiveCall) -> None:
        """Ask no more."""
        self.close()
