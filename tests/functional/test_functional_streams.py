"""The Audio Streams API on live calls: by the official SDK, by plain requests, and over the WebSocket itself."""

import asyncio
import re
import socket

import pytest
from tests.support.agent_audio import assert_gapless, encode, heard_by, payloads, say, sounding
from tests.support.customer import response, stream
from tests.support.judging import assert_sung_through, share_found
from tests.support.live_calls import answered, connection_of, hung_up, say_until, until_heard_ms
from tests.support.raw_api import RawApi
from tests.support.waiting import until, until_is

from ringback.phones import tones

pytestmark = pytest.mark.functional
UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
ACCOUNT_TIME = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d:\d\d")


@pytest.fixture
def rest(platform):
    return RawApi(platform)


@pytest.fixture
async def waiting_call(customer, phone, platform):
    """An answered call whose document only waits."""
    call = await answered(
        phone, platform, await customer.number(customer.serve("/wait", "<Response><Wait length='60'/></Response>"))
    )
    yield call
    await hung_up(call)


@pytest.fixture
async def talk(customer, silent_agent, phone, platform):
    """A call in a two-way µ-law stream, and the agent's end of it."""
    document = response(stream(silent_agent.url, contentType="audio/x-mulaw;rate=8000"))
    call = await answered(phone, platform, await customer.number(customer.serve("/answer", document)))
    yield call, await connection_of(silent_agent, call)
    await hung_up(call)


def names(connection):
    return [message["event"] for message in connection.messages if message["event"] != "media"]


async def event_of(connection, event, count=1, timeout_s=40):
    """Return the `count`-th event of this name."""

    def find():
        return [message for message in connection.messages if message["event"] == event][count - 1 :]

    return (await until(find, f"{event} number {count}", timeout_s))[0]


# ── REST ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_one_way_stream_by_the_sdk_from_start_to_record(customer, silent_agent, phone, waiting_call, rest):
    call, uuid = waiting_call, waiting_call.call_uuid
    started = await customer.sdk(
        lambda sdk: sdk.calls.start_stream(
            uuid,
            service_url=silent_agent.url,
            content_type="audio/x-l16;rate=16000",
            status_callback_url=customer.url("/status"),
            extra_headers="tenant=7,lang=en",
        )
    )
    assert started.message == "audio streaming started"
    assert UUID.fullmatch(started.stream_id)
    assert UUID.fullmatch(started.api_id)
    connection = await connection_of(silent_agent, call)
    start = connection.messages[0]
    assert start == {
        "event": "start",
        "sequenceNumber": 1,
        "start": {
            "callId": uuid,
            "streamId": started.stream_id,
            "accountId": customer.platform.auth_id,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-l16", "sampleRate": 16000},
        },
        "extra_headers": "tenant=7,lang=en",
    }
    await assert_sung_through(call, 5, 1_000, lambda: heard_by(connection), rate_hz=16_000, is_echoed=False)
    media = connection.messages[1]
    assert set(media) == {"event", "sequenceNumber", "streamId", "media", "extra_headers"}
    assert set(media["media"]) == {"track", "timestamp", "chunk", "payload"}
    assert (media["media"]["track"], media["media"]["chunk"], media["extra_headers"]) == (
        "inbound",
        1,
        "tenant=7,lang=en",
    )
    assert_gapless(connection)

    # One-way: what the agent says is refused and nobody hears it.
    connection.play(encode(tones.tone(800, 300, 16000), "audio/x-l16"), "audio/x-l16", 16000)
    assert (await event_of(connection, "incorrectPayload"))["streamId"] == started.stream_id

    live = await until_is(
        lambda: rest("GET", f"Call/{uuid}/Stream/{started.stream_id}/"),
        lambda found: found.json["status"] == "in-progress",
        "the start of the stream",
    )
    assert live.status == 200
    assert ACCOUNT_TIME.fullmatch(live.json["start_time"])
    assert live.json == live.json | {
        "stream_id": started.stream_id,
        "call_uuid": uuid,
        "service_url": silent_agent.url,
        "bidirectional": False,
        "audio_track": "inbound",
        "content_type": "audio/x-l16;rate=16000",
        "end_time": None,
        "status": "in-progress",
        "status_callback_url": customer.url("/status"),
        "plivo_auth_id": customer.platform.auth_id,
        "resource_uri": f"/v1/Account/{customer.platform.auth_id}/Call/{uuid}/Stream/{started.stream_id}/",
    }
    listed = await customer.sdk(lambda sdk: sdk.calls.get_all_streams(uuid))
    assert [each["stream_id"] for each in listed["objects"]] == [started.stream_id]
    assert listed["meta"]["total_count"] == 1

    await customer.sdk(lambda sdk: sdk.calls.delete_specific_stream(uuid, started.stream_id))
    await until(lambda: connection.is_gone, "the socket to close")
    assert (names(connection)[-1], connection.close_code) == ("stop", 1000)
    ended = await until_is(
        lambda: customer.sdk(lambda sdk: sdk.calls.get_details_of_specific_stream(uuid, started.stream_id)),
        lambda found: found.status == "completed",
        "the end of the stream",
    )
    assert ACCOUNT_TIME.fullmatch(ended.end_time)
    assert 1 <= ended.bill_duration <= 40
    assert ended.rounded_bill_duration == 60
    assert ended.billed_amount == "0.00000"
    assert not call.is_over, "stopping a stream must not end the call"
    first, second = await customer.until("/status", 2)
    assert [first.params["Event"], second.params["Event"]] == ["StartStream", "StopStream"]


