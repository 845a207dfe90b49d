"""`<Dial>` while something breaks: its sounds cannot be had, the worker dies, the callbacks go nowhere."""

import asyncio
import os
import signal

import pytest
from tests.support.customer import customer_of, response
from tests.support.dials import A_HZ, B_HZ, RING_HZ, assert_joined, dial, element, until_tone
from tests.support.live_calls import hung_up
from tests.support.recorded import fetch
from tests.support.sounds import wav_reply
from tests.support.waiting import until
from tests.support.workers import by_worker, pids_by_worker

from ringback.phones import tones
from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional
GONE = "http://127.0.0.1:1/gone"
BACK_HZ = 900


@pytest.fixture
async def human(new_phone):
    """The party that is dialled."""
    return await new_phone(user="15550007777")


async def call_in(customer, phone, *elements):
    """Place the caller's call to a document of these elements and a tone that says that it came back."""
    back = element("Play", customer.serve("/back.wav", wav_reply(BACK_HZ, 600)))
    number = await customer.number(customer.serve("/answer", response(*elements, back)))
    return await phone.call(customer.platform.uri(number))


async def test_sounds_and_callbacks_that_cannot_be_reached_cost_no_call(customer, phone, human):
    broken = {"dialMusic": GONE, "confirmSound": GONE, "confirmKey": 1}
    call = await call_in(customer, phone, dial(human.uri, action=GONE, redirect="false", **broken))
    callee = await human.next_call()
    callee.ring()
    await until_tone(call, RING_HZ)
    callee.answer()
    await customer.until_event(callee.call_uuid, "prompt", event="failed")
    callee.send_digits("1")
    await assert_joined(call, callee)
    await hung_up(callee)
    await until_tone(call, BACK_HZ)
    await call.until_ended()


async def test_action_that_cannot_be_reached_ends_the_call(customer, phone, human):
    call = await call_in(customer, phone, dial(human.uri, action=GONE))
    (await human.next_call()).reject(486)
    await call.until_ended()
    ended = await customer.until_event(call.call_uuid, "call", state="ended")
    assert (ended["fields"]["code"], ended["fields"]["name"]) == (7012, "Error Reaching Action URL")


async def test_dial_of_nobody_is_told_as_a_failed_one(customer, phone):
    after = customer.serve("/after", response(element("Play", customer.serve("/after.wav", wav_reply(1_300, 600)))))
    call = await call_in(customer, phone, dial("<Number>anonymous</Number>", action=after))
    (told,) = await customer.until("/after")
    outcome = ("failed", "false", "INVALID_NUMBER_FORMAT")
    assert tuple(told.params[f"Dial{name}"] for name in ("Status", "RingStatus", "HangupCause")) == outcome
    await until_tone(call, 1_300)
    await call.until_ended()


async def test_recording_that_waits_for_the_dial_has_both_parties(customer, phone, human):
    ready = customer.url("/ready")
    record = f'<Record recordSession="true" startOnDialAnswer="true" fileFormat="wav" callbackUrl="{ready}"/>'
    call = await call_in(customer, phone, record, dial(human.uri))
    callee = await human.next_call()
    callee.ring()
    await until_tone(call, RING_HZ)
    callee.answer()
    await assert_joined(call, callee)
    await hung_up(callee)
    await call.until_ended()
    (told,) = await customer.until("/ready")
    left, right = (await fetch(told.params["RecordUrl"])).channels
    for channel, pitch_hz, other_hz in ((left, A_HZ, B_HZ), (right, B_HZ, A_HZ)):
        levels = [tones.goertzel_dbov(channel, pitch) for pitch in (pitch_hz, other_hz, RING_HZ)]
        assert levels[0] > max(levels[1:]) + 15, levels


async def test_worker_that_dies_takes_both_legs_of_its_bridge(new_phone):
    phone, human = await new_phone(user="15550002222"), await new_phone(user="15550007777")
    with Platform.start(workers=2) as platform:
        async with customer_of(platform) as customer:
            call = await call_in(customer, phone, dial(human.uri))
            callee = await human.next_call()
            callee.answer()
            await assert_joined(call, callee)
            placed = by_worker(platform, "media_sessions_active")
            assert sorted(placed.values()) == [0, 2], "both legs share a worker"
            (worker,) = (each for each, sessions in placed.items() if sessions)
            os.kill(pids_by_worker(platform)[worker], signal.SIGKILL)
            await asyncio.gather(call.until_ended(), callee.until_ended())
            for each in (call, callee):
                ended = await customer.until_event(each.call_uuid, "call", state="ended")
                assert ended["fields"]["code"] == 5010
            await until(lambda: all(by_worker(platform, "media_worker_up").values()), "a new worker")
