from __future__ import annotations

import asyncio
from typing import Any

import pytest
from tests.support.fake_leg import FakeLeg

from ringback.accounts.account import Account
from ringback.calls import fact_writer
from ringback.calls.hangup import Code, HangupSource
from ringback.calls.live import CallTerms, LiveCall
from ringback.calls.settings import CallSettings
from ringback.calls.state import State
from ringback.calls.views import CallDirection
from ringback.ids import AccountId, CallUuid
from ringback.machine import SECOND, Instant
from ringback.media.control.commands import SendDigits
from ringback.media.control.events import DigitReceived, MediaTimedOut
from ringback.signalling.events import LegEnd, LegEndKind, LegMedia, LegRinging
from ringback.storage.database import StorageUnavailable


class Keeper:
    def __init__(self) -> None:
        self.settings = CallSettings()
        self.timeline = self
        self.facts: list[tuple[str, dict[str, Any]]] = []
        self.calls: list[str] = []

    def record(self, call_uuid: str, kind: str, fields: Any) -> None:
        self.facts.append((kind, dict(fields)))

    def call_answered(self, call: LiveCall) -> None:
        self.calls.append("answered")

    async def store_answer(self, call: LiveCall) -> None:
        self.calls.append("store answer")

    async def store_ringing(self, call: LiveCall) -> None:
        self.calls.append("store ringing")

    async def store_end(self, call: LiveCall) -> None:
        self.calls.append("store end")

    def forget(self, call: LiveCall) -> None:
        self.calls.append("forget")

    def stream_event(self, call: LiveCall, event: Any) -> None:
        self.calls.append("stream")

    def recording_event(self, call: LiveCall, event: Any) -> None:
        self.calls.append("recording")

    def streams_gone(self, call: LiveCall) -> None:
        self.calls.append("streams gone")


class Listener:
    def __init__(self) -> None:
        self.heard: list[Any] = []

    def answered(self) -> None:
        self.heard.append("answered")

    def digit_pressed(self, digit: str) -> None:
        self.heard.append(digit)

    def play_ended(self, play_id: Any, end: Any, detail: str = "") -> None:
        self.heard.append(end)

    def stream_ended(self, stream_id: Any, end: Any) -> None:
        self.heard.append(end)

    def transfer_requested(self, url: str, method: str, *, is_fallback: bool = False) -> None:
        self.heard.append((url, method))

    def hung_up(self) -> None:
        self.heard.append("hung up")


def make_call(direction: CallDirection = CallDirection.INBOUND, **terms: Any) -> tuple[LiveCall, FakeLeg, Keeper]:
    leg, keeper = FakeLeg(), Keeper()
    agreed = CallTerms(
        account=Account(AccountId("MADEVDEVDEVDEVDEVDEV"), "token"),
        direction=direction,
        from_number="+15550009999",
        to_number="15550001000",
        initiated_wall_ms=1_760_000_000_000,
        answer_url="http://app/",
        **terms,
    )
    state = State.RINGING if direction is CallDirection.INBOUND else State.DIALLING
    call = LiveCall(CallUuid("c1"), agreed, leg, keeper, state)  # type: ignore[arg-type]  # the fake has its methods
    leg.listener = call.handle_leg_event
    return call, leg, keeper


async def test_an_inbound_call_is_answered_once_whoever_asks():
    call, leg, keeper = make_call()
    await asyncio.gather(call.answer(), call.answer())
    await call.answer()
    assert leg.asked == [("answer",)]
    assert call.is_answered
    assert call.webhook_params()["CallStatus"] == "in-progress"
    await asyncio.sleep(0)
    assert "store answer" in keeper.calls


async def test_parameters_before_the_answer_say_ringing_and_drop_the_plus():
    call, _, _ = make_call()
    params = call.webhook_params(Digits="1")
    assert params["CallStatus"] == "ringing"
    assert params["From"] == "15550009999"
    assert params["Direction"] == "inbound"
    assert params["Event"] == "StartApp"
    assert params["Digits"] == "1"
    assert "RequestUUID" not in params


async def test_outbound_parameters_name_the_request():
    call, leg, _ = make_call(CallDirection.OUTBOUND)
    leg.answered_by_peer()
    params = call.webhook_params()
    assert params["RequestUUID"] == params["ALegUUID"] == params["ALegRequestUUID"] == params["CallUUID"] == "c1"
    assert params["CallStatus"] == "in-progress"


