"""`examples/transfer_to_human.py` in a process of its own, judged by what is heard.

The caller meets the agent, a busy human, the agent again, and at last a human.
"""

import pytest
from tests.support.dials import assert_joined, hears
from tests.support.example_app import example_app, lines_of
from tests.support.live_calls import hung_up, say_until

from ringback.phones import tones

pytestmark = pytest.mark.functional


@pytest.fixture
async def human(new_phone):
    return await new_phone(user="15550007777")


@pytest.fixture
async def example(platform, human):
    """Runs the example; returns its URL."""
    environment = {
        "RINGBACK_URL": platform.url,
        "PLIVO_AUTH_ID": platform.auth_id,
        "PLIVO_AUTH_TOKEN": platform.auth_token,
        "HUMAN": human.uri,
    }
    async with example_app("transfer_to_human", environment) as url:
        yield url


async def assert_with_agent(call, pitch_hz):
    """Check that the caller hears itself: the agent echoes."""
    before = len(call.heard_samples())
    await say_until(call, tones.tone(pitch_hz, 600), lambda: hears(call, pitch_hz, 280, before), "the echo")


async def test_caller_asks_for_a_human_comes_back_and_tries_again(customer, platform, phone, human, example):
    number = await customer.number(f"{example}/answer")
    call = await phone.call(platform.uri(number))
    first = await customer.until_event(await uuid_of(call), "stream", event="opened")
    await assert_with_agent(call, 1000)
    call.send_digits("0")
    busy = await human.next_call()
    busy.reject(486)
    await customer.until_event(call.call_uuid, "stream", first["id"], timeout_s=30, event="opened")
    await assert_with_agent(call, 1300)
    call.send_digits("0")
    callee = await human.next_call()
    callee.answer()
    await assert_joined(call, callee)
    await hung_up(callee)
    assert (await call.until_ended()).by == "them"


async def uuid_of(call):
    await call.until_answered()
    return call.call_uuid


def test_example_is_short():
    assert lines_of("transfer_to_human") < 80
