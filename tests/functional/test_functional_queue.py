"""Many calls by one request: paced, in order, hung up together, and dialled by the next server after a crash."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.support.customer import Customer, customer_of, response
from tests.support.raw_api import RawApi
from tests.support.sounds import heard_tones, wav_reply

from ringback.phones.call import PhoneCall
from ringback.phones.phone import Phone
from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional
FROM = "15550003333"
PER_SECOND = 3
MANY = 40
"""So many that the last of them waits for as long as a test may take to look."""
PITCH_HZ = 700


@pytest.fixture(scope="module")
def running() -> Iterator[Platform]:
    """A platform that starts three calls a second."""
    with Platform.start(settings={"RINGBACK_LIMITS__OUTBOUND_CPS": str(PER_SECOND)}) as platform:
        yield platform


def destinations(phone: Phone, count: int) -> list[str]:
    return [phone.uri.replace("15550002222", f"155510000{index:02}") for index in range(count)]


async def make_calls(customer: Customer, to: list[str], **more: Any) -> list[str]:
    urls = {"answer_url": customer.url("/answer"), "hangup_url": customer.url("/hangup"), **more}
    made = await customer.sdk(lambda sdk: sdk.calls.create(FROM, "<".join(to), **urls))
    assert made.message == "calls fired"
    return list(made.request_uuid)


def serve_tone(customer: Customer) -> None:
    sound = customer.serve("/sound.wav", wav_reply(PITCH_HZ))
    customer.serve("/answer", response(f"<Play>{sound}</Play>"))


async def assert_hears_the_document(call: PhoneCall) -> None:
    await call.until_ended()
    assert PITCH_HZ in [pitch for pitch, _ in heard_tones(call.heard_samples())]


async def test_many_calls_start_in_order_at_the_pace_and_hear_their_document(
    platform: Platform, customer: Customer, phone: Phone
) -> None:
    serve_tone(customer)
    to = destinations(phone, 7)
    uuids = await make_calls(customer, to)
    assert len(set(uuids)) == 7
    calls = []
    for _ in to:
        call = await phone.next_call()
        call.answer()
        calls.append(call)
    # Calls that start together may overtake each other on their way to the wire: each waits for its own media session.
    rung = {call.call_uuid: call.request.uri.user for call in calls}
    assert rung == {uuid: f"155510000{index:02}" for index, uuid in enumerate(uuids)}
    await asyncio.gather(*map(assert_hears_the_document, calls))
    ended = await customer.until("/hangup", 7)
    assert {request.params["HangupCauseCode"] for request in ended} == {"4010"}
    rows = [await customer.events(call_uuid, "call", state="dialling") for call_uuid in uuids]
    assert [row["id"] for [row] in rows] == sorted(row["id"] for [row] in rows), "first come, first served"
    # A busy machine makes calls wait longer, never shorter.
    waited = [row["fields"]["queue_ms"] for [row] in rows]
    assert all(ms >= 1_000 * (place // PER_SECOND) - 100 for place, ms in enumerate(waited)), waited


async def test_waiting_and_ringing_calls_are_hung_up_together(
    platform: Platform, customer: Customer, phone: Phone
) -> None:
    serve_tone(customer)
    to = destinations(phone, MANY)
    uuids = await make_calls(customer, to)
    one = await phone.next_call()
    one.ring()
    assert uuids[-1] in (await customer.sdk(lambda sdk: sdk.queued_calls.list_ids())).calls
    waiting = await customer.sdk(lambda sdk: sdk.queued_calls.get(uuids[-1]))
    assert (waiting.call_status, waiting.to) == ("queued", to[-1])
    await customer.sdk(lambda sdk: sdk.calls.cancel(uuids[-1]))
    assert (await RawApi(platform)("GET", f"Call/{uuids[-1]}/?status=queued")).status == 404
    await customer.sdk(lambda sdk: sdk.request("DELETE", ("Call",), is_voice_request=True))
    assert (await one.until_ended()).by == "them"
    told = await customer.until("/hangup", MANY)
    assert {request.params["CallUUID"] for request in told} == set(uuids)
    assert {(r.params["HangupCauseCode"], r.params["HangupSource"], r.params["CallStatus"]) for r in told} == {
        ("1000", "API Request", "cancel")
    }
    assert not customer.seen("/answer")
    assert (await RawApi(platform)("GET", "Call/?status=queued")).json["calls"] == []


async def test_calls_that_wait_survive_a_server_that_is_killed(tmp_path: Path, phone: Phone) -> None:
    settings = {"RINGBACK_LIMITS__OUTBOUND_CPS": "1", "RINGBACK_MEDIA__DETACHED_LIMIT_S": "20"}
    with Platform.start(folder=tmp_path, settings=settings) as first:
        async with customer_of(first) as customer:
            serve_tone(customer)
            uuids = await make_calls(customer, destinations(phone, 5))
            (await phone.next_call()).ring()
            first.kill_server()
            with Platform.start(folder=tmp_path, settings=settings):
                told: dict[str, str] = {}
                rung = [uuids[0]]

                async def answer_the_rest() -> None:
                    while uuids[-1] not in rung:
                        call = await phone.next_call()
                        rung.append(call.call_uuid)
                        call.answer()
                        await assert_hears_the_document(call)

                await asyncio.wait_for(answer_the_rest(), 60)
                for request in await customer.until("/hangup", 5):
                    told[request.params["CallUUID"]] = request.params["HangupCauseCode"]
            assert len(rung) == len(set(rung)), "no phone rings twice"
            assert told.keys() == set(uuids), "every call is told"
            assert [told[uuid] for uuid in (uuids[0], uuids[-1])] == ["5010", "4010"]
            assert len(customer.seen("/hangup")) == 5, "each call is told once"
