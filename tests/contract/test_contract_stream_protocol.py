"""The stream protocol, rule by rule, from the agent's side of one live call.

The rules stand in the order in which the call lives through them; each is a test, and can be run alone. The numbers are
the sections of the wire specification that the page docs/protocol/stream.md is written from.
"""

from __future__ import annotations

import asyncio
import base64
import json
import uuid
import warnings
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import plivo.utils
import pytest
import pytest_asyncio
from pydantic import TypeAdapter
from tests.support.agent_audio import assert_gapless, encode, heard_by, payloads, say, sounding
from tests.support.customer import Customer, customer_of, response, stream
from tests.support.raw_api import RawApi
from tests.support.sounds import wav
from tests.support.stream_agent import AgentConnection, StreamAgent, stream_agent
from tests.support.tries import in_some_try
from tests.support.waiting import until

from ringback.phones import tones
from ringback.phones.call import PhoneCall
from ringback.phones.phone import Phone, PhoneSettings
from ringback.testing.platform import Platform

with warnings.catch_warnings():
    # The SDK itself uses what pydantic deprecates.
    warnings.simplefilter("ignore")
    from plivo_stream import types as plivo_types

pytestmark = [pytest.mark.functional, pytest.mark.asyncio(loop_scope="module")]

HEADERS = "tenant=7;lang=en"
SDK_MODELS = {
    "start": plivo_types.StartEvent,
    "media": plivo_types.MediaEvent,
    "dtmf": plivo_types.DtmfEvent,
    "playedStream": plivo_types.PlayedStreamEvent,
    "clearedAudio": plivo_types.ClearedAudioEvent,
}
FOREIGN_NAMES = {"callSid", "streamSid", "stream_id", "call_control_id"}
"""Keys in `start` by which a well-known client would take us for somebody else (9.1)."""
ONE_ANSWER_PER_S = 1.05
LATE_S = 0.5
"""What a machine may add to a time that the protocol fixes, in the best of some tries."""


@dataclass
class Talk:
    """The call, and the connection on which the agent hears and speaks."""

    customer: Customer
    rest: RawApi
    agent: StreamAgent
    call: PhoneCall
    connection: AgentConnection
    numbers: Iterator[int] = field(default_factory=lambda: iter(range(1, 1_000)))

    @property
    def stream_id(self) -> str:
        return str(self.connection.messages[0]["start"]["streamId"])

    def named(self, event: str) -> list[dict[str, Any]]:
        """Return the messages of that name on the connection."""
        return [message for message in self.connection.messages if message["event"] == event]

    async def answer(self, event: str, *messages: dict[str, Any] | bytes) -> dict[str, Any]:
        """Send messages and return the first message of that name that follows."""
        before = len(self.named(event))
        for message in messages:
            self.connection.send_text(message if isinstance(message, bytes) else json.dumps(message).encode())
        found = await until(lambda: self.named(event)[before:], f"{event} after {messages!r:.80}")
        return found[0]

    async def played(self, **more: Any) -> str:
        """Return the name of a fresh checkpoint once it is acknowledged."""
        name = f"cp-{next(self.numbers)}"
        self.connection.send({"event": "checkpoint", "name": name, **more})
        await until(lambda: any(message["name"] == name for message in self.named("playedStream")), name)
        return name

    async def quiet(self) -> None:
        """Return when nothing is queued and the phone has heard the end."""
        await self.played()
        heard = len(self.call.heard_samples())
        await until(lambda: len(self.call.heard_samples()) > heard + 8 * 80, "silence at the phone")

    async def heard(self, *messages: dict[str, Any]) -> tones.Samples:
        """Return what the phone hears of what these messages play."""
        before = len(self.call.heard_samples())
        for message in messages:
            self.connection.send(message)
        await self.quiet()
        return sounding(self.call.heard_samples()[before:])

    async def plays(self, pitch_hz: float, duration_ms: int, *messages: dict[str, Any]) -> None:
        """Check that the messages are heard as a tone of this pitch and length."""

        async def listen(_number: int) -> None:
            found = await self.heard(*messages)
            assert tones.pitch_hz(found) == pytest.approx(pitch_hz, abs=6)
            assert len(found) / 8 == pytest.approx(duration_ms, abs=90)

        await in_some_try(listen)

    async def streams(self, **body: Any) -> Any:
        """Ask REST for one more stream to the same agent, on a URL of its own unless `body` names one."""
        wanted = {"service_url": f"{self.agent.url}&n={next(self.numbers)}", **body}
        return await self.rest("POST", f"Call/{self.call.call_uuid}/Stream/", wanted)

    def connections_of(self, stream_id: str) -> list[AgentConnection]:
        """Return the connections of a stream that have started."""
        started = [each for each in self.agent.connections if each.messages]
        return [each for each in started if each.messages[0]["start"]["streamId"] == stream_id]

    async def connection_of(self, stream_id: str, count: int = 1) -> AgentConnection:
        """Return the `count`-th connection of a stream once it has started."""
        what = f"connection {count} of {stream_id}"
        return (await until(lambda: self.connections_of(stream_id)[count - 1 :], what))[0]


