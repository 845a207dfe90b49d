"""A leg without SIP and media: records what is asked of it, reports what the test says."""

from __future__ import annotations

import asyncio
from typing import Any

from ringback.ids import LegId, SessionId
from ringback.media.control.commands import SessionCommand
from ringback.media.control.values import Address
from ringback.signalling.events import LegAnswered, LegEnd, LegEnded, LegEndKind, LegEvent


class FakeLeg:
    """Stands in for `signalling.sip_leg.SipLeg`."""

    def __init__(self, call_uuid: str = "c1", caller: str = "15550009999", callee: str = "15550001000") -> None:
        self.leg_id = LegId("leg-1")
        self.session_id = SessionId("session-1")
        self.affinity = "session-1"
        self.call_uuid = call_uuid
        self.caller = caller
        self.callee = callee
        self.caller_name = ""
        self.is_anonymous = False
        self.diverted_from = ""
        self.sip_headers: tuple[tuple[str, str], ...] = (("To", "<sip:15550001000@x>"), ("Subject", "hidden"))
        self.custom_headers: tuple[tuple[str, str], ...] = ()
        self.source_host = "127.0.0.1"
        self.trunk_name = ""
        self.endpoint_id = ""
        self.listener: Any = None
        self.asked: list[tuple[Any, ...]] = []
        self.commands: list[SessionCommand] = []
        self.is_answered = False
        self._ended = asyncio.Event()
        self.end: LegEnd | None = None
        self.answer_error: Exception | None = None
        self.hangs = False
        """Whether a hang-up gets no answer from the far party."""

    @property
    def has_ended(self) -> bool:
        """Return whether the end was reported."""
        return self._ended.is_set()

    def report(self, event: LegEvent) -> None:
        """Tell the leg's owner."""
        self.listener(event)

    def answered_by_peer(self) -> None:
        """Report that the call is answered."""
        self.is_answered = True
        self.report(LegAnswered("PCMU", Address("127.0.0.1", 20000), Address("127.0.0.1", 30000)))

    def ended(self, kind: LegEndKind = LegEndKind.REMOTE_HANGUP, status: int = 0, reason: str = "") -> None:
        """Report the end, once."""
        if not self.has_ended:
            self._ended.set()
            self.end = self.end or LegEnd(kind, status, reason)
            self.report(LegEnded(self.end))

    def dialog_text(self) -> str:
        return f"dialog of {self.call_uuid}"

    async def wait_ended(self) -> None:
        await self._ended.wait()

    async def ring(self) -> None:
        self.asked.append(("ring",))

    async def answer(self) -> None:
        self.asked.append(("answer",))
        if self.answer_error is not None:
            raise self.answer_error
        self.answered_by_peer()

    async def reject(self, status: int, reason: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
        self.asked.append(("reject", status, reason))
        if self.listener is not None:
            self.ended(LegEndKind.REJECTED, status)

    async def hangup(self, q850: int = 16, text: str = "") -> None:
        self.asked.append(("hangup",))
        if self.hangs:
            await asyncio.Event().wait()
        self.ended(LegEndKind.LOCAL_HANGUP)

    async def media(self, command: SessionCommand) -> None:
        self.commands.append(command)
