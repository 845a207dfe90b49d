"""What a stream may be asked for, on live calls: tracks, several streams at once, a full play queue, long headers."""

from __future__ import annotations

from collections.abc import AsyncIterator
from functools import partial
from typing import Any

import numpy as np
import pytest
from tests.support.agent_audio import assert_gapless, encode, frames, heard_by, say, sounding
from tests.support.customer import Customer, response, stream
from tests.support.live_calls import answered, connection_of, hung_up, say_until
from tests.support.raw_api import RawApi
from tests.support.sounds import wav_reply
from tests.support.stream_agent import AgentConnection, StreamAgent, stream_agent
from tests.support.waiting import until, until_is

from ringback.phones import tones
from ringback.phones.call import PhoneCall
from ringback.phones.phone import Phone
from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional
CALLER_HZ, AGENT_HZ, FILE_HZ = 600, 1700, 1100
TONE_MS = 600


@pytest.fixture
def rest(platform: Platform) -> RawApi:
    return RawApi(platform)


@pytest.fixture
async def listeners() -> AsyncIterator[StreamAgent]:
    """An agent that listens on as many streams as one asks for."""
    async with stream_agent(echo=False) as agent:
        yield agent


async def call_of(customer: Customer, phone: Phone, *elements: str) -> PhoneCall:
    """Return an answered call with this document."""
    number = await customer.number(customer.serve("/answer", response(*elements)))
    return await answered(phone, customer.platform, number)


async def listening(rest: RawApi, agent: StreamAgent, call: PhoneCall, name: str, **body: Any) -> AgentConnection:
    """Return the connection of a stream that REST has started."""
    wanted = {"service_url": f"{agent.url}&name={name}", **body}
    reply = await rest("POST", f"Call/{call.call_uuid}/Stream/", wanted)
    assert reply.status == 202, reply

    def find() -> AgentConnection | None:
        started = (each for each in agent.connections if each.messages)
        return next((each for each in started if stream_id_of(each) == reply.json["stream_id"]), None)

    return await until(find, f"stream {name}")  # type: ignore[return-value]  # never None


def stream_id_of(connection: AgentConnection) -> str:
    return str(connection.messages[0]["start"]["streamId"])


def events(connection: AgentConnection, event: str) -> list[dict[str, Any]]:
    return [message for message in connection.messages if message["event"] == event]


def narrow(samples: tones.Samples, connection: AgentConnection) -> tones.Samples:
    """Return samples at 8 kHz."""
    return samples if connection.format[1] == 8000 else np.ascontiguousarray(samples[::2])


def hears(connection: AgentConnection, track: str, pitch_hz: float) -> bool:
    """Return whether a track has at least 400 ms of a tone."""
    heard = sounding(narrow(heard_by(connection, track), connection))
    return len(heard) >= 8 * 400 and abs(tones.pitch_hz(heard) - pitch_hz) < 5


async def test_tracks_carry_what_the_caller_says_and_what_the_caller_hears(
    customer: Customer, phone: Phone, rest: RawApi, silent_agent: StreamAgent, listeners: StreamAgent
) -> None:
    """A two-way agent talks with the caller; others listen to each track and to both, in each format."""
    call = await call_of(customer, phone, stream(silent_agent.url))
    agent = await connection_of(silent_agent, call)
    both = await listening(rest, listeners, call, "both", audio_track="both", content_type="audio/x-l16;rate=16000")
    outbound = await listening(
        rest, listeners, call, "outbound", audio_track="outbound", content_type="audio/x-mulaw;rate=8000"
    )
    inbound = await listening(rest, listeners, call, "inbound", audio_track="inbound")
    assert [one.messages[0]["start"]["tracks"] for one in (both, outbound, inbound)] == [
        ["inbound", "outbound"],
        ["outbound"],
        ["inbound"],
    ]
    await until(lambda: len(frames(both, "outbound")) > 5, "silence on the outbound track")
    say(agent, tones.tone(AGENT_HZ, TONE_MS, agent.format[1]))
    await until(lambda: hears(both, "outbound", AGENT_HZ), "the agent on both")
    await until(lambda: hears(outbound, "outbound", AGENT_HZ), "the agent on outbound")
    for one, what in ((both, "both"), (inbound, "inbound"), (agent, "the agent's")):
        heard = partial(hears, one, "inbound", CALLER_HZ)
        await say_until(call, tones.tone(CALLER_HZ, TONE_MS), heard, f"the caller on {what}")
    call.send_digits("7")
    await until(lambda: events(both, "dtmf") and events(inbound, "dtmf"), "the key")
    assert not frames(outbound, "inbound")
    assert not frames(inbound, "outbound")
    assert not frames(agent, "outbound"), "a two-way stream never carries its own audio"
    assert not events(outbound, "dtmf")
    for connection, tracks in ((both, ("inbound", "outbound")), (outbound, ("outbound",)), (inbound, ("inbound",))):
        for track in tracks:
            assert_gapless(connection, track)
    # What is received waits for late packets, up to 200 ms; what is sent does not.
    assert abs(len(frames(both, "inbound")) - len(frames(both, "outbound"))) <= 15
    ended = await hung_up(call)
    assert ended.by == "us"
    for connection in (agent, both, outbound, inbound):
        await until(lambda one=connection: events(one, "stop"), "stop")  # type: ignore[misc]  # a typed default


