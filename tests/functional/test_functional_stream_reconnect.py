"""A stream whose WebSocket drops in the middle of a call: what the caller hears, and what the customer is told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from tests.support.agent_audio import assert_gapless, heard_by, say, sounding
from tests.support.answering_phone import AnsweringPhone, answering_phone
from tests.support.customer import Customer, response, stream
from tests.support.hostile_agents import raw_agent, upgrade
from tests.support.live_calls import connection_of, say_until, until_heard_ms
from tests.support.ports import free_port
from tests.support.raw_api import RawApi
from tests.support.stream_agent import AgentConnection, stream_agent
from tests.support.waiting import until, until_is

from ringback.phones import tones
from ringback.phones.call import PhoneCall

pytestmark = pytest.mark.functional
SILENCE_MAX_S = 6
"""How long a caller may wait for the outcome of a drop."""
SLACK_S = 8
"""What the machine may take besides, when it is busy."""
AWAY_S = 0.4
"""Shorter than the pause between two attempts, so that the second one succeeds."""


@dataclass
class Stage:
    """A customer and a phone that answers."""

    customer: Customer
    api: RawApi
    callee: AnsweringPhone

    async def call(self, name: str, *elements: str) -> PhoneCall:
        """Return an answered call with this document."""
        answer_url = self.customer.serve(f"/{name}", response(*elements))
        hangup_url = self.customer.url("/hangup")
        call_uuid = await self.api.make_call(to=self.callee.uri, answer_url=answer_url, hangup_url=hangup_url)
        return await self.callee.call_of(call_uuid)

    def status(self, call: PhoneCall) -> list[dict[str, str]]:
        """Return the stream status callbacks of a call so far."""
        return [request.params for request in self.customer.seen("/status", CallUUID=call.call_uuid)]

    async def stream_of(self, call: PhoneCall) -> Any:
        """Return the call's only stream as REST tells it."""
        [found] = (await self.api("GET", f"Call/{call.call_uuid}/Stream/")).json["objects"]
        return found


@pytest.fixture
async def stage(customer: Customer) -> AsyncIterator[Stage]:
    async with answering_phone() as callee:
        yield Stage(customer, RawApi(customer.platform), callee)


def named(connection: AgentConnection, event: str) -> list[dict[str, Any]]:
    return [message for message in connection.messages if message["event"] == event]


def names(connection: AgentConnection) -> list[str]:
    """Return the names of the checkpoints that were acknowledged."""
    return [message["name"] for message in named(connection, "playedStream")]


def longest_silence_ms(call: PhoneCall) -> float:
    """Return the longest silence between two sounds at the phone."""
    loud = np.flatnonzero(tones.levels_dbov(call.heard_samples()) > -50)
    return float(np.diff(loud).max()) * 20 if len(loud) > 1 else 0.0