def play(payload: str, **media: Any) -> dict[str, Any]:
    """Return a `playAudio`."""
    return {"event": "playAudio", "media": {**media, "payload": payload}}


def mulaw(pitch_hz: float, duration_ms: int) -> str:
    return encode(tones.tone(pitch_hz, duration_ms), "audio/x-mulaw")


def l16(pitch_hz: float, duration_ms: int, rate_hz: int) -> str:
    return encode(tones.tone(pitch_hz, duration_ms, rate_hz), "audio/x-l16")


Check = Callable[[Talk], Awaitable[None]]
RULES: list[tuple[str, Check]] = []


def rule(section: str) -> Callable[[Check], Check]:
    """Add a check to the table; its name says the rule."""

    def add(check: Check) -> Check:
        RULES.append((f"{section} {check.__name__}", check))
        return check

    return add


# -- 1.1, 1.2: connection and frames ------------------------------------------------------------------------------


@rule("1.1")
async def the_upgrade_has_the_documented_headers(talk: Talk) -> None:
    request = talk.agent.requests[0]
    assert request.method == b"GET"
    assert request.path == b"/agent?x=1"
    assert request.headers["Sec-WebSocket-Protocol"] == "audio.drachtio.org"
    assert request.headers["User-Agent"].startswith("Ringback/")
    assert "Origin" not in request.headers
    assert "Sec-WebSocket-Extensions" not in request.headers


@rule("1.1")
async def the_upgrade_is_signed_for_every_spelling_of_the_url(talk: Talk) -> None:
    headers, token = talk.agent.requests[0].headers, talk.customer.platform.auth_token
    bare = talk.agent.url.removeprefix("ws://")
    for name in ("X-Plivo-Signature-V3", "X-Plivo-Signature-Ma-V3"):
        assert " " not in headers[name]
        for url in (f"http://{bare}", f"https://{bare}", f"http://{bare.replace('?', '/websocket?')}"):
            nonce = headers["X-Plivo-Signature-V3-Nonce"]
            assert plivo.utils.validate_v3_signature("GET", url, nonce, token, headers[name])


@rule("1.1")
async def pings_are_answered(talk: Talk) -> None:
    talk.connection.ping(b"are you there")
    await until(lambda: talk.connection.pongs == [b"are you there"], "the pong")


# -- 1.3: to the agent --------------------------------------------------------------------------------------------


@rule("1.3.1")
async def start_is_first_once_and_complete(talk: Talk) -> None:
    start = talk.connection.messages[0]
    assert start == {
        "event": "start",
        "sequenceNumber": 1,
        "start": {
            "callId": talk.call.call_uuid,
            "streamId": talk.stream_id,
            "accountId": talk.customer.platform.auth_id,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
        },
        "extra_headers": HEADERS,
    }
    assert len(talk.named("start")) == 1
    for name in ("callId", "streamId"):
        assert uuid.UUID(start["start"][name]).version == 4
    assert not FOREIGN_NAMES & set(start["start"])


@rule("1.3.2")
async def media_flows_50_times_a_second_through_silence(talk: Talk) -> None:
    loop = asyncio.get_running_loop()

    async def count(_number: int) -> None:
        before, began = len(talk.named("media")), loop.time()
        await until(lambda: len(talk.named("media")) >= before + 50, "50 frames")
        assert 0.8 < loop.time() - began < 1 + LATE_S

    await in_some_try(count)
    frame = talk.named("media")[0]
    assert set(frame) == {"event", "sequenceNumber", "streamId", "media", "extra_headers"}
    assert set(frame["media"]) == {"track", "timestamp", "chunk", "payload"}
    assert (frame["streamId"], frame["extra_headers"]) == (talk.stream_id, HEADERS)
    assert (frame["media"]["track"], frame["media"]["chunk"]) == ("inbound", 1)
    assert {len(payload) for payload in payloads(talk.connection)} == {160}
    assert_gapless(talk.connection)


