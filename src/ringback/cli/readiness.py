"""Watches a starting server from a thread of its own and says when it takes calls."""

from __future__ import annotations

import threading
import urllib.error
import urllib.request
from collections.abc import Callable

_GAP_S = 0.02
_REQUEST_LIMIT_S = 2.0


class ReadinessWatch:
    """Calls `on_ready` once, from its thread, when `GET /readyz` answers 200."""

    def __init__(self, url: str, on_ready: Callable[[], None]) -> None:
        self._url = f"{url}/readyz"
        self._on_ready = on_ready
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="readiness", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Stop watching; the thread is gone when this returns, unless it waits for a reply."""
        self._stopped.set()
        self._thread.join(0.1)

    def _watch(self) -> None:
        while not self._stopped.wait(_GAP_S):
            if is_ready(self._url):
                if not self._stopped.is_set():
                    self._on_ready()
                return


def is_ready(url: str) -> bool:
    """Return whether `url` answers 200."""
    try:
        with urllib.request.urlopen(url, timeout=_REQUEST_LIMIT_S) as reply:
            return bool(reply.status == 200)
    except (OSError, urllib.error.URLError, ValueError):
        return False


def read_text(url: str) -> str:
    """Return what `url` answers, empty when it does not answer 200."""
    try:
        with urllib.request.urlopen(url, timeout=_REQUEST_LIMIT_S) as reply:
            return bytes(reply.read()).decode() if reply.status == 200 else ""
    except (OSError, urllib.error.URLError, ValueError):
        return ""
