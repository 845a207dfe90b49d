"""Agents that begin before they are asked to, and what their streams cost at a rate of the operator's."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
from tests.support.agent_audio import encode, sounding
from tests.support.customer import Customer, response, stream
from tests.support.hostile_agents import raw_agent, upgrade
from tests.support.live_calls import answered, connection_of, hung_up, until_heard_ms
from tests.support.raw_api import RawApi
from tests.support.stream_agent import StreamAgent
from tests.support.waiting import until, until_is

from ringback.phones import tones
from ringback.phones.phone import Phone
from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional
RATE = "0.003"
TONE_HZ, TONE_MS = 900, 600


@pytest.fixture(scope="module")
def running() -> Iterator[Platform]:
    settings = {"RINGBACK_LIMITS__API_PER_5S": "0", "RINGBACK_BILLING__STREAM_PER_MINUTE": RATE}
    with Platform.start(settings=settings) as platform:
        yield platform


@asynccontextmanager
async def hasty_agent() -> AsyncIterator[int]:
    """Run an agent that speaks in the same breath with which it answers the upgrade; yields its port."""
    media = {"contentType": "audio/x-mulaw", "sampleRate": 8000, "payload": ""}
    media["payload"] = encode(tones.tone(TONE_HZ, TONE_MS), "audio/x-mulaw")
    text = json.dumps({"event": "playAudio", "media": media}).encode()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await upgrade(reader, writer)
        writer.write(b"\x81\x7e" + len(text).to_bytes(2, "big") + text)
        while await reader.read(65_536):
            pass

    async with raw_agent(serve) as port:
        yield port


async def test_commands_count_from_the_moment_the_socket_is_open(
    customer: Customer, phone: Phone, platform: Platform
) -> None:
    async with hasty_agent() as port:
        document = response(stream(f"ws://127.0.0.1:{port}/", contentType="audio/x-mulaw;rate=8000"))
        call = await answered(phone, platform, await customer.number(customer.serve("/hasty", document)))
        await until(lambda: len(sounding(call.heard_samples())) >= 8 * (TONE_MS - 100), "the greeting")
        await until_heard_ms(call, len(call.heard_samples()) / 8 + 200)
        heard = sounding(call.heard_samples())
        assert tones.pitch_hz(heard) == pytest.approx(TONE_HZ, abs=4)
        assert len(heard) / 8 == pytest.approx(TONE_MS, abs=80 + call.stood_still_ms)
        await hung_up(call)


async def test_what_a_stream_costs_is_on_its_object(
    customer: Customer, phone: Phone, platform: Platform, silent_agent: StreamAgent
) -> None:
    """Each started minute at the operator's rate, known when the stream is over."""
    call = await answered(
        phone, platform, await customer.number(customer.serve("/wait", response("<Wait length='60'/>")))
    )
    rest, path = RawApi(platform), f"Call/{call.call_uuid}/Stream/"
    started = await rest("POST", path, {"service_url": silent_agent.url})
    await connection_of(silent_agent, call)
    one = f"{path}{started.json['stream_id']}/"
    live = (await until_is(lambda: rest("GET", one), lambda found: found.json["status"] == "in-progress")).json
    assert (live["bill_duration"], live["rounded_bill_duration"], live["billed_amount"]) == (0, 0, "0.00000")
    assert (await rest("DELETE", one)).status == 204
    await until_is(lambda: rest("GET", one), lambda found: found.json["status"] == "completed", "the end of the stream")
    ended = await customer.sdk(
        lambda sdk: sdk.calls.get_details_of_specific_stream(call.call_uuid, started.json["stream_id"])
    )
    assert 1 <= ended.bill_duration <= 20
    assert (ended.rounded_bill_duration, ended.billed_amount) == (60, "0.00300")
    await hung_up(call)
