"""The moments at which a call is ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from ringback.calls.hangup import Code, HangupSource


class CallTimers:
    """The running timers of one call, by name."""

    def __init__(self, on_expired: Callable[[str, Code, HangupSource], None]) -> None:
        self._on_expired = on_expired
        self._handles: dict[str, asyncio.TimerHandle] = {}

    def __len__(self) -> int:
        """Return how many run."""
        return len(self._handles)

    def start(self, name: str, seconds: float, code: Code, source: HangupSource) -> None:
        """Let the call end by `code` in so many seconds; a timer of that name begins anew."""
        self.stop(name)
        self._handles[name] = asyncio.get_running_loop().call_later(seconds, partial(self._expired, name, code, source))

    def stop(self, name: str) -> None:
        """Stop a timer, if it runs."""
        handle = self._handles.pop(name, None)
        if handle is not None:
            handle.cancel()

    def stop_all(self) -> None:
        """Stop every timer."""
        for name in list(self._handles):
            self.stop(name)

    def _expired(self, name: str, code: Code, source: HangupSource) -> None:
        self._handles.pop(name, None)
        self._on_expired(name, code, source)