@rule("1.3.2")
async def the_caller_is_heard_and_the_agent_is_not_echoed(talk: Talk) -> None:
    async def listen(_number: int) -> None:
        before = len(heard_by(talk.connection))
        talk.call.play(tones.tone(600, 500))
        say(talk.connection, tones.tone(1700, 500))
        await until(lambda: len(sounding(heard_by(talk.connection)[before:])) > 8 * 350, "the caller", 5)
        assert tones.pitch_hz(sounding(heard_by(talk.connection)[before:])) == pytest.approx(600, abs=3)

    await in_some_try(listen)
    assert {frame["media"]["track"] for frame in talk.named("media")} == {"inbound"}
    await talk.quiet()


@rule("1.3.3")
async def each_key_is_one_event(talk: Talk) -> None:
    before = len(talk.named("dtmf"))
    talk.call.send_digits("19*#AD55")
    await until(lambda: len(talk.named("dtmf")) >= before + 8, "eight keys")
    assert "".join(event["dtmf"]["digit"] for event in talk.named("dtmf")[before:]) == "19*#AD55"
    for event in talk.named("dtmf"):
        assert set(event) == {"event", "sequenceNumber", "streamId", "dtmf", "extra_headers"}
        assert set(event["dtmf"]) == {"track", "digit", "timestamp"}
        assert event["dtmf"]["track"] == "inbound"
        assert event["dtmf"]["timestamp"].isdigit()
        assert event["extra_headers"] == HEADERS


@rule("1.3.4")
async def played_stream_comes_when_its_audio_has_left(talk: Talk) -> None:
    loop = asyncio.get_running_loop()
    name = ""

    async def wait(_number: int) -> None:
        nonlocal name
        began = loop.time()
        talk.connection.send(play(mulaw(700, 400), contentType="audio/x-mulaw", sampleRate=8000))
        name = await talk.played()
        assert 0.38 < loop.time() - began < 0.4 + LATE_S

    await in_some_try(wait)
    [event] = [message for message in talk.named("playedStream") if message["name"] == name]
    assert set(event) == {"event", "sequenceNumber", "streamId", "name"}
    assert event["streamId"] == talk.stream_id


@rule("1.3.5")
async def each_clear_is_acknowledged_once_also_when_nothing_is_queued(talk: Talk) -> None:
    before = len(talk.named("clearedAudio"))
    for _ in range(3):
        cleared = await talk.answer("clearedAudio", {"event": "clearAudio"})
        assert set(cleared) == {"event", "sequenceNumber", "streamId"}
    assert len(talk.named("clearedAudio")) == before + 3


# -- 1.4: from the agent ------------------------------------------------------------------------------------------


@rule("1.4.1")
async def audio_may_have_any_usual_format(talk: Talk) -> None:
    file = wav(tones.tone(2100, 200, 16_000), 16_000)
    for pitch_hz, message in (
        (600, play(mulaw(600, 200), contentType="audio/x-mulaw", sampleRate=8000)),
        (800, play(mulaw(800, 200), contentType="audio/x-mulaw", sampleRate="8000")),
        (1000, play(mulaw(1000, 200), contentType="audio/x-mulaw;rate=8000")),
        (1200, play(mulaw(1200, 200))),
        (1400, play(mulaw(1400, 200), contentType="raw", sampleRate=8000)),
        (1600, play(l16(1600, 200, 8000), contentType="audio/x-l16", sampleRate=8000)),
        (1800, play(l16(1800, 200, 16_000), contentType="audio/x-l16", sampleRate="16000")),
        (1900, play(l16(1900, 200, 24_000), contentType="audio/x-l16", sampleRate=24_000)),
        (2100, play(base64.b64encode(file).decode(), contentType="wav", sampleRate="8000")),
    ):
        await talk.plays(pitch_hz, 200, message)
    assert not talk.named("incorrectPayload")