async def test_the_outbound_track_carries_play(customer: Customer, phone: Phone, listeners: StreamAgent) -> None:
    """A stream that blocks nothing, then a file: the stream hears the file as the caller does."""
    url = customer.serve("/file.wav", wav_reply(FILE_HZ, TONE_MS))
    element = stream(listeners.url, bidirectional="false", keepCallAlive="false", audioTrack="outbound")
    call = await call_of(customer, phone, element, '<Wait length="1"/>', f"<Play>{url}</Play>", '<Wait length="30"/>')
    connection = await connection_of(listeners, call)
    assert connection.messages[0]["start"]["tracks"] == ["outbound"]
    await until(lambda: hears(connection, "outbound", FILE_HZ), "the file on the outbound track")
    await until(lambda: len(sounding(call.heard_samples())) > 8 * 400, "the file at the phone")
    assert tones.pitch_hz(sounding(call.heard_samples())) == pytest.approx(FILE_HZ, abs=3)
    assert_gapless(connection, "outbound")
    await hung_up(call)


async def test_streams_of_one_call_are_bounded(
    customer: Customer, phone: Phone, rest: RawApi, listeners: StreamAgent
) -> None:
    """Four one-way streams and one two-way stream; a slot that is free again can be taken again."""
    call = await call_of(customer, phone, '<Wait length="60"/>')
    path = f"Call/{call.call_uuid}/Stream/"
    started = [await listening(rest, listeners, call, f"one-way-{number}") for number in range(4)]
    await listening(rest, listeners, call, "two-way", bidirectional=True)
    fifth = {"service_url": f"{listeners.url}&name=fifth"}
    refused = await rest("POST", path, fifth)
    assert (refused.status, "4 one-way streams" in refused.error) == (400, True)
    again = await rest("POST", path, fifth | {"bidirectional": True})
    assert (again.status, "bidirectional stream already" in again.error) == (400, True)
    same = await rest("POST", path, {"service_url": f"{listeners.url}&name=one-way-1"})
    assert (same.status, "streams to this URL already" in same.error) == (400, True)
    assert (await rest("DELETE", path + stream_id_of(started[0]) + "/")).status == 204
    await until(lambda: started[0].is_gone, "the first stream to close")
    await listening(rest, listeners, call, "fifth")
    for connection in listeners.connections[1:]:
        heard = partial(hears, connection, "inbound", CALLER_HZ)
        await say_until(call, tones.tone(CALLER_HZ, TONE_MS), heard, "the caller")
    assert not call.is_over
    await hung_up(call)


async def test_a_play_queue_that_fills_up_is_told_step_by_step(
    customer: Customer, phone: Phone, silent_agent: StreamAgent
) -> None:
    """DegradedStream at 30, 60 and 90 % of 40 s; beyond 60 s the chunk is refused; cleared, it is told anew."""
    document = stream(
        silent_agent.url, contentType="audio/x-mulaw;rate=8000", statusCallbackUrl=customer.url("/status")
    )
    call = await call_of(customer, phone, document)
    agent = await connection_of(silent_agent, call)
    ten_seconds = encode(tones.silence(10_000), "audio/x-mulaw")

    async def degraded(count: int) -> list[str]:
        found = await customer.until("/status", count, Event="DegradedStream", CallUUID=call.call_uuid)
        assert {request.params["StreamID"] for request in found} == {stream_id_of(agent)}
        return [request.params["StatusReason"] for request in found]

    for count, reason in ((1, "buffer_30_percent"), (2, "buffer_60_percent"), (3, "buffer_90_percent")):
        # 30 % are 12 s, 60 % 24 s, 90 % 36 s; what plays meanwhile must not matter.
        agent.play(ten_seconds)
        if count == 1:
            agent.play(ten_seconds)
        assert (await degraded(count))[-1] == reason
    for _ in range(3):
        agent.play(ten_seconds)
    await until(lambda: events(agent, "playFailed"), "playFailed")
    assert [message["reason"] for message in events(agent, "playFailed")] == ["buffer_overflow"]
    agent.send({"event": "queryAudio"})
    audio = (await until(lambda: events(agent, "queriedAudio"), "the answer"))[0]["audio"]
    assert audio["droppedMs"] == 10_000
    assert audio["playedMs"] + audio["queuedMs"] == 60_000
    agent.send({"event": "clearAudio"})
    await until(lambda: events(agent, "clearedAudio"), "clearedAudio")
    for _ in range(2):
        agent.play(ten_seconds)
    assert (await degraded(4))[-1] == "buffer_30_percent"
    assert not call.is_over
    await hung_up(call)
    await customer.until_event(call.call_uuid, "stream", event="fault", reason="buffer_overflow", count=1)


