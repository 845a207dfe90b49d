"""What a caller hears while the agent of a two-way stream is away: the configured sound, then the document."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import numpy as np
import pytest
from tests.support.agent_audio import say
from tests.support.answering_phone import AnsweringPhone, answering_phone
from tests.support.customer import Customer, response, stream
from tests.support.hostile_agents import raw_agent, stall, upgrade
from tests.support.live_calls import connection_of
from tests.support.ports import free_port
from tests.support.raw_api import RawApi
from tests.support.sounds import wav_reply
from tests.support.stream_agent import stream_agent
from tests.support.waiting import until

from ringback.phones import tones
from ringback.phones.call import PhoneCall

pytestmark = [pytest.mark.functional, pytest.mark.timeout(240)]
SILENT_MAX_S = 6
"""How long a caller may hear nothing before the configured outcome."""
SLACK_S = 8
"""What the machine may take besides, when it is busy."""
HOLD_HZ, FALLBACK_HZ, AGENT_HZ, TONE_HZ = 620.0, 1250.0, 1700.0, 440.0


def heard_pitch(call: PhoneCall, pitch_hz: float, windows: int = 5) -> int:
    """Return the index of the first of so many 20 ms windows in a row that hold this pitch, -1 when there are none."""
    samples = call.heard_samples()
    run = 0
    for index in range(len(samples) // 160):
        window = samples[index * 160 : index * 160 + 160]
        loud = tones.level_dbov(window) > -45
        run = run + 1 if loud and purity(window, pitch_hz) > 0.8 else 0
        if run == windows:
            return index - windows + 1
    return -1


def purity(window: tones.Samples, pitch_hz: float) -> float:
    """Return the share of a window's energy that is this tone."""
    at = np.arange(len(window)) / 8000
    wide = window.astype(np.float64)
    basis = np.column_stack([np.cos(2 * np.pi * pitch_hz * at), np.sin(2 * np.pi * pitch_hz * at)])
    rest = wide - basis @ np.linalg.lstsq(basis, wide, rcond=None)[0]
    return 1.0 - float(np.sum(rest**2)) / max(1.0, float(np.sum(wide**2)))


@dataclass
class Stage:
    """A customer and a phone that answers."""

    customer: Customer
    api: RawApi
    callee: AnsweringPhone

    async def call(self, name: str, *elements: str) -> PhoneCall:
        """Return an answered call with this document."""
        answer_url = self.customer.serve(f"/{name}", response(*elements))
        call_uuid = await self.api.make_call(
            to=self.callee.uri, answer_url=answer_url, hangup_url=self.customer.url("/hangup")
        )
        return await self.callee.call_of(call_uuid)

    def element(self, url: str, headers: str) -> str:
        """Return a two-way stream that tells its status."""
        return stream(
            url,
            contentType="audio/x-mulaw;rate=8000",
            statusCallbackUrl=self.customer.url("/status"),
            extraHeaders=headers,
        )

    def fallback(self, name: str) -> str:
        """Return the URL of a document that plays a tone and hangs up."""
        sound = self.customer.serve(f"/{name}.wav", wav_reply(FALLBACK_HZ, 600))
        return self.customer.serve(f"/{name}.xml", response(f"<Play>{sound}</Play>"))

    async def until_dropped(self, call: PhoneCall, timeout_s: float = 20) -> None:
        """Return at the first DroppedStream."""
        await self.customer.until("/status", Event="DroppedStream", CallUUID=call.call_uuid, timeout_s=timeout_s)

    async def until_fallback(self, call: PhoneCall, name: str) -> None:
        """Return when the fallback document was asked for and heard; the rest of the first one never runs."""
        await self.customer.until(f"/{name}.xml", timeout_s=SILENT_MAX_S + SLACK_S, CallUUID=call.call_uuid)
        await until(lambda: heard_pitch(call, FALLBACK_HZ) >= 0, "the fallback document's tone")
        params = await self.customer.hangup_params("/hangup", call.call_uuid)
        assert params["HangupCauseCode"] == "4010"
        facts = await self.customer.events(call.call_uuid, "stream", event="fallback")
        assert len(facts) == 1


@pytest.fixture
async def stage(customer: Customer) -> AsyncIterator[Stage]:
    async with answering_phone() as callee:
        yield Stage(customer, RawApi(customer.platform), callee)


async def test_callers_get_the_configured_outcome_while_their_agents_are_away(stage: Stage) -> None:
    await asyncio.gather(
        agent_restarts_behind_a_hold_sound(stage),
        tone_then_fallback(stage),
        silence_then_fallback(stage),
        never_connects(stage),
        stops_reading(stage),
    )