@rule("1.4.1")
async def chunks_may_have_any_size(talk: Talk) -> None:
    tone = base64.b64decode(mulaw(900, 400))
    tiny = [play(base64.b64encode(tone[at : at + 33]).decode()) for at in range(0, len(tone), 33)]
    await talk.plays(900, 400, *tiny)
    # L16 cut in the middle of a sample: the half waits for the next chunk.
    pcm = base64.b64decode(l16(1300, 400, 8000))
    odd = [
        play(base64.b64encode(pcm[at : at + 333]).decode(), contentType="audio/x-l16", sampleRate=8000)
        for at in range(0, len(pcm), 333)
    ]
    await talk.plays(1300, 400, *odd)
    # A whole reply in one message, far above the documented 64 KB: 30 s, of which a part is heard.
    before = len(talk.call.heard_samples())
    talk.connection.send(play(mulaw(1100, 30_000)))
    await until(lambda: len(sounding(talk.call.heard_samples()[before:])) > 8 * 300, "a long reply")
    await talk.answer("clearedAudio", {"event": "clearAudio"})
    assert not talk.named("incorrectPayload")
    assert not talk.named("playFailed")
    await talk.quiet()


@rule("1.4.2")
async def checkpoints_are_acknowledged_each_and_in_order(talk: Talk) -> None:
    before = len(talk.named("playedStream"))
    names = [str(uuid.uuid4()), "turn", "turn", "", "é😀"]
    talk.connection.send({"event": "checkpoint", "streamId": talk.stream_id, "name": names[0]})
    await until(lambda: len(talk.named("playedStream")) == before + 1, "a checkpoint behind nothing")
    for name in names[1:]:
        talk.connection.send(play(mulaw(500, 60)))
        talk.connection.send({"event": "checkpoint", "streamId": "somebody-else", "name": name})
    await until(lambda: len(talk.named("playedStream")) == before + len(names), "all checkpoints")
    assert [message["name"] for message in talk.named("playedStream")[before:]] == names
    await talk.quiet()


@rule("1.4.3")
async def clear_drops_audio_and_checkpoints_and_what_follows_plays(talk: Talk) -> None:
    async def listen(_number: int) -> None:
        before = len(talk.call.heard_samples())
        talk.connection.send(play(mulaw(700, 20_000)))
        talk.connection.send({"event": "checkpoint", "name": "never"})
        await until(lambda: len(sounding(talk.call.heard_samples()[before:])) > 8 * 200, "the tone")
        # In one go, without a streamId, as many agents send it: the order of the socket counts.
        await talk.answer("clearedAudio", {"event": "clearAudio"}, play(mulaw(1500, 300)))
        await talk.quiet()
        heard = sounding(talk.call.heard_samples()[before:])
        assert tones.pitch_hz(heard[-8 * 200 :]) == pytest.approx(1500, abs=6)
        assert len(heard) / 8 < 20_000

    await in_some_try(listen)
    assert "never" not in {message["name"] for message in talk.named("playedStream")}


@rule("1.4.4")
async def keys_for_the_caller_do_not_wait_for_speech(talk: Talk) -> None:
    loop = asyncio.get_running_loop()
    began, pressed = loop.time(), len(talk.call.digits)
    talk.connection.send(play(mulaw(700, 20_000)))
    talk.connection.send({"event": "sendDTMF", "dtmf": "15#"})
    await until(lambda: len(talk.call.digits) == pressed + 3, "three keys")
    assert loop.time() - began < 15
    assert talk.call.digits[pressed:] == "15#"
    await talk.answer("clearedAudio", {"event": "clearAudio"})
    await talk.quiet()


@rule("1.4.5")
async def messages_of_others_are_ignored(talk: Talk) -> None:
    before = len(talk.named("incorrectPayload"))
    for message in ({"type": "rtvi-message", "data": {"x": [1, 2]}}, {"event": "_lt_meta", "seq": 1}):
        talk.connection.send(message)
    talk.connection.send_binary(b"\x00\xff" * 400)
    await talk.played()
    assert len(talk.named("incorrectPayload")) == before


@rule("1.4.6")
async def bad_messages_are_answered_and_change_nothing(talk: Talk) -> None:
    for message, reason in (
        (b"not json", "invalid JSON"),
        (b'{"event":"clear"}', "unknown event: clear"),
        (b'{"event":"playAudio","media":{"payload":"gICA","contentType":"audio/mpeg"}}', "invalid_content_type"),
        (b'{"event":"x","pad":"' + b"x" * 1_048_576 + b'"}', "message too large"),
    ):
        answer = await talk.answer("incorrectPayload", message)
        assert set(answer) == {"event", "sequenceNumber", "streamId", "reason"}
        assert answer["reason"].startswith(reason)
        await asyncio.sleep(ONE_ANSWER_PER_S)
    await talk.plays(900, 300, play(mulaw(900, 300)))


