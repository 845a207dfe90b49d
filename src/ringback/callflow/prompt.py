"""Sounds beside a call's document: music and challenge of `<Dial>`, music and signals of `<Conference>`.

A prompt is a flow of its own, with the elements that only make sound. It cannot end the call that it plays to.
Spec: wire spec 6.9 (`dialMusic`, `confirmSound`), 6.11 (`waitSound`, `enterSound`, `exitSound`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, cast

from ringback import clock
from ringback.callflow.port import DocumentSource, FlowCall
from ringback.calls.hangup import Code, HangupSource
from ringback.calls.listener import CallListener
from ringback.machine import SECOND
from ringback.webhooks.fetcher import Callback, FetchedDocument

if TYPE_CHECKING:
    from ringback.calls.live import LiveCall

ELEMENTS = frozenset({"Play", "Speak", "Wait"})
_ROUND_MIN_S = 1.0
"""A prompt that repeats takes at least this long each time: one that is empty must not spin."""


class PromptCall:
    """A call as its prompt sees it: everything is the call's, but listening is beside the document, and the end of the
    prompt is not the end of the call.
    """

    def __init__(self, call: LiveCall) -> None:
        self._call = call
        self._listener: CallListener | None = None
        self.has_failed = False

    def __getattr__(self, name: str) -> Any:
        # Whatever elements come to need of a call, a prompt has it too.
        return getattr(self._call, name)

    def listen(self, listener: CallListener | None) -> None:
        """Set who is told of playbacks and of the end of the call."""
        call = self._call
        if self._listener in call.side_listeners:
            call.side_listeners.remove(cast(Any, self._listener))
        self._listener = listener
        if listener is None:
            return
        if call.is_over:
            listener.hung_up()
        else:
            call.side_listeners.append(cast(Any, listener))

    async def end(self, cause_code: int, source: HangupSource, sip_reject: str = "", detail: str = "") -> None:
        """Note how the prompt ended."""
        if cause_code != Code.END_OF_XML:
            self.has_failed = True
            self._call.note("prompt", event="failed", code=int(cause_code), detail=detail)

    def as_flow_call(self) -> FlowCall:
        """Return this as what flows run on."""
        return cast(FlowCall, self)


class Once:
    """A document source that asks its origin once and repeats the answer, also to those who ask meanwhile."""

    def __init__(self, origin: DocumentSource) -> None:
        self._origin = origin
        self._found: FetchedDocument | None = None
        self._asking = asyncio.Lock()

    async def fetch(self, callback: Callback, fallback: Callback | None = None) -> FetchedDocument:
        """Return the document as it was found first."""
        async with self._asking:
            if self._found is None:
                self._found = await self._origin.fetch(callback, fallback)
        return self._found


class StoppableFlow(Protocol):
    """What a prompt needs of a flow."""

    async def run(self) -> None:
        """Run to the end."""

    def stop(self) -> None:
        """End early, with whatever plays."""


class RunningPrompt:
    """A prompt while it plays.

    Args:
        new_flow: Returns a flow over the prompt's call and document; asked once a round.
        on_end: Called when the prompt is over by itself.
    """

    def __init__(
        self,
        call: LiveCall,
        new_flow: Callable[[FlowCall], StoppableFlow],
        *,
        repeats: bool,
        on_end: Callable[[], None],
    ) -> None:
        self._call = call
        self._new_flow = new_flow
        self._repeats = repeats
        self._on_end = on_end
        self._flow: StoppableFlow | None = None
        self._is_stopped = False
        self.task = asyncio.create_task(self._run(), name=f"prompt {call.call_uuid}")

    async def stop(self) -> None:
        """End it; return when nothing of it plays any more."""
        self._is_stopped = True
        if self._flow is not None:
            self._flow.stop()
        await asyncio.wait({self.task})

    async def _run(self) -> None:
        is_wanted = True
        while is_wanted and not self._is_stopped:
            began = clock.now()
            call = PromptCall(self._call)
            self._flow = self._new_flow(call.as_flow_call())
            await self._flow.run()
            is_wanted = self._repeats and not call.has_failed and not self._call.is_over
            if is_wanted and not self._is_stopped:
                await asyncio.sleep(max(0.0, _ROUND_MIN_S - (clock.now() - began) / SECOND))
        if not self._is_stopped:
            self._on_end()
