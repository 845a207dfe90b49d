"""Nothing is dropped silently: the agent is told, the call's event log has a line, and a counter moves."""

from __future__ import annotations

import asyncio
import base64
from collections import Counter
from typing import Any

import pytest
from tests.support.customer import Customer, response, stream
from tests.support.live_calls import answered, connection_of, hung_up
from tests.support.stream_agent import StreamAgent
from tests.support.waiting import until

from ringback.phones.phone import Phone
from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional
ODD = base64.b64encode(b"\x00" * 321).decode()
SECOND = base64.b64encode(b"\x7f" * 8_000).decode()


def audio(payload: str, content_type: str, rate_hz: int = 8_000) -> dict[str, Any]:
    return {"event": "playAudio", "media": {"contentType": content_type, "sampleRate": rate_hz, "payload": payload}}


async def test_everything_that_is_dropped_is_told_logged_and_counted(
    customer: Customer, silent_agent: StreamAgent, phone: Phone, platform: Platform
) -> None:
    before = await asyncio.to_thread(platform.metrics)
    document = response(
        stream(silent_agent.url, contentType="audio/x-mulaw;rate=8000", extraHeaders="ringback.truth=1")
    )
    call = await answered(phone, platform, await customer.number(customer.serve("/answer", document)))
    connection = await connection_of(silent_agent, call)

    connection.send(audio("AAAA", "audio/ogg"))
    connection.send(audio(ODD, "audio/x-l16"))
    connection.send({"event": "clearAudio"})
    connection.send(audio(ODD, "audio/x-l16"))
    connection.send(audio("gICA", "audio/x-mulaw"))
    connection.send({"event": "clearAudio"})
    connection.send_text(b'{"event":"playAudio","media":{"payload":"' + b"A" * 1_048_576 + b'"}}')
    for _ in range(3):
        connection.send_binary(b"\x00\x01")
    for _ in range(62):
        connection.send(audio(SECOND, "audio/x-mulaw"))
    connection.send({"event": "clearAudio"})
    await until(lambda: len(silent_agent.events("clearedAudio")) == 3, "the end of the flood")
    # The agent's process goes on, but takes nothing for a while.
    assert connection.transport is not None
    connection.transport.underlying_transport.pause_reading()  # type: ignore[attr-defined]  # of read transports
    await customer.until_event(call.call_uuid, "stream", event="fault", reason="uplink_dropped", timeout_s=30)
    connection.transport.underlying_transport.resume_reading()  # type: ignore[attr-defined]
    await until(lambda: told(silent_agent)["uplink_dropped"], "the report of what was not read")

    wanted = {
        "invalid_content_type": 1,
        "incomplete sample": 1,
        "message too large": 1,
        "binary_ignored": 3,
        "buffer_overflow": 2,
    }

    async def logged() -> Counter[str]:
        found: Counter[str] = Counter()
        for row in await customer.events(call.call_uuid, "stream", event="fault"):
            found[row["fields"]["reason"]] += row["fields"]["count"]
        return found

    for _ in range(200):
        if (found := await logged()) >= Counter(wanted):
            break
        await asyncio.sleep(0.1)
    assert {reason: found[reason] for reason in wanted} == wanted

    assert told(silent_agent)["binary_ignored"] == 3
    assert [message["reason"] for message in silent_agent.events("playFailed")] == ["buffer_overflow"]
    # Refusals are answered once a second, so of several the first is certain.
    assert silent_agent.events("incorrectPayload")[0]["reason"] == "invalid_content_type: audio/ogg"

    await hung_up(call)
    after = await asyncio.to_thread(platform.metrics)

    def grew(name: str) -> float:
        return after.get(name, 0.0) - before.get(name, 0.0)

    for reason, count in wanted.items():
        assert grew(f'ringback_stream_errors_total{{code="{reason}"}}') == count
    lost = [
        grew(f'ringback_stream_dropped_audio_seconds_total{{reason="{reason}"}}')
        for reason in ("uplink_dropped", "buffer_overflow")
    ]
    assert lost[0] > 0
    assert lost[1] == pytest.approx(2.0)


def told(agent: StreamAgent) -> Counter[str]:
    """Return what the agent was told by `dropped`."""
    found: Counter[str] = Counter()
    for message in agent.events("dropped"):
        found[message["reason"]] += message["count"]
    return found