async def test_start_answers_202_with_the_documented_body(silent_agent, waiting_call, rest):
    reply = await rest("POST", f"Call/{waiting_call.call_uuid}/Stream/", {"service_url": silent_agent.url})
    assert reply.status == 202
    assert set(reply.json) == {"api_id", "message", "stream_id"}
    await connection_of(silent_agent, waiting_call)
    # What Node's SDK sends: no slash at the end, a bare question mark.
    path = f"Call/{waiting_call.call_uuid}/Stream/{reply.json['stream_id']}"
    assert (await rest("GET", path + "?")).status == 200
    stopped = await rest("DELETE", path, {"call_uuid": waiting_call.call_uuid})
    assert (stopped.status, stopped.body) == (204, b"")
    again = await rest("DELETE", path)
    assert again.status == 404
    assert "error" in again.json


async def test_stop_all_stops_one_way_and_two_way(customer, silent_agent, waiting_call, rest):
    uuid = waiting_call.call_uuid
    for name, bidirectional in (("a", False), ("b", False), ("c", True)):
        body = {"service_url": f"{silent_agent.url}&n={name}", "bidirectional": bidirectional}
        assert (await rest("POST", f"Call/{uuid}/Stream/", body)).status == 202
    await until(lambda: len([c for c in silent_agent.connections if c.messages]) == 3, "three streams")
    reply = await rest("DELETE", f"Call/{uuid}/Stream/")
    assert (reply.status, reply.body) == (204, b"")
    await until(lambda: all(c.is_gone for c in silent_agent.connections), "three closed sockets")
    assert not waiting_call.is_over
    listed = await until_is(
        lambda: rest("GET", f"Call/{uuid}/Stream/?limit=2"),
        lambda found: [each["status"] for each in found.json["objects"]] == ["completed"] * 2,
        "the ends of the streams",
    )
    assert listed.json["meta"]["total_count"] == listed.json["meta"]["count"] == 3
    assert listed.json["meta"]["next"].endswith("limit=2&offset=2")
    # By the SDK, with nothing left to stop: what Bolna does when it leaves.
    await customer.sdk(lambda sdk: sdk.calls.delete_all_streams(uuid))


async def test_refused_starts_name_what_is_wrong(silent_agent, waiting_call, rest):
    path = f"Call/{waiting_call.call_uuid}/Stream/"
    two_way = {"service_url": silent_agent.url, "bidirectional": True}
    assert (await rest("POST", path, two_way)).status == 202
    await connection_of(silent_agent, waiting_call)
    other = silent_agent.url + "&other=1"
    for body, words in (
        ({}, "service_url parameter is missing"),
        ({"service_url": "http://127.0.0.1/ws"}, "service_url"),
        ({"service_url": "ws://127.0.0.1/" + "x" * 2048}, "service_url"),
        (two_way, "streams to this URL already"),
        ({"service_url": silent_agent.url}, "streams to this URL already"),
        ({"service_url": other, "bidirectional": "true"}, "has a bidirectional stream already"),
        ({"service_url": other, "bidirectional": True, "audio_track": "both"}, "audio_track"),
        ({"service_url": other, "audio_track": "sideways"}, "audio_track"),
        ({"service_url": other, "content_type": "audio/x-l16;rate=24000"}, "content_type"),
        ({"service_url": other, "stream_timeout": "soon"}, "stream_timeout"),
        ({"service_url": other, "extra_headers": "k=" + "v" * 511}, "extra_headers"),
        ({"service_url": other, "noise_cancellation_level": 59}, "noise_cancellation_level"),
    ):
        reply = await rest("POST", path, body)
        assert reply.status == 400, (body, reply)
        assert words in reply.error
    for method in ("POST", "GET", "DELETE"):
        unknown = f"Call/{waiting_call.call_uuid[:-4]}0000/Stream/"
        assert (await rest(method, unknown, two_way if method == "POST" else None)).status == 404
    assert len(silent_agent.connections) == 1