async def agent_restarts_behind_a_hold_sound(stage: Stage) -> None:
    """The file is heard while the agent is away, not before and not after, and the agent is told what it missed."""
    sound = stage.customer.serve("/hold.wav", wav_reply(HOLD_HZ, 700))
    port = free_port()
    async with stream_agent(port=port, echo=False) as agent:
        headers = f"ringback.truth=1,ringback.hold={sound},ringback.reconnects=9"
        call = await stage.call("restarts", stage.element(agent.url, headers))
        first = await connection_of(agent, call)
        await stage.customer.until("/hold.wav")
        say(first, tones.tone(AGENT_HZ, 300))
        await until(lambda: heard_pitch(call, AGENT_HZ) >= 0, "the agent")
        assert heard_pitch(call, HOLD_HZ) < 0
    await stage.until_dropped(call)
    await until(lambda: heard_pitch(call, HOLD_HZ, 25) >= 0, "the hold sound", SILENT_MAX_S + SLACK_S)
    call.send_digits("7")
    await stage.customer.until_event(call.call_uuid, "digit", digit="7")
    async with stream_agent(port=port, echo=False) as agent:
        second = await connection_of(agent, call)
        start = second.messages[0]
        assert start["start"] == first.messages[0]["start"]
        assert start["reconnects"] == 1
        assert start["away"]["digits"] == "7"
        assert 1_000 < start["away"]["ms"] < (SILENT_MAX_S + SLACK_S) * 1000
        back = len(call.heard_samples())
        # Longer than before, so that it is no echo of that, and long enough for a phone that misses a frame.
        say(second, tones.tone(AGENT_HZ, 2_000))
        await until(lambda: heard_pitch(call, AGENT_HZ, 20) >= 0, "the agent again")
        await until(
            lambda: len(call.heard_samples()) > back + 16_000 and tones.level_dbov(call.heard_samples()[-1_600:]) < -60,
            "silence after the agent, without the hold sound",
        )
        call.hang_up()
        await stage.customer.hangup_params("/hangup", call.call_uuid)


async def tone_then_fallback(stage: Stage) -> None:
    """The agent's host accepts connections and answers nothing: the tone is heard, then the fallback document."""
    is_gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if is_gone.is_set():
            await writer.wait_closed()
        await upgrade(reader, writer)
        is_gone.set()
        writer.transport.abort()

    async with raw_agent(serve) as port:
        headers = f"ringback.hold=tone,ringback.fallback={stage.fallback('tone')}"
        call = await stage.call("tone", stage.element(f"ws://127.0.0.1:{port}/", headers), "<Wait length='60'/>")
        await stage.until_dropped(call)
        await until(lambda: heard_pitch(call, TONE_HZ) >= 0, "the built-in tone", SILENT_MAX_S + SLACK_S)
        await stage.until_fallback(call, "tone")


async def silence_then_fallback(stage: Stage) -> None:
    """Without a hold sound the document comes before six seconds of silence are over."""
    is_gone = asyncio.Event()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if is_gone.is_set():
            await writer.wait_closed()
        await upgrade(reader, writer)
        is_gone.set()
        writer.transport.abort()

    async with raw_agent(serve) as port:
        headers = f"ringback.fallback={stage.fallback('silence')}"
        call = await stage.call("silence", stage.element(f"ws://127.0.0.1:{port}/", headers), "<Wait length='60'/>")
        await stage.until_dropped(call)
        await stage.until_fallback(call, "silence")
        moments = [
            (await stage.customer.until_event(call.call_uuid, "stream", event=event))["at_ms"]
            for event in ("dropped", "fallback")
        ]
        assert moments[1] - moments[0] < (SILENT_MAX_S + SLACK_S) * 1000, "as the platform saw it"
        assert heard_pitch(call, TONE_HZ) < 0


async def never_connects(stage: Stage) -> None:
    """The fallback document also takes over when the agent was never there."""
    async with raw_agent(refuse) as port:
        headers = f"ringback.fallback={stage.fallback('never')}"
        call = await stage.call("never", stage.element(f"ws://127.0.0.1:{port}/", headers), "<Wait length='60'/>")
        await stage.until_fallback(call, "never")


async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the upgrade with 503."""
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n")
    await writer.drain()
    writer.close()


async def stops_reading(stage: Stage) -> None:
    """An agent that takes nothing for some seconds is lost: what it does not hear, it cannot answer."""
    async with raw_agent(stall) as port:
        headers = f"ringback.reconnects=0,ringback.fallback={stage.fallback('stops')}"
        call = await stage.call("stops", stage.element(f"ws://127.0.0.1:{port}/", headers), "<Wait length='60'/>")
        await stage.until_dropped(call, timeout_s=30)
        await stage.until_fallback(call, "stops")