async def test_agent_that_restarts_is_heard_again_under_the_same_ids(stage: Stage) -> None:
    """The process dies without a word and comes back on its port; what it had said before plays on meanwhile."""
    port = free_port()
    url = f"ws://127.0.0.1:{port}/agent?x=1"
    async with stream_agent(port=port, echo=False) as agent:
        element = stream(
            url,
            contentType="audio/x-mulaw;rate=8000",
            statusCallbackUrl=stage.customer.url("/status"),
            extraHeaders="tenant=7,ringback.truth=1,ringback.reconnects=9",
        )
        call = await stage.call("restarts", element)
        first = await connection_of(agent, call)
        await until(lambda: named(first, "media"), "audio")
        say(first, tones.tone(700, 900))
        first.send({"event": "checkpoint", "name": "in the gap"})
        await until(lambda: len(sounding(call.heard_samples())) > 8 * 100, "the agent's first words")
        before = await until_is(lambda: stage.stream_of(call), lambda found: found["start_time"], "the stream's start")
    # Leaving the block cut the connection and closed the port, as the death of a process does.
    await asyncio.sleep(AWAY_S)
    async with stream_agent(port=port, echo=False) as agent:
        second = await connection_of(agent, call)
        say(second, tones.tone(1500, 400))
        second.send({"event": "checkpoint", "name": "again"})
        await until(lambda: "again" in names(second), "the acknowledgement")
        await say_until(
            call, tones.tone(1100, 500), lambda: len(sounding(heard_by(second))) > 8 * 300, "the caller at the agent"
        )
        await until_heard_ms(call, len(call.heard_samples()) / 8 + 100)

        start = second.messages[0]
        assert start["start"] == first.messages[0]["start"]
        assert (start["sequenceNumber"], start["extra_headers"]) == (
            1,
            "tenant=7,ringback.truth=1,ringback.reconnects=9",
        )
        assert (first.messages[0]["reconnects"], start["reconnects"]) == (0, 1)
        assert_gapless(second)
        assert named(second, "media")[0]["media"]["chunk"] == 1
        assert tones.pitch_hz(sounding(heard_by(second))) == pytest.approx(1100, abs=3)
        # Nothing that the first connection queued was lost or repeated.
        heard = sounding(call.heard_samples())
        assert len(heard) / 8 == pytest.approx(1300, abs=160 + call.stood_still_ms)
        assert tones.pitch_hz(heard[: 8 * 700]) == pytest.approx(700, abs=3)
        assert tones.pitch_hz(heard[-8 * 200 :]) == pytest.approx(1500, abs=5)
        told = named(second, "playedStream")[-1]["audio"]
        assert (told["playedMs"], told["playedCheckpoints"], told["droppedMs"]) == (1300, 2, 0)
        assert longest_silence_ms(call) < (SILENCE_MAX_S + SLACK_S) * 1000

        now = await until_is(lambda: stage.stream_of(call), lambda found: found["status"] == "in-progress")
        assert (now["stream_id"], now["start_time"], now["status"]) == (
            before["stream_id"],
            before["start_time"],
            "in-progress",
        )
        call.hang_up()
        await stage.customer.until("/status", Event="StopStream", CallUUID=call.call_uuid)
        assert named(second, "stop")
    callbacks = stage.status(call)
    assert [each["Event"] for each in callbacks] == ["StartStream", "DroppedStream", "StartStream", "StopStream"]
    assert {each["StreamID"] for each in callbacks} == {before["stream_id"]}
    assert callbacks[1]["StatusReason"] == "connection_lost"
    assert callbacks[1]["Error"] == "connection disconnected with the remote service: connection dropped"
    dropped = await stage.customer.events(call.call_uuid, "stream", event="dropped")
    assert [row["fields"]["close_code"] for row in dropped] == [1006]
    assert len(stage.customer.seen("/restarts")) == 1, "the answer URL is not asked again"


async def test_agents_that_do_not_come_back_are_given_up_in_time(stage: Stage) -> None:
    """One refuses, one accepts and never answers the upgrade: the next element runs within 6 s of the drop."""

    async def lost(name: str, says: str, url: str, drop: asyncio.Event) -> None:
        following = f"<Redirect>{stage.customer.serve(f'/after-{name}', response('<Hangup/>'))}</Redirect>"
        call = await stage.call(name, stream(url, statusCallbackUrl=stage.customer.url("/status")), following)
        await stage.customer.until("/status", Event="StartStream", CallUUID=call.call_uuid)
        drop.set()
        await stage.customer.until("/status", Event="DroppedStream", CallUUID=call.call_uuid)
        began = asyncio.get_running_loop().time()
        await stage.customer.until(f"/after-{name}", timeout_s=SILENCE_MAX_S + SLACK_S, CallUUID=call.call_uuid)
        assert asyncio.get_running_loop().time() - began < SILENCE_MAX_S + SLACK_S
        await stage.customer.hangup_params("/hangup", call.call_uuid)
        first, *others = stage.status(call)
        assert first["Event"] == "StartStream"
        assert [each["Event"] for each in others] == ["DroppedStream"] * 2
        assert says in others[-1]["Error"]
        await until_is(lambda: stage.stream_of(call), lambda found: found["status"] == "failed", "the failure")

    async def refuses() -> None:
        drop = asyncio.Event()
        async with stream_agent() as agent:
            task = asyncio.create_task(lost("refuses", "connection refused", agent.url, drop))
            await drop.wait()
        await task

    async def hangs() -> None:
        drop = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if drop.is_set():
                await writer.wait_closed()
            await upgrade(reader, writer)
            await drop.wait()
            writer.transport.abort()

        async with raw_agent(serve) as port:
            await lost("hangs", "the agent does not answer the upgrade", f"ws://127.0.0.1:{port}/", drop)

    await asyncio.gather(refuses(), hangs())