async def test_stream_on_a_ringing_or_ended_call_is_not_found(customer, silent_agent, phone, platform, rest):
    made = await customer.sdk(
        lambda sdk: sdk.calls.create(
            "15550003333", phone.uri, customer.url("/answer"), hangup_url=customer.url("/hangup")
        )
    )
    path = f"Call/{made.request_uuid}/Stream/"
    call = await phone.next_call()
    call.ring()
    await customer.until_event(made.request_uuid, "call", state="ringing")
    assert (await rest("POST", path, {"service_url": silent_agent.url})).status == 404
    call.reject(486)
    await customer.hangup_params(call_uuid=made.request_uuid)
    assert (await rest("POST", path, {"service_url": silent_agent.url})).status == 404
    assert (await rest("DELETE", path)).status == 404
    listed = await rest("GET", path)
    assert (listed.status, listed.json["objects"]) == (200, [])


# ── status callbacks ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_status_callbacks_tell_start_and_stop(customer, silent_agent, phone, platform, method):
    status = customer.url("/status") + "?mine=1"
    document = response(
        stream(silent_agent.url, statusCallbackUrl=status, statusCallbackMethod=method, extraHeaders="k=v"),
    )
    number = await customer.number(customer.serve("/answer", document), hangup_url=customer.url("/hangup"))
    call = await answered(phone, platform, number)
    connection = await connection_of(silent_agent, call)
    await hung_up(call)
    started, stopped = await customer.until("/status", 2)
    assert started.method == stopped.method == method
    common = {
        "mine": "1",
        "CallUUID": call.call_uuid,
        "StreamID": connection.messages[0]["start"]["streamId"],
        "From": "15550002222",
        "To": number,
        "Direction": "inbound",
        "ParentAuthID": platform.auth_id,
        "ServiceURL": silent_agent.url,
        "status_callback_url": status,
        "status_callback_method": method,
        "bidirectional": "true",
        "audioTrack": "inbound",
        "streamTimeout": "86400",
        "contentType": "audio/x-l16;rate=8000",
        "extraHeaders": "k=v",
        "keepCallAlive": "true",
    }
    for request in (started, stopped):
        moment = request.params.get("Timestamp", "")
        assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", moment)
    assert {k: v for k, v in started.params.items() if k != "Timestamp"} == common | {"Event": "StartStream"}
    last = {k: v for k, v in stopped.params.items() if k not in ("Timestamp", "Duration")}
    assert last == common | {"Event": "StopStream", "StatusReason": "completed"}
    assert stopped.params["Duration"].isdigit()
    await customer.hangup_params(call_uuid=call.call_uuid)
    assert customer.requests[-1].path == "/hangup", "the hang-up callback comes last"


async def test_agent_that_is_not_there_drops_the_stream(customer, waiting_call, rest):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        body = {
            "service_url": f"ws://127.0.0.1:{free.getsockname()[1]}/",
            "status_callback_url": customer.url("/status"),
        }
        started = (await rest("POST", f"Call/{waiting_call.call_uuid}/Stream/", body)).json
        (dropped,) = await customer.until("/status")
    assert dropped.params["Event"] == "DroppedStream"
    assert dropped.params["StatusReason"] == "connection_failed"
    assert dropped.params["StreamID"] == started["stream_id"]
    assert dropped.params["Error"]
    assert "Duration" not in dropped.params
    path = f"Call/{waiting_call.call_uuid}/Stream/{started['stream_id']}/"
    found = await until_is(lambda: rest("GET", path), lambda found: found.json["status"] == "failed", "the failure")
    assert found.json["start_time"] is None
    uuid = waiting_call.call_uuid
    await customer.until_event(uuid, "stream", event="closed", reason="connect-failed")
    tried = await customer.events(uuid, "stream", event="connect failed")
    assert [row["fields"]["attempt"] for row in tried] == [1, 2, 3]
    assert not waiting_call.is_over


