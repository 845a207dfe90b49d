"""Two more public clients of the protocol on a live call, unchanged: agent-transport and Hermes' phone gateway."""

import asyncio
import importlib.util
import os
from pathlib import Path

import pytest
from tests.support.agent_process import agent_process
from tests.support.customer import customer_of, response, stream
from tests.support.judging import share_found
from tests.support.live_calls import answered, hung_up, until_heard_ms
from tests.support.ports import free_port
from tests.support.tries import in_some_try
from tests.support.waiting import until

from ringback.phones import tones
from ringback.phones.phone import Phone
from ringback.testing.platform import Platform

AGENTS = Path(__file__).parent / "agents"
SHARE = 0.9
"""Of the pieces of a melody, in the best of some tries."""


@pytest.fixture(scope="module")
def platform():
    """A whole server, as in the functional tests."""
    with Platform.start() as platform:
        yield platform


@pytest.fixture
async def customer(platform):
    async with customer_of(platform) as customer:
        yield customer
        await asyncio.to_thread(platform.assert_idle)


@pytest.fixture
async def phone():
    phone = Phone()
    await phone.start()
    yield phone
    await phone.close()


def needs(package):
    """Skip visibly without `package`; under CI that is a failure."""
    if importlib.util.find_spec(package) is None:
        message = f"{package} is not installed: pip install -e '.[dev]'"
        if os.environ.get("CI") == "true":
            pytest.fail(message)
        pytest.skip(message)


@pytest.mark.parametrize("content_type", ["audio/x-mulaw;rate=8000", "audio/x-l16;rate=8000", "audio/x-l16;rate=16000"])
async def test_agent_transport_serves_a_call_without_one_complaint(customer, phone, platform, content_type):
    needs("agent_transport")
    async with agent_process(AGENTS / "agent_transport_agent.py", str(free_port())) as (agent, port):
        document = response(stream(f"ws://127.0.0.1:{port}/", contentType=content_type, extraHeaders="tenant=7"))
        number = await customer.number(customer.serve("/answer", document), hangup_url=customer.url("/hangup"))
        call = await answered(phone, platform, number)
        audio = await agent.until_told("audio")
        assert (audio["rate_hz"], audio["channels"]) == (16_000, 1)

        async def listen(number):
            melody, before = tones.melody(4 + 10 * number, 1_500), len(call.heard_samples())
            call.play(melody)
            for ms in (2_500, 4_500):
                await until_heard_ms(call, before / 8 + ms)
                if (share := share_found(melody, call.heard_samples()[before:])) >= SHARE:
                    break
            assert share >= SHARE

        await in_some_try(listen)
        call.send_digits("9")
        assert (await agent.until_told("played"))["done"]
        call.send_digits("5")
        await until(lambda: call.digits == "12#", "the agent's keys")
        call.send_digits("*")
        await customer.until_event(call.call_uuid, "stream", event="clearedAudio")
        await hung_up(call)
        await agent.until_told("call_terminated")
        await customer.hangup_params()
        faults = await customer.events(call.call_uuid, "stream", event="fault")
        assert faults == []
    assert agent.complaints == []


async def test_hermes_gateway_reads_back_is_interrupted_and_sees_the_end(customer, phone, platform):
    needs("hermes_plivo_voice")
    async with agent_process(AGENTS / "hermes_gateway.py") as (agent, port):
        # The document of the gateway itself (`audio_streaming.answer_xml`).
        document = response(stream(f"ws://127.0.0.1:{port}/media", contentType="audio/x-l16;rate=8000"))
        number = await customer.number(customer.serve("/answer", document), hangup_url=customer.url("/hangup"))
        call = await answered(phone, platform, number)
        started = await agent.until_told("start")
        assert started["call_id"] == call.call_uuid
        assert agent.told("offered")[0]["protocols"] == "audio.drachtio.org"
        call.send_digits("7")
        assert (await agent.until_told("dtmf", digit="7"))["call_id"] == call.call_uuid

        async def listen(number):
            melody, before = tones.melody(5 + 10 * number, 1_200), len(call.heard_samples())
            utterances, replies = len(agent.told("utterance")), len(agent.told("reply"))
            call.play(melody)
            # Of one that was torn there may be several pieces.
            await until(lambda: len(agent.told("utterance")) > utterances, "the utterance")
            await until(lambda: len(agent.told("reply")) == len(agent.told("utterance")), "the reply")
            await until_heard_ms(call, len(call.heard_samples()) / 8 + 300)
            assert agent.told("utterance")[utterances]["ms"] > 1_200
            reply = agent.told("reply")[replies]
            assert (reply["interrupted"], reply["confirmed"]) == (False, True)
            assert share_found(melody, call.heard_samples()[before:]) >= SHARE

        await in_some_try(listen)

        # The caller talks over the second reply: the gateway stops and clears.
        async def interrupt(number):
            utterances, before = len(agent.told("utterance")), len(call.heard_samples())
            call.play(tones.melody(6 + 10 * number, 3_000))
            await until(lambda: len(agent.told("utterance")) > utterances, "the second utterance")
            await until(lambda: tones.level_dbov(call.heard_samples()[before:][-800:]) > -40, "the second reply")
            call.play(tones.melody(7, 1_000))
            await until(lambda: len(agent.told("reply")) == len(agent.told("utterance")), "the end of the reply")
            assert agent.told("reply", interrupted=True)

        await in_some_try(interrupt)
        await customer.until_event(call.call_uuid, "stream", event="clearedAudio")
        await hung_up(call)
        assert (await agent.until_told("closed"))["protocol"] == "audio.drachtio.org"
        await customer.hangup_params()
        # `stop` came: the gateway need not look whether the call was lost.
        assert not agent.told("lost")
        faults = await customer.events(call.call_uuid, "stream", event="fault")
        assert faults == []
    assert agent.complaints == []
