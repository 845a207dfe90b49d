"""Stock clients as voice agents on a live call: the official stream SDK and a Pipecat bot, unchanged."""

import asyncio
import importlib.util
import os
from pathlib import Path

import pytest
from tests.support.agent_audio import sounding
from tests.support.agent_process import agent_process
from tests.support.customer import customer_of, response, stream
from tests.support.judging import share_found
from tests.support.live_calls import answered, hung_up, until_heard_ms
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


async def assert_echo_is_good(call, seed):
    async def listen(number):
        melody, before = tones.melody(seed + 10 * number, 1200), len(call.heard_samples())
        call.play(melody)
        for ms in (2_000, 4_000):
            await until_heard_ms(call, before / 8 + ms)
            heard = call.heard_samples()[before:]
            if (share := share_found(melody, heard)) >= SHARE:
                break
        assert share >= SHARE
        assert tones.level_dbov(sounding(heard)) == pytest.approx(tones.level_dbov(sounding(melody)), abs=1.5)

    await in_some_try(listen)


@pytest.mark.parametrize(
    ("content_type", "encoding", "rate_hz"),
    [
        ("audio/x-mulaw;rate=8000", "audio/x-mulaw", 8000),
        ("audio/x-l16;rate=8000", "audio/x-l16", 8000),
        ("audio/x-l16;rate=16000", "audio/x-l16", 16000),
    ],
)
async def test_official_stream_sdk_serves_a_call_without_one_error(
    customer, phone, platform, content_type, encoding, rate_hz
):
    needs("plivo_stream")
    async with agent_process(AGENTS / "plivo_stream_agent.py", platform.auth_token) as (agent, port):
        url = f"ws://127.0.0.1:{port}/stream?room=a%2Bb"
        document = response(stream(url, contentType=content_type, extraHeaders="tenant=7"))
        number = await customer.number(customer.serve("/answer", document), hangup_url=customer.url("/hangup"))
        call = await answered(phone, platform, number)
        started = await agent.until_told("start")
        assert started["call_id"] == call.call_uuid
        assert started["account_id"] == platform.auth_id
        assert started["tracks"] == ["inbound"]
        assert started["form"] == {"content_type": encoding, "sample_rate": rate_hz}
        await assert_echo_is_good(call, 1)
        call.send_digits("19")
        await agent.until_told("dtmf", digit="1")
        for name in ("before", "after"):
            await agent.until_told("playedStream", name=name, stream_id=started["stream_id"])
        # Not sooner: what is cleared is not acknowledged.
        call.send_digits("*")
        await agent.until_told("clearedAudio", stream_id=started["stream_id"])
        await hung_up(call)
        gone = await agent.until_told("disconnected")
        assert gone["frames"] > 80
        await customer.hangup_params()
        # `stop` is no event of this SDK (spec 1.3.6): it may complain about that one, and about nothing else.
        errors = [fact["text"] for fact in agent.told("error")]
        assert [text for text in errors if text != "Unknown event type: stop"] == []
        assert len(errors) <= 1
    assert agent.complaints == []


async def test_official_stream_sdk_ends_the_call_by_closing(customer, phone, platform):
    needs("plivo_stream")
    async with agent_process(AGENTS / "plivo_stream_agent.py", platform.auth_token) as (agent, port):
        document = response(stream(f"ws://127.0.0.1:{port}/stream"))
        number = await customer.number(customer.serve("/answer", document), hangup_url=customer.url("/hangup"))
        call = await answered(phone, platform, number)
        await agent.until_told("start")
        call.send_digits("0")
        assert (await call.until_ended()).by == "them"
        assert (await customer.hangup_params())["HangupCauseCode"] == "4010"


async def test_official_stream_sdk_refuses_a_foreign_signature(customer, phone, platform):
    needs("plivo_stream")
    async with agent_process(AGENTS / "plivo_stream_agent.py", "another-token") as (agent, port):
        document = response(stream(f"ws://127.0.0.1:{port}/stream"))
        number = await customer.number(customer.serve("/answer", document), hangup_url=customer.url("/hangup"))
        call = await answered(phone, platform, number)
        assert (await agent.until_told("error"))["text"] == "Invalid socket signature"
        await call.until_ended(20)
        assert (await customer.hangup_params())["HangupCauseCode"] == "4010"
        assert not agent.told("start")


async def test_pipecat_bot_talks_is_interrupted_and_hangs_up(customer, phone, platform):
    needs("pipecat")
    arguments = (platform.auth_id, platform.auth_token, platform.url)
    async with agent_process(AGENTS / "pipecat_bot.py", *arguments) as (agent, port):
        # The document of Pipecat's own runner.
        document = response(stream(f"ws://127.0.0.1:{port}/bot", contentType="audio/x-mulaw;rate=8000"))
        number = await customer.number(customer.serve("/answer", document), hangup_url=customer.url("/hangup"))
        call = await answered(phone, platform, number)
        detected = await agent.until_told("detected")
        assert (detected["provider"], detected["call_id"]) == ("plivo", call.call_uuid)
        await assert_echo_is_good(call, 2)
        call.send_digits("5*")
        await agent.until_told("key", key="5")
        await agent.until_told("key", key="*")
        cleared = await customer.until_event(call.call_uuid, "stream", event="clearedAudio")
        assert cleared["fields"]["stream_id"] == detected["stream_id"]
        call.send_digits("#")
        assert (await call.until_ended()).by == "them"
        request = await agent.until_told("request")
        path = f"/v1/Account/{platform.auth_id}/Call/{call.call_uuid}/"
        assert (request["method"], request["path"], request["status"]) == ("DELETE", path, 204)
        params = await customer.hangup_params()
        assert (params["HangupCauseCode"], params["HangupSource"]) == ("4000", "API Request")
        await until(lambda: agent.told("ended"), "the pipeline's end")
    wrong = [line for line in agent.complaints if " ERROR " in line or " WARNING " in line or "Traceback" in line]
    assert wrong == []
