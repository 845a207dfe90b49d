"""What rooms of calls need from above; `server.node` registers it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from ringback.calls.live import LiveCall

FetchAudio = Callable[[str], Awaitable[str]]
"""Returns the path of a local copy of the file at a URL, or raises `errors.EgressError`."""


class Prompt(Protocol):
    """Sounds that play to one call beside its document."""

    async def stop(self) -> None:
        """End them; return when nothing plays any more."""


class PromptStarter(Protocol):
    """Plays the document at a URL (Play, Speak and Wait only) to calls; `callflow.flows.CallFlows` has one."""

    def __call__(self, calls: Sequence[LiveCall], url: str, *, repeats: bool, method: str = "POST") -> Sequence[Prompt]:
        """Start and return at once; a document that cannot be had is silence, and the event log says why."""