async def test_the_first_reason_stands():
    call, leg, _ = make_call()
    await call.answer()
    leg.hangs = True
    first = asyncio.create_task(call.end(Code.END_OF_XML, HangupSource.XML))
    await asyncio.sleep(0)
    await call.end(Code.NORMAL, HangupSource.API)
    leg.ended(LegEndKind.REMOTE_HANGUP)
    first.cancel()
    assert call.ending is not None
    assert (call.ending.code, call.ending.source) == (4010, HangupSource.XML)
    params = call.hangup_params()
    assert (params["HangupCauseCode"], params["HangupSource"]) == ("4010", "Answer XML")


async def test_the_far_partys_end_stands_although_its_report_comes_later():
    call, leg, keeper = make_call()
    leg.end = LegEnd(LegEndKind.NO_ACK)
    ending = asyncio.create_task(call.end(Code.INTERNAL_ERROR, HangupSource.ERROR, detail="cannot answer"))
    await asyncio.sleep(0)
    assert not ending.done()
    leg.ended()
    await ending
    assert call.ending is not None
    assert (call.ending.code, call.ending.source) == (Code.NETWORK_ERROR, HangupSource.ERROR)
    assert leg.asked == []
    await call.wait_over()
    assert keeper.calls[-2:] == ["store end", "forget"]


@pytest.mark.parametrize(
    ("code", "reject", "status"),
    [(3020, "rejected", 603), (3010, "busy", 486), (7011, "", 503), (8011, "", 503), (4010, "", 480)],
)
async def test_an_unanswered_caller_gets_the_status_that_fits_the_cause(code: int, reject: str, status: int):
    call, leg, _ = make_call()
    await call.end(code, HangupSource.XML, reject)
    assert leg.asked[0][:2] == ("reject", status)
    assert call.hangup_params()["HangupCauseCode"] == str(code)
    assert call.hangup_params()["CallStatus"] == "completed"


async def test_an_outbound_call_that_the_api_cancels_is_no_completed_call():
    call, leg, _ = make_call(CallDirection.OUTBOUND)
    leg.report(LegRinging(180, has_early_media=False))
    await call.end(Code.CANCELED, HangupSource.API)
    params = call.hangup_params()
    assert leg.asked == [("hangup",)]
    assert (params["CallStatus"], params["HangupCause"], params["Duration"]) == ("cancel", "ORIGINATOR_CANCEL", "0")
    assert params["AnswerTime"] == ""


async def test_ringing_is_stored_once_however_often_the_phone_rings():
    call, leg, keeper = make_call(CallDirection.OUTBOUND)
    for status in (180, 183, 180):
        leg.report(LegRinging(status, has_early_media=False))
    await asyncio.sleep(0)
    assert keeper.calls.count("store ringing") == 1
    assert call.state is State.RINGING


async def test_agreed_digits_are_sent_after_the_answer_with_their_length():
    _, leg, _ = make_call(CallDirection.OUTBOUND, send_digits="1w2@1000")
    leg.report(LegRinging(183, has_early_media=True))
    await asyncio.sleep(0)
    assert leg.commands == []
    leg.answered_by_peer()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    (command,) = leg.commands
    assert isinstance(command, SendDigits)
    assert (command.digits, command.tone_ms) == ("1w2", 1000)


async def test_digits_for_early_media_are_sent_once():
    _, leg, _ = make_call(CallDirection.OUTBOUND, send_digits="7", send_on_preanswer=True)
    leg.report(LegRinging(183, has_early_media=True))
    leg.report(LegRinging(183, has_early_media=True))
    leg.answered_by_peer()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(leg.commands) == 1


async def test_digits_for_early_media_follow_the_answer_when_there_was_none():
    _, leg, _ = make_call(CallDirection.OUTBOUND, send_digits="7", send_on_preanswer=True)
    leg.report(LegRinging(180, has_early_media=False))
    await asyncio.sleep(0)
    assert leg.commands == []
    leg.answered_by_peer()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(leg.commands) == 1


async def test_events_reach_the_document_until_the_call_is_gone():
    call, leg, _ = make_call()
    listener = Listener()
    call.listen(listener)
    await call.answer()
    leg.report(LegMedia(DigitReceived(session_id=leg.session_id, digit="5")))
    await call.transfer("http://new/", "GET")
    leg.ended()
    assert listener.heard == ["answered", "5", ("http://new/", "GET"), "hung up"]
    late = Listener()
    call.listen(late)
    assert late.heard == ["hung up"]