@rule("1.4.6")
async def a_flood_of_bad_messages_is_answered_once_a_second(talk: Talk) -> None:
    loop = asyncio.get_running_loop()
    before, began = len(talk.named("incorrectPayload")), loop.time()
    for _ in range(500):
        talk.connection.send_text(b"[]")
    await talk.played()
    assert 1 <= len(talk.named("incorrectPayload")) - before <= loop.time() - began + 2
    rows = await talk.customer.events(talk.call.call_uuid, "stream", event="fault")
    assert rows, "a fault is in the event log"


# -- 1.5: several streams -----------------------------------------------------------------------------------------


@rule("1.5")
async def one_two_way_stream_and_distinct_urls(talk: Talk) -> None:
    for body, words in (
        ({"bidirectional": True}, "bidirectional stream already"),
        ({"service_url": talk.agent.url}, "streams to this URL already"),
        ({"bidirectional": True, "audio_track": "both"}, "audio_track"),
    ):
        refused = await talk.streams(**body)
        assert (refused.status, words in refused.error) == (400, True), refused


@rule("1.5")
async def one_way_streams_listen_beside_and_are_stopped_by_rest(talk: Talk) -> None:
    started = await talk.streams(audio_track="both", content_type="audio/x-l16;rate=16000")
    assert (started.status, started.json["message"]) == (202, "audio streaming started")
    listener = await talk.connection_of(started.json["stream_id"])
    assert listener.messages[0]["start"]["tracks"] == ["inbound", "outbound"]
    assert listener.messages[0]["extra_headers"] == ""

    async def listen(_number: int) -> None:
        before = len(heard_by(listener, "outbound"))

        def outbound() -> tones.Samples:
            return sounding(np.ascontiguousarray(heard_by(listener, "outbound")[before::2]))

        say(talk.connection, tones.tone(1700, 400))
        await until(lambda: len(outbound()) > 8 * 250, "the agent on the outbound track", 5)
        assert tones.pitch_hz(outbound()) == pytest.approx(1700, abs=6)

    await in_some_try(listen)
    # One-way: what the listener says is refused.
    listener.send(play(mulaw(900, 100)))
    await until(lambda: any(message["event"] == "incorrectPayload" for message in listener.messages), "the refusal")
    path = f"Call/{talk.call.call_uuid}/Stream/{started.json['stream_id']}/"
    assert (await talk.rest("DELETE", path)).status == 204
    await until(lambda: listener.is_gone, "the end of the listener")
    assert (listener.messages[-1]["event"], listener.close_code) == ("stop", 1000)
    for track in ("inbound", "outbound"):
        assert_gapless(listener, track)
    await talk.quiet()


@rule("1.5")
async def a_stream_ends_at_its_time_and_the_call_goes_on(talk: Talk) -> None:
    started = await talk.streams(stream_timeout=3)
    listener = await talk.connection_of(started.json["stream_id"])
    await until(lambda: listener.is_gone, "the end of the time")
    assert (listener.messages[-1]["event"], listener.close_code) == ("stop", 1000)
    assert not talk.call.is_over


# -- the end ------------------------------------------------------------------------------------------------------


@rule("1.2")
async def the_official_client_accepts_every_event(talk: Talk) -> None:
    pressed = len(talk.named("dtmf"))
    talk.call.send_digits("1")
    await until(lambda: len(talk.named("dtmf")) > pressed, "a key")
    await talk.played()
    await talk.answer("clearedAudio", {"event": "clearAudio"})
    seen = set()
    for connection in talk.agent.connections:
        assert connection.binary_frames == 0
        for message in connection.messages:
            model = SDK_MODELS.get(message["event"])
            if model is not None:
                seen.add(message["event"])
                TypeAdapter(model).validate_python(message)
    assert seen == set(SDK_MODELS)
    assert_gapless(talk.connection)