async def test_cut_stream_is_connected_again_with_the_same_id(customer, silent_agent, phone, platform):
    document = response(stream(silent_agent.url, statusCallbackUrl=customer.url("/status")))
    call = await answered(phone, platform, await customer.number(customer.serve("/answer", document)))
    first = await connection_of(silent_agent, call)
    await until(lambda: len(first.messages) > 10, "audio")
    first.cut()
    second = await connection_of(silent_agent, call, 2)
    assert second.messages[0]["start"] == first.messages[0]["start"]
    assert second.messages[0]["sequenceNumber"] == 1
    say(second, tones.tone(1400, 500))
    await say_until(
        call, tones.tone(900, 500), lambda: len(sounding(heard_by(second))) > 8 * 300, "the caller at the agent"
    )
    assert tones.pitch_hz(sounding(heard_by(second))) == pytest.approx(900, abs=3)
    await until(lambda: len(sounding(call.heard_samples())) > 8 * 300, "the agent at the caller")
    assert tones.pitch_hz(sounding(call.heard_samples())) == pytest.approx(1400, abs=3)
    assert_gapless(second)
    await hung_up(call)
    await customer.until("/status", 1, Event="StopStream")
    told = [request.params["Event"] for request in customer.seen("/status")]
    assert told == ["StartStream", "DroppedStream", "StartStream", "StopStream"]
    assert len(customer.seen("/answer")) == 1, "the answer URL is not asked again"


async def test_stream_timeout_stops_the_stream_and_not_the_call(customer, silent_agent, waiting_call, rest):
    body = {
        "service_url": silent_agent.url,
        "stream_timeout": 1,
        "status_callback_url": customer.url("/status"),
    }
    await rest("POST", f"Call/{waiting_call.call_uuid}/Stream/", body)
    connection = await connection_of(silent_agent, waiting_call)
    (stopped,) = await customer.until("/status", Event="StopStream")
    assert stopped.params["StatusReason"] == "timeout"
    assert int(stopped.params["Duration"]) in range(1, 5), "no more than a busy machine adds"
    assert names(connection)[-1] == "stop"
    # Fewer than 50 a second when the media worker gets no processor, never more.
    assert 5 <= len(payloads(connection)) <= 50 * int(stopped.params["Duration"]) + 25
    assert not waiting_call.is_over


# ── the WebSocket ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_checkpoints_are_acknowledged_when_their_audio_has_left(talk):
    call, connection = talk
    clock = asyncio.get_running_loop().time
    stream_id = connection.messages[0]["start"]["streamId"]
    # Nothing queued: at once.
    connection.send({"event": "checkpoint", "streamId": stream_id, "name": "empty"})
    played = await event_of(connection, "playedStream")
    assert {key: played[key] for key in ("name", "streamId")} == {"name": "empty", "streamId": stream_id}
    assert set(played) == {"event", "sequenceNumber", "streamId", "name"}

    asked = clock()
    say(connection, tones.tone(700, 400))
    connection.send({"event": "checkpoint", "streamId": stream_id, "name": "one"})
    say(connection, tones.tone(1100, 400))
    connection.send({"event": "checkpoint", "name": "two"})
    connection.send({"event": "checkpoint", "name": "two"})
    assert (await event_of(connection, "playedStream", 2))["name"] == "one"
    first_s = clock() - asked
    assert (await event_of(connection, "playedStream", 4))["name"] == "two"
    second_s = clock() - asked
    # Never early; how late is the benchmarks' business.
    assert first_s > 0.38
    assert second_s > 0.78
    assert [m["name"] for m in connection.messages if m["event"] == "playedStream"] == ["empty", "one", "two", "two"]
    # The caller has heard what was acknowledged.
    await until_heard_ms(call, len(call.heard_samples()) / 8 + 100)
    assert len(sounding(call.heard_samples())) / 8 == pytest.approx(800, abs=80 + call.stood_still_ms)


async def test_clear_audio_silences_the_caller_and_drops_checkpoints(talk):
    call, connection = talk
    say(connection, tones.tone(700, 5000))
    connection.send({"event": "checkpoint", "name": "never"})
    await until(lambda: len(sounding(call.heard_samples())) > 8 * 300, "the tone")
    # Without a streamId, as many agents send it.
    connection.send({"event": "clearAudio"})
    cleared = await event_of(connection, "clearedAudio")
    assert set(cleared) == {"event", "sequenceNumber", "streamId"}
    heard_when_cleared = len(call.heard_samples())
    await until_heard_ms(call, heard_when_cleared / 8 + 600)
    after = call.heard_samples()[heard_when_cleared:]
    # The promise is 40 ms, which the benchmark measures; this machine is busy.
    assert not len(sounding(after[8 * 300 :])), "the tone went on after the clear"

    say(connection, tones.tone(1500, 400))
    connection.send({"event": "checkpoint", "name": "again"})
    assert (await event_of(connection, "playedStream"))["name"] == "again"
    await until_heard_ms(call, len(call.heard_samples()) / 8 + 100)
    assert tones.pitch_hz(sounding(call.heard_samples()[heard_when_cleared + 8 * 600 :])) == pytest.approx(1500, abs=4)
    connection.send({"event": "clearAudio"})
    await event_of(connection, "clearedAudio", 2)


