"""What becomes of a call when a human or a machine has answered."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support.fake_leg import FakeLeg
from tests.support.waiting import until

from ringback.accounts.account import Account
from ringback.calls import machine_detection
from ringback.calls.live import CallTerms, LiveCall
from ringback.calls.machine_detection import MachineWatch
from ringback.calls.settings import CallSettings
from ringback.calls.state import State
from ringback.calls.views import CallDirection, MachineDetection
from ringback.ids import AccountId, CallUuid
from ringback.media.control.commands import DetectMachine
from ringback.media.control.events import MachineJudged
from ringback.media.control.values import Answerer
from ringback.storage.database import StorageUnavailable


class Stage:
    """A watch, and what it did."""

    def __init__(self) -> None:
        self.settings = CallSettings()
        self.did: list[str] = []
        self.notes: list[dict[str, Any]] = []
        self.watch = MachineWatch(lambda call: self.did.append("document"), self._tell)
        self.leg = FakeLeg()

    async def _tell(self, call: LiveCall, detection: MachineDetection) -> None:
        self.did.append(f"told {detection.url}")

    def record(self, call_uuid: str, kind: str, fields: Any) -> None:
        self.notes.append({"kind": kind, **fields})

    @property
    def timeline(self) -> Stage:
        return self

    def begin(self, **detection: Any) -> LiveCall:
        terms = CallTerms(
            account=Account(AccountId("MADEVDEVDEVDEVDEVDEV"), "token"),
            direction=CallDirection.OUTBOUND,
            from_number="1",
            to_number="2",
            initiated_wall_ms=0,
            answer_url="http://app/",
            machine_detection=MachineDetection(**detection),
        )
        call = LiveCall(CallUuid("c1"), terms, self.leg, self, State.IN_PROGRESS)  # type: ignore[arg-type]  # fakes
        self.watch.begin(call, terms.machine_detection or MachineDetection())
        return call

    async def judge(self, call: LiveCall, answerer: Answerer) -> None:
        await asyncio.sleep(0)
        self.watch.judged(
            call, MachineJudged(session_id=self.leg.session_id, answerer=answerer, reason="r", after_ms=1)
        )
        for _ in range(5):
            await asyncio.sleep(0)

    @property
    def hangups(self) -> list[str]:
        return [asked[0] for asked in self.leg.asked if asked[0] == "hangup"]


@pytest.mark.parametrize(
    ("answerer", "machine"), [(Answerer.HUMAN, None), (Answerer.UNKNOWN, None), (Answerer.MACHINE, "true")]
)
async def test_document_waits_and_is_told_of_machines_alone(answerer: Answerer, machine: str | None) -> None:
    stage = Stage()
    call = stage.begin(greeting_ms=1_234)
    await asyncio.sleep(0)
    assert stage.did == []
    (command,) = stage.leg.commands
    assert isinstance(command, DetectMachine)
    assert command.greeting_ms == 1_234
    await stage.judge(call, answerer)
    assert stage.did == ["document"]
    assert call.webhook_params().get("Machine") == machine
    assert stage.watch.waiting == 0


async def test_hangup_ends_a_call_that_a_machine_answered_and_no_other() -> None:
    stage = Stage()
    await stage.judge(stage.begin(hangs_up=True), Answerer.MACHINE)
    assert (stage.did, stage.hangups) == ([], ["hangup"])
    stage = Stage()
    await stage.judge(stage.begin(hangs_up=True), Answerer.HUMAN)
    assert (stage.did, stage.hangups) == (["document"], [])


async def test_a_database_that_refuses_the_callback_does_not_cost_the_hang_up() -> None:
    stage = Stage()
    refusals = [StorageUnavailable("disk is full")]
    tell = stage._tell

    async def refused_once(call: LiveCall, detection: MachineDetection) -> None:
        if refusals:
            raise refusals.pop()
        await tell(call, detection)

    stage.watch = MachineWatch(lambda call: stage.did.append("document"), refused_once)
    await stage.judge(stage.begin(hangs_up=True, url="http://app/m"), Answerer.MACHINE)
    assert stage.hangups == ["hangup"]
    await until(lambda: "told http://app/m" in stage.did, "the callback")


async def test_url_lets_the_document_run_at_once_and_hears_of_a_machine_once() -> None:
    stage = Stage()
    call = stage.begin(url="http://app/m")
    assert stage.did == ["document"]
    await stage.judge(call, Answerer.HUMAN)
    assert stage.did == ["document"]
    await stage.judge(call, Answerer.MACHINE)
    await stage.judge(call, Answerer.MACHINE)
    assert stage.did == ["document", "told http://app/m"]
    assert "Machine" not in call.webhook_params(), "only the document of a waiting call is told"


async def test_call_without_audio_goes_on_without_a_verdict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine_detection, "_GRACE_MS", 1)
    stage = Stage()
    stage.begin(total_ms=1)
    await until(lambda: stage.did, "the document")
    assert stage.notes[-1]["reason"] == "no audio to judge"
    assert stage.watch.waiting == 0