@rule("1.5")
async def a_dropped_connection_comes_back_with_the_same_ids(talk: Talk) -> None:
    first, count = talk.connection, len(talk.connections_of(talk.stream_id))
    first.cut()
    talk.connection = await talk.connection_of(talk.stream_id, count + 1)
    assert talk.connection.messages[0] == first.messages[0]
    await until(lambda: len(talk.named("media")) > 5, "audio")
    assert talk.named("media")[0]["media"]["chunk"] == 1
    assert_gapless(talk.connection)
    await talk.plays(1200, 300, play(mulaw(1200, 300)))
    told = await talk.customer.until("/status", Event="DroppedStream", StreamID=talk.stream_id)
    assert told[0].params["StatusReason"] == "connection_lost"


@rule("1.4.6")
async def a_message_beyond_the_hard_limit_costs_the_connection(talk: Talk) -> None:
    over, count = talk.connection, len(talk.connections_of(talk.stream_id))
    over.send_text(b'{"event":"x","pad":"' + b"x" * 2_097_153 + b'"}')
    talk.connection = await talk.connection_of(talk.stream_id, count + 1)
    await until(lambda: over.close_code == 1009, "close 1009")
    await talk.plays(1400, 300, play(mulaw(1400, 300)))


@rule("1.5")
async def an_agent_that_closes_ends_the_stream_and_the_document_goes_on(talk: Talk) -> None:
    stream_id, count = talk.stream_id, len(talk.connections_of(talk.stream_id))
    talk.connection.close(1000)
    [request] = await talk.customer.until("/next")
    assert request.params["CallUUID"] == talk.call.call_uuid
    [stopped] = await talk.customer.until("/status", Event="StopStream", StreamID=stream_id)
    assert stopped.params["StatusReason"] == "completed"
    assert stopped.params["Duration"].isdigit()
    assert len(talk.connections_of(stream_id)) == count


@rule("1.5")
async def an_agent_may_also_send_stop(talk: Talk) -> None:
    if not talk.connection.is_gone and talk.connection.close_code is None:
        # The stream of the second document comes after the end of the first.
        talk.connection.close(1000)
    talk.connection = await until(
        lambda: next((each for each in talk.agent.connections if each.format == ("audio/x-l16", 16_000)
                      and each.messages[0]["start"]["tracks"] == ["inbound"]), None),
        "the second document's stream",
    )  # type: ignore[assignment]  # never None  # fmt: skip
    await talk.plays(1600, 300, play(l16(1600, 300, 16_000)))
    await talk.answer("stop", {"event": "stop", "streamId": talk.stream_id})
    await until(lambda: talk.connection.is_gone, "the close")
    assert talk.connection.close_code == 1000
    # Nothing follows in the document.
    end = await talk.call.until_ended()
    assert end.by == "them"
    hangup = await talk.customer.hangup_params("/hangup", talk.call.call_uuid)
    assert hangup["HangupCauseCode"] == "4010"


# -- the stage ----------------------------------------------------------------------------------------------------


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def talk() -> AsyncIterator[Talk]:
    """One call of one platform, up to the start of its two-way stream."""
    phone = Phone(PhoneSettings(user="15550002222"))
    with Platform.start(settings={"RINGBACK_LIMITS__API_PER_5S": "0"}) as platform:
        async with stream_agent(echo=False) as agent, customer_of(platform) as customer:
            await phone.start()
            status_url = customer.url("/status")
            second = stream(f"{agent.url}&n=second", contentType="audio/x-l16;rate=16000", statusCallbackUrl=status_url)
            first = stream(
                agent.url,
                contentType="audio/x-mulaw;rate=8000",
                extraHeaders=HEADERS,
                statusCallbackUrl=status_url,
            )
            redirect = f"<Redirect>{customer.serve('/next', response(second))}</Redirect>"
            number = await customer.number(
                customer.serve("/answer", response(first, redirect)), hangup_url=customer.url("/hangup")
            )
            call = await phone.call(platform.uri(number))
            await call.until_answered()
            connection = (await until(lambda: [each for each in agent.connections if each.messages], "the stream"))[0]
            yield Talk(customer, RawApi(platform), agent, call, connection)
            if not call.is_over:
                call.hang_up()
                await call.until_ended()
            await phone.close()


@pytest.mark.parametrize("check", [pytest.param(check, id=name.replace(" ", "-")) for name, check in RULES])
async def test_rule(talk: Talk, check: Check) -> None:
    """Check one rule on the live call."""
    await check(talk)