async def test_burst_of_small_chunks_plays_without_a_gap(talk):
    call, connection = talk
    sent = tones.melody(11, 1500)
    for at in range(0, len(sent), 160):
        say(connection, sent[at : at + 160])
    connection.send({"event": "checkpoint", "name": "done"})
    await event_of(connection, "playedStream")
    await until_heard_ms(call, len(call.heard_samples()) / 8 + 150)
    # A media worker that stands still leaves a gap of its own, in one piece of the melody or in two.
    assert share_found(sent, call.heard_samples()) >= (0.5 if call.stood_still_ms else 0.9)
    if not call.stood_still_ms:
        assert tones.find(sent, call.heard_samples()).likeness > 0.9, "the pieces do not join"


async def test_agent_may_answer_in_another_format_than_the_stream(customer, silent_agent, phone, platform):
    """µ-law into an L16 stream, a rate as text, a rate in the content type, a whole wav file (spec 1.4.1)."""
    document = response(stream(silent_agent.url, contentType="audio/x-l16;rate=16000"))
    call = await answered(phone, platform, await customer.number(customer.serve("/answer", document)))
    connection = await connection_of(silent_agent, call)
    wav = _wav(tones.tone(2100, 300, 16000), 16000)
    messages = (
        (600, "audio/x-mulaw", 8000, encode(tones.tone(600, 300), "audio/x-mulaw")),
        (900, "audio/x-l16", "8000", encode(tones.tone(900, 300), "audio/x-l16")),
        (1200, "audio/x-mulaw;rate=8000", "8000", encode(tones.tone(1200, 300), "audio/x-mulaw")),
        (1500, "audio/x-l16", 16000, encode(tones.tone(1500, 300, 16000), "audio/x-l16")),
        (2100, "wav", 8000, encode(wav, "audio/x-l16")),
    )
    for count, (pitch, content_type, rate, payload) in enumerate(messages, 1):
        before = len(call.heard_samples())
        media = {"contentType": content_type, "sampleRate": rate, "payload": payload}
        connection.send({"event": "playAudio", "media": media})
        connection.send({"event": "checkpoint", "name": content_type})
        await event_of(connection, "playedStream", count)
        await until_heard_ms(call, len(call.heard_samples()) / 8 + 120)
        heard = sounding(call.heard_samples()[before:])
        assert tones.pitch_hz(heard) == pytest.approx(pitch, abs=5), content_type
        assert len(heard) / 8 == pytest.approx(300, abs=80 + call.stood_still_ms), content_type
        assert tones.level_dbov(heard) == pytest.approx(-15, abs=1.5), content_type
    assert "incorrectPayload" not in names(connection)
    await hung_up(call)


def _wav(samples, rate_hz):
    """Return a wav file as the 16-bit samples that have the same bytes."""
    import io
    import wave

    import numpy as np

    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.astype("<i2").tobytes())
    return np.frombuffer(buffer.getvalue(), dtype="<i2")


async def test_agent_sends_digits_to_the_caller(talk):
    call, connection = talk
    connection.send({"event": "sendDTMF", "dtmf": "15#"})
    await until(lambda: call.digits == "15#", "the digits at the phone")


async def test_keys_amid_queued_speech_come_at_once_and_the_speech_is_heard_whole(talk):
    call, connection = talk
    pieces = [tones.tone(pitch_hz, 1_000) for pitch_hz in (600, 900, 1_200)]
    for piece in pieces:
        say(connection, piece)
    connection.send({"event": "checkpoint", "name": "said"})
    await until(lambda: tones.level_dbov(call.heard_samples()[-800:]) > -30, "the speech")
    connection.send({"event": "sendDTMF", "dtmf": "15#"})
    await until(lambda: call.digits == "15#", "the digits at the phone")
    assert not [message for message in connection.messages if message["event"] == "playedStream"], "keys waited"
    await until(lambda: [m for m in connection.messages if m["event"] == "playedStream"], "the end of the speech")
    await until_heard_ms(call, len(call.heard_samples()) / 8 + 300)
    heard = sounding(call.heard_samples())
    assert len(heard) / 8 == pytest.approx(3_000, abs=240 + call.stood_still_ms)
    for at_ms, pitch_hz in ((300, 600), (1_400, 900), (2_500, 1_200)):
        assert tones.pitch_hz(heard[8 * at_ms : 8 * (at_ms + 200)]) == pytest.approx(pitch_hz, abs=6)
