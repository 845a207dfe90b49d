"""Every call whose document runs, and every sound of a document that plays beside one."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace

from ringback.callflow.driver import Flow
from ringback.callflow.port import FirstRequest, FlowCall, FlowServices
from ringback.callflow.prompt import Once, RunningPrompt
from ringback.calls.live import LiveCall
from ringback.ids import CallUuid


class CallFlows:
    """Runs the documents of all calls.

    State: `close` stops every flow without ending its call, so that a restarted server may go on.
    """

    def __init__(self, services: FlowServices) -> None:
        self._services = services
        self._tasks: dict[asyncio.Task[None], CallUuid] = {}

    @property
    def running_flows(self) -> int:
        """Return how many calls have a running document."""
        return len(self._tasks)

    def start(self, call: FlowCall, first: FirstRequest) -> None:
        """Run the document of `call` until the call ends; needs a running loop and returns at once."""
        flow = Flow(self._services, call, first)
        task = asyncio.create_task(flow.run(), name=f"flow {call.call_uuid}")
        self._tasks[task] = call.call_uuid
        task.add_done_callback(lambda done: self._tasks.pop(done, None))

    def start_prompt(self, call: LiveCall, url: str, *, repeats: bool, on_end: Callable[[], None]) -> RunningPrompt:
        """Play the document at `url` to a call beside its own document, and return at once."""
        return self._start_prompt(call, url, Once(self._services.documents), repeats=repeats, on_end=on_end)

    def start_prompts(
        self, calls: Sequence[LiveCall], url: str, *, repeats: bool, method: str = "POST"
    ) -> list[RunningPrompt]:
        """Play the document at `url`, fetched once, to several calls; return at once."""
        document = Once(self._services.documents)
        return [
            self._start_prompt(call, url, document, repeats=repeats, on_end=_nothing, method=method) for call in calls
        ]

    def _start_prompt(
        self,
        call: LiveCall,
        url: str,
        document: Once,
        *,
        repeats: bool,
        on_end: Callable[[], None],
        method: str = "POST",
    ) -> RunningPrompt:
        services = replace(self._services, documents=document)
        first = FirstRequest(url, method, is_prompt=True)
        prompt = RunningPrompt(call, lambda flow_call: Flow(services, flow_call, first), repeats=repeats, on_end=on_end)
        self._tasks[prompt.task] = call.call_uuid
        prompt.task.add_done_callback(lambda done: self._tasks.pop(done, None))
        return prompt

    async def join(self) -> None:
        """Return when every flow that runs now has ended by itself."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def close(self) -> None:
        """Stop all flows and return when they have stopped."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _nothing() -> None:
    """Do nothing."""
