"""What becomes of an outbound call when a human or a machine has answered.

Synchronous: the document waits for the verdict, and its first request carries `Machine=true` for a machine.
Asynchronous (with a URL): the document runs at once, and the URL is told of a machine.
Spec: wire specification 4.5, 5.2, 5.4; 9100 of 5.8.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from functools import partial

from ringback.calls.hangup import Code, HangupSource
from ringback.calls.live import LiveCall
from ringback.calls.views import MachineDetection
from ringback.errors import RingbackError
from ringback.ids import CallUuid
from ringback.media.control.events import MachineJudged
from ringback.media.control.values import Answerer

_GRACE_MS = 1_500
"""How long after the time for detection its verdict may still be on its way; then the call goes on without one."""


class MachineWatch:
    """Detects machines on the calls that want it.

    State: a call is known from `begin` until its verdict was acted upon, or it has ended.
    """

    def __init__(
        self, start_document: Callable[[LiveCall], None], tell: Callable[[LiveCall, MachineDetection], Awaitable[None]]
    ) -> None:
        """Take what starts the call's first document, and what stores the callback to machine_detection_url."""
        self._start_document = start_document
        self._tell = tell
        self._verdicts: dict[CallUuid, asyncio.Future[MachineJudged]] = {}

    @property
    def waiting(self) -> int:
        """Return how many calls have no verdict yet."""
        return len(self._verdicts)

    def begin(self, call: LiveCall, detection: MachineDetection) -> None:
        """Start detection on an answered call, and its document unless that waits for the verdict."""
        self._verdicts[call.call_uuid] = asyncio.get_running_loop().create_future()
        if detection.url:
            self._start_document(call)
        call.spawn(self._run(call, detection))

    def judged(self, call: LiveCall, event: MachineJudged) -> None:
        """Take a verdict. The first one counts; a later one that finds a machine after all is acted upon as well."""
        detection = call.terms.machine_detection
        verdict = self._verdicts.get(call.call_uuid)
        if verdict is not None:
            if not verdict.done():
                verdict.set_result(event)
        elif detection is not None and event.answerer is Answerer.MACHINE and not call.was_machine_found:
            call.spawn(self._act_on_machine(call, detection))

    async def _run(self, call: LiveCall, detection: MachineDetection) -> None:
        answerer = Answerer.UNKNOWN
        try:
            await call.detect_machine(detection)
            async with asyncio.timeout((detection.total_ms + _GRACE_MS) / 1000):
                answerer = (await self._verdicts[call.call_uuid]).answerer
        except TimeoutError:
            call.note("machine", answerer=answerer.value, reason="no audio to judge", after_ms=detection.total_ms)
        except RingbackError as error:
            call.note("machine", answerer=answerer.value, reason=f"not detected: {error}", after_ms=0)
        finally:
            self._verdicts.pop(call.call_uuid, None)
        if answerer is Answerer.MACHINE:
            await self._act_on_machine(call, detection)
        if not detection.url and not call.is_over:
            self._start_document(call)

    async def _act_on_machine(self, call: LiveCall, detection: MachineDetection) -> None:
        call.was_machine_found = True
        if detection.url:
            # A database that refuses delays what the customer is told, never the hang-up.
            call.store(partial(self._tell, call, detection))
        if detection.hangs_up:
            await call.end(Code.MACHINE_DETECTED, HangupSource.PLATFORM, detail="a machine answered")
