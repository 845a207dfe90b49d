"""An agent whose machine still acknowledges while its program is gone: found by pings, in the time that is set."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest
from tests.support.customer import Customer, response, stream
from tests.support.hostile_agents import raw_agent, upgrade
from tests.support.live_calls import answered, hung_up
from tests.support.stream_agent import StreamAgent

from ringback.phones.phone import Phone
from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional


@pytest.fixture(scope="module")
def running() -> Iterator[Platform]:
    settings = {
        "RINGBACK_LIMITS__API_PER_5S": "0",
        "RINGBACK_STREAM__PING_MS": "1000",
        "RINGBACK_STREAM__PONG_WITHIN_MS": "3000",
        "RINGBACK_STREAM__RECONNECTS": "0",
    }
    with Platform.start(settings=settings) as platform:
        yield platform


async def reads_and_says_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await upgrade(reader, writer)
    while await reader.read(65_536):
        pass


async def test_a_half_open_agent_is_given_up_and_one_that_only_listens_is_not(
    customer: Customer, phone: Phone, platform: Platform, silent_agent: StreamAgent
) -> None:
    async with raw_agent(reads_and_says_nothing) as port:
        gone = stream(f"ws://127.0.0.1:{port}/", keepCallAlive="true")
        lost_number = await customer.number(customer.serve("/gone", response(gone, "<Hangup/>")))
        quiet_number = await customer.number(customer.serve("/quiet", response(stream(silent_agent.url))))
        quiet = await answered(phone, platform, quiet_number)
        lost = await answered(phone, platform, lost_number)
        await lost.until_ended()
        closed = await customer.until_event(lost.call_uuid, "stream", event="closed")
        assert (closed["fields"]["reason"], closed["fields"]["detail"]) == ("connection-lost", "no answer to ping")
        assert closed["fields"]["duration_ms"] >= 3_000, "it had its time"
        assert not await customer.events(quiet.call_uuid, "stream", event="closed"), "its WebSocket answers pings"
        await hung_up(quiet)
