"""Every dial of the node: what `<Dial>` starts and stops.

Fulfils `callflow.port.FlowDials`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from ringback.calls.service import CallService
from ringback.dials.ring_tone import ring_tone
from ringback.dials.run import DialRun, DialTools, PromptStarter
from ringback.dials.spec import DialOutcome, DialSpec
from ringback.errors import NotFound
from ringback.ids import CallUuid
from ringback.storage.database import Database
from ringback.webhooks.store import OutboundCallback, enqueue


class DialService:
    """All dials of the node.

    Args:
        sounds: Folder for the ring-back tone; made when it is first needed.
    """

    def __init__(
        self,
        database: Database,
        calls: CallService,
        start_prompt: PromptStarter,
        sounds: Path,
        wake_outbox: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._calls = calls
        self._sounds = sounds
        self._wake_outbox = wake_outbox
        self._live: list[DialRun] = []
        self._tone: asyncio.Task[str] | None = None
        self._tools = DialTools(calls.dial_leg, start_prompt, self._send, self.ring_tone_path)

    @property
    def live_count(self) -> int:
        """Return how many dials have parties that are not gone."""
        return len(self._live)

    def start(self, call_uuid: CallUuid, spec: DialSpec, on_end: Callable[[DialOutcome, CallUuid], None]) -> None:
        """Dial for a call and return at once; `on_end` gets the outcome and the call of the winner, if any.

        Raises:
            NotFound: the call is over.
        """
        call = self._calls.find(call_uuid)
        if call is None or call.is_over:
            raise NotFound("the call is over")
        run = DialRun(self._tools, call, spec, on_end, self._live.remove)
        self._live.append(run)
        run.start()

    async def stop(self, call_uuid: CallUuid) -> None:
        """End the dial of a call, if one goes on; return when the caller's audio is its own again."""
        for run in [run for run in self._live if run.a_leg.call_uuid == call_uuid]:
            await run.stop()

    async def _send(self, callback: OutboundCallback) -> None:
        await self._database.write(lambda session: enqueue(session, callback))
        self._wake_outbox()

    async def ring_tone_path(self) -> str:
        """Return the path of a ring-back tone, made when it is first needed."""
        if self._tone is None or (self._tone.done() and self._tone.exception() is not None):
            self._tone = asyncio.create_task(asyncio.to_thread(_written, self._sounds / "ring-back.wav"))
        return await asyncio.shield(self._tone)


def _written(path: Path) -> str:
    """Return the path of the tone, written now: it is small, and an older version's may lie there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_suffix(".part")
    unfinished.write_bytes(ring_tone())
    unfinished.replace(path)
    return str(path.absolute())