async def test_silence_on_rtp_ends_the_call_with_its_own_cause():
    call, leg, keeper = make_call()
    await call.answer()
    leg.report(LegMedia(MediaTimedOut(session_id=leg.session_id, idle_ms=60_000)))
    await call.wait_over()
    assert call.hangup_params()["HangupCauseCode"] == "6020"
    assert keeper.calls[-2:] == ["store end", "forget"]


async def test_the_time_limit_ends_the_call_as_scheduled():
    call, _, _ = make_call(time_limit_s=0)
    await call.answer()
    await call.wait_over()
    params = call.hangup_params()
    assert (params["HangupCauseCode"], params["HangupCauseName"], params["HangupSource"]) == (
        "6000",
        "Scheduled Hangup",
        "Plivo",
    )


async def test_hangup_on_ring_cancels_a_ringing_call():
    call, leg, _ = make_call(CallDirection.OUTBOUND, hangup_on_ring_s=0)
    leg.report(LegRinging(180, has_early_media=False))
    await call.wait_over()
    assert call.hangup_params()["CallStatus"] == "cancel"


async def test_the_cdr_is_written_after_the_streams_and_the_document_know():
    call, leg, keeper = make_call()
    await call.answer()
    leg.ended()
    await call.wait_over()
    assert keeper.calls[-3:] == ["streams gone", "store end", "forget"]
    assert not call._timers


class RefusingKeeper(Keeper):
    """Its database refuses the first writes."""

    def __init__(self, refusals: int) -> None:
        super().__init__()
        self.refusals = refusals

    async def _write(self, what: str) -> None:
        if self.refusals:
            self.refusals -= 1
            raise StorageUnavailable("the database could not commit")
        self.calls.append(what)

    async def store_answer(self, call: LiveCall) -> None:
        await self._write("store answer")

    async def store_end(self, call: LiveCall) -> None:
        await self._write("store end")


@pytest.mark.parametrize("refusals", [1, 2, 4])
async def test_facts_wait_in_order_for_a_database_that_refuses(refusals: int, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fact_writer, "_STORE_PAUSE_S", 0.001)
    call, leg, _ = make_call()
    call.keeper = keeper = RefusingKeeper(refusals)
    await call.answer()
    await asyncio.sleep(0)
    leg.ended()
    await call.wait_over()
    assert [each for each in keeper.calls if each.startswith("store")] == ["store answer", "store end"]
    assert keeper.calls[-1] == "forget"


async def test_a_call_is_forgotten_although_its_end_can_never_be_stored(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(fact_writer, "_STORE_PAUSE_S", 0.001)
    monkeypatch.setattr(fact_writer, "_STORE_PATIENCE_S", 0)
    call, leg, _ = make_call()
    call.keeper = keeper = RefusingKeeper(1_000)
    leg.ended()
    await call.wait_over()
    assert keeper.calls == ["streams gone", "forget"]


async def test_a_transfer_waits_for_the_document_to_begin():
    call, leg, _ = make_call(CallDirection.OUTBOUND)
    leg.report(LegRinging(180, has_early_media=False))
    await call.transfer("http://old/", "POST")
    await call.transfer("http://new/", "GET")
    leg.answered_by_peer()
    listener = Listener()
    call.listen(listener)
    assert listener.heard == [("http://new/", "GET")]
    call.listen(again := Listener())
    assert again.heard == []


async def test_a_step_that_fails_by_a_fault_of_ours_ends_the_call_and_is_logged(caplog: pytest.CaptureFixture[str]):
    call, _, keeper = make_call()

    async def broken() -> None:
        raise KeyError("no such thing")

    call.spawn(broken())
    await call.wait_over()
    assert call.ending is not None
    assert call.ending.code == Code.INTERNAL_ERROR
    assert "step of a call failed" in caplog.text
    assert ("call", {"state": "problem", "code": "bug", "detail": "KeyError('no such thing')"}) in keeper.facts


async def test_billed_seconds_are_rounded_up_to_minutes():
    call, leg, _ = make_call()
    await call.answer()
    assert call.answered_at is not None
    call.answered_at = Instant(call.answered_at - 61 * SECOND)
    leg.ended()
    params = call.hangup_params()
    assert (params["Duration"], params["BillDuration"]) == ("61", "120")
