"""The hold sound of a two-way stream: begins when its agent has been away for a while, ends when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from ringback.media.control.commands import OpenStream
from ringback.media.hold import comfort_tone
from ringback.media.session import MediaSession
from ringback.media.worker.files import FilePlayback, PlayFiles


class HoldPlayer:
    """One stream's hold sound.

    State: `away` when the agent begins to be away, `back` when it is there, `close` at the end; each is idempotent.
    Without a file, and when the file cannot be played, the built-in tone is heard.
    """

    __slots__ = ("_after_ms", "_files", "_is_wanted", "_on_unplayable", "_path", "_playback", "_session", "_timer")

    def __init__(
        self, command: OpenStream, session: MediaSession, files: PlayFiles, on_unplayable: Callable[[str], None]
    ) -> None:
        self._is_wanted = command.hold and command.bidirectional
        self._after_ms = command.hold_after_ms
        self._session = session
        self._files = files
        self._on_unplayable = on_unplayable
        self._path = ""
        self._playback: FilePlayback | None = None
        self._timer: asyncio.TimerHandle | None = None

    def use(self, path: str) -> None:
        """Play this file from the next absence on."""
        self._path = path

    def away(self) -> None:
        """Begin to wait, then to play."""
        if self._is_wanted and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(self._after_ms / 1000, self._play)

    def back(self) -> None:
        """Fall silent."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        self._session.hold(None)
        if self._playback is not None:
            self._playback.close()
            self._playback = None

    def close(self) -> None:
        """Fall silent for good."""
        self.back()
        self._is_wanted = False

    def _play(self) -> None:
        if not self._path:
            self._session.hold(comfort_tone())
            return
        self._playback = self._files.open(self._path, 0, self._fail)
        self._session.hold(self._playback)

    def _fail(self, detail: str) -> None:
        self._on_unplayable(detail)
        self._path = ""
        if self._timer is not None:
            self._session.hold(comfort_tone())