async def test_extra_headers_and_noise_cancellation(
    customer: Customer, phone: Phone, rest: RawApi, silent_agent: StreamAgent, listeners: StreamAgent
) -> None:
    """512 bytes arrive to the byte, by XML and by REST; a suppressor that is not there is owned up to."""
    text = "tenant=7;note=%s" % ("é" * 249)
    assert len(text.encode()) == 512
    element = stream(
        silent_agent.url, extraHeaders=text, noiseCancellation="true", noiseCancellationLevel="60", bidirectional="true"
    )
    call = await call_of(customer, phone, element)
    agent = await connection_of(silent_agent, call)
    sdk_text = ' {"k": "%s"} ' % ("v" * 500)
    started = await customer.sdk(
        lambda sdk: sdk.calls.start_stream(call.call_uuid, service_url=listeners.url, extra_headers=sdk_text)
    )
    listener = await connection_of(listeners, call)
    assert stream_id_of(listener) == started.stream_id
    for connection, expected in ((agent, text), (listener, sdk_text)):
        await until(lambda one=connection: len(frames(one)) > 3, "audio")  # type: ignore[misc]
        assert {message["extra_headers"] for message in connection.messages} == {expected}
    too_long = {"service_url": f"{listeners.url}&n=2", "extra_headers": text + "x"}
    refused = await rest("POST", f"Call/{call.call_uuid}/Stream/", too_long)
    assert (refused.status, "513 bytes" in refused.error) == (400, True)
    for level, status in ((59, 400), (101, 400), (100, 202)):
        body = {"service_url": f"{listeners.url}&n=3", "noise_cancellation": "true", "noise_cancellation_level": level}
        assert (await rest("POST", f"Call/{call.call_uuid}/Stream/", body)).status == status
    for level in (60, 100):
        await customer.until_event(call.call_uuid, "stream", event="noise cancellation", level=level)
    await hung_up(call)


async def test_urls_are_dialled_as_http_knows_them(
    customer: Customer, phone: Phone, rest: RawApi, listeners: StreamAgent
) -> None:
    """Letters beyond ASCII are encoded, a fragment stays here, the scheme may be in capitals."""
    call = await call_of(customer, phone, '<Wait length="60"/>')
    base = f"127.0.0.1:{listeners.port}"
    for count, (url, path) in enumerate(
        (
            (f"ws://{base}/caf\u00e9?name=Jos\u00e9&b=a=b+c/d%20e", b"/caf%C3%A9?name=Jos%C3%A9&b=a=b+c/d%20e"),
            (f"ws://{base}/x#part", b"/x"),
            (f"WS://{base}/y?q={{1}}", b"/y?q={1}"),
            (f"ws://{base}", b"/"),
        ),
        1,
    ):
        started = await rest("POST", f"Call/{call.call_uuid}/Stream/", {"service_url": url})
        assert started.status == 202, started
        await connection_of(listeners, call, count)
        assert listeners.requests[-1].path == path
        one = f"Call/{call.call_uuid}/Stream/{started.json['stream_id']}/"
        ask = partial(rest, "GET", one)
        told = await until_is(ask, lambda found: found.json["status"] == "in-progress", "the start of the stream")
        assert told.json["service_url"] == url
    for url, words in (
        (f"ws://{base}/a b", "a space"),
        (f"ws://user:secret@{base}/", "user information"),
        ("ws://", "no host"),
        (f"ws://{base.partition(':')[0]}:99999/", "cannot be read"),
        ("ws://no-such-host.invalid/", "cannot resolve"),
    ):
        refused = await rest("POST", f"Call/{call.call_uuid}/Stream/", {"service_url": url})
        assert (refused.status, words in refused.error) == (400, True), refused
    await hung_up(call)
