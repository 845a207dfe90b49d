"""Recordings: messages after the beep, calls with a stream, by XML and by REST, judged by what is in the files."""

import asyncio
import base64
import os
import signal
from contextlib import asynccontextmanager

import pytest
from tests.support.agent_audio import say, sounding
from tests.support.customer import customer_of, response, stream
from tests.support.dials import A_HZ, B_HZ, assert_joined, dial, tone_ms
from tests.support.live_calls import answered, connection_of, hung_up, until_heard_ms
from tests.support.raw_api import RawApi
from tests.support.recorded import fetch
from tests.support.sounds import wav_reply
from tests.support.waiting import until, until_is

from ringback.phones import tones
from ringback.phones.phone import Phone, PhoneSettings
from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional
BEEP_HZ = 1000


@pytest.fixture
def run(customer, new_phone, platform):
    """Calls a number that answers with this document from a phone of its own; returns the call."""

    async def dial(*elements, path="/answer", **application):
        number = await customer.number(customer.serve(path, response(*elements)), **application)
        return await answered(await new_phone(), platform, number)

    return dial


def assert_tones(samples, expected, call):
    """Check that these pitches sound for about so long, and no other of the test's.

    A busy machine leaves gaps; of what a phone says while it or a media worker stands still nothing is recorded.
    """
    for pitch_hz in (500, 600, 700, 800, 900, BEEP_HZ, 1300, 1700):
        found, wanted = tone_ms(samples, pitch_hz), expected.get(pitch_hz, 0)
        assert 0.6 * wanted - call.stood_still_ms <= found <= wanted + 160, (pitch_hz, found, wanted)


async def arrived(call):
    """Return when what the caller has said is on the platform: when it heard 400 ms more of whatever comes back."""
    await call.until_played()
    await until_heard_ms(call, len(call.heard_samples()) / 8 + 400)


async def heard_beep(call):
    """Return when the caller has heard the beep."""
    await until(lambda: len(sounding(call.heard_samples())) > 8 * 200, "the beep")


# ── <Record> ────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_message_after_the_beep_ends_with_a_key(customer, run):
    bye = customer.serve("/bye.wav", wav_reply(600, 300))
    customer.serve("/done", response(f"<Play>{bye}</Play>"))
    record = (
        f'<Record action="{customer.url("/done")}" finishOnKey="*9" callbackUrl="{customer.url("/ready")}"'
        ' callbackMethod="GET" transcriptionType="auto"/>'
    )
    call = await run(record, "<Play>http://127.0.0.1:1/never</Play>", hangup_url=customer.url("/hangup"))
    await heard_beep(call)
    call.play(tones.tone(700, 1000))
    await arrived(call)
    call.send_digits("1")
    call.send_digits("9")
    (done,) = await customer.until("/done")
    (ready,) = await customer.until("/ready")
    params = done.params
    assert (params["Digits"], params["CallStatus"], params["CallUUID"]) == ("9", "in-progress", call.call_uuid)
    assert params["RecordUrl"].endswith(f"/Recording/{params['RecordingID']}.mp3")
    duration_ms = int(params["RecordingDurationMs"])
    assert int(params["RecordingDuration"]) == -(-duration_ms // 1000)
    assert int(params["RecordingEndMs"]) - int(params["RecordingStartMs"]) == duration_ms
    assert 1_200 < duration_ms < 6_000
    assert ready.method == "GET"
    names = ("RecordUrl", "RecordingID", "RecordingDuration", "RecordingDurationMs", "RecordingStartMs", "CallUUID")
    assert {name: ready.params[name] for name in names} == {name: params[name] for name in names}
    assert ready.headers["x-plivo-signature-v3"]
    file = await fetch(params["RecordUrl"])
    assert file.headers["content-type"] == "audio/mpeg"
    left, right = file.channels
    assert_tones(left, {700: 1000}, call)
    assert not len(sounding(right)), "neither the beep nor an echo of the caller"
    assert file.seconds * 1000 == pytest.approx(duration_ms, abs=300)
    await call.until_ended()
    assert_tones(call.heard_samples(), {BEEP_HZ: 300, 600: 300}, call)
    notes = [row["fields"]["text"] for row in await customer.events(call.call_uuid, "element", phase="note")]
    assert any("nothing is transcribed: " in note for note in notes)


async def test_message_ends_with_silence_or_at_its_length_and_the_document_goes_on(customer, run):
    silent, short = await asyncio.gather(
        run(
            f'<Record action="{customer.url("/silent")}" redirect="false" timeout="2" playBeep="false" fileFormat="wav"'
            ' recordChannelType="mono"/>',
            f"<Play>{customer.serve('/next.wav', wav_reply(600, 300))}</Play>",
            path="/a",
        ),
        run(
            f'<Record action="{customer.url("/short")}" redirect="false" maxLength="1" playBeep="false"'
            ' fileFormat="wav"/>',
            path="/b",
        ),
    )
    for call in (silent, short):
        await until_event_of(customer, call, "recording started")
    short.play(tones.tone(900, 3000))
    silent.play(tones.tone(800, 600))
    (long_one,), (cut,) = await asyncio.gather(customer.until("/silent"), customer.until("/short"))
    assert (long_one.params["Digits"], long_one.params["CallStatus"]) == ("", "in-progress")
    assert int(cut.params["RecordingDurationMs"]) == 1000
    assert int(long_one.params["RecordingDurationMs"]) >= 2_500
    files = await asyncio.gather(*(fetch(done.params["RecordUrl"]) for done in (long_one, cut)))
    assert [file.headers["content-type"] for file in files] == ["audio/wav", "audio/wav"]
    assert [len(file.channels) for file in files] == [1, 2]
    assert_tones(files[0].channels[0], {800: 600}, silent)
    assert files[1].seconds == 1.0
    await asyncio.gather(silent.until_ended(), short.until_ended())
    assert_tones(silent.heard_samples(), {600: 300}, silent)


async def test_caller_who_hangs_up_has_left_a_message(customer, run):
    call = await run(
        f'<Record action="{customer.url("/done")}" callbackUrl="{customer.url("/ready")}"/>',
        hangup_url=customer.url("/hangup"),
    )
    await heard_beep(call)
    call.play(tones.tone(700, 600))
    await arrived(call)
    await hung_up(call)
    (done,) = await customer.until("/done")
    assert (done.params["CallStatus"], done.params["Digits"]) == ("completed", "")
    (ready,) = await customer.until("/ready")
    assert_tones((await fetch(ready.params["RecordUrl"])).channels[0], {700: 600}, call)
    assert (await customer.hangup_params(call_uuid=call.call_uuid))["HangupCauseCode"] == "4000"
    assert len(customer.seen("/done")) == 1


async def test_transfer_ends_a_message_and_tells_no_action(customer, run):
    call = await run(f'<Record action="{customer.url("/done")}" callbackUrl="{customer.url("/ready")}"/>')
    await customer.until_event(call.call_uuid, "media", event="recording started")
    await until_heard_ms(call, len(call.heard_samples()) / 8 + 200)
    url = customer.serve("/moved", response('<Wait length="30"/>'))
    await customer.sdk(lambda sdk: sdk.calls.transfer(call.call_uuid, legs="aleg", aleg_url=url))
    await customer.until("/ready")
    await hung_up(call)
    await customer.until_event(call.call_uuid, "call", state="ended")
    assert not customer.seen("/done")


# ── recordSession and REST beside a stream ──────────────────────────────────────────────────────────────────────────


async def test_call_with_an_agent_is_recorded_by_xml_and_by_rest_at_once(customer, silent_agent, run, platform):
    call = await run(
        f'<Record recordSession="true" redirect="false" action="{customer.url("/began")}" maxLength="600"'
        f' callbackUrl="{customer.url("/whole")}" fileFormat="wav" recordChannelType="stereo"/>',
        stream(silent_agent.url),
    )
    connection = await connection_of(silent_agent, call)
    (began,) = await customer.until("/began")
    unknown = ("RecordingDuration", "RecordingDurationMs", "RecordingStartMs", "RecordingEndMs")
    assert {began.params[name] for name in unknown} == {"-1"}

    def record(**options):
        return customer.sdk(lambda sdk: sdk.calls.record(call.call_uuid, **options))

    stereo, mono = await asyncio.gather(
        record(file_format="wav", record_channel_type="stereo", callback_url=customer.url("/rest")),
        record(time_limit=600, callback_url=customer.url("/rest"), callback_method="GET"),
    )
    assert stereo["message"] == mono["message"] == "call recording started"
    assert stereo["url"].endswith(f"{stereo['recording_id']}.wav")
    assert mono["url"].endswith(f"{mono['recording_id']}.mp3")
    say(connection, tones.tone(500, 800))
    call.play(tones.tone(1300, 800))
    await until(lambda: len(sounding(call.heard_samples())) > 8 * 600, "the agent at the caller")
    await arrived(call)
    api = RawApi(platform)
    assert (await api("DELETE", f"Call/{call.call_uuid}/Record/", {"URL": stereo["url"]})).status == 204
    assert (await api("DELETE", f"Call/{call.call_uuid}/Record/", {"URL": stereo["url"]})).status == 404
    (stopped,) = await customer.until("/rest", recording_id=stereo["recording_id"])
    assert not customer.seen("/rest", recording_id=mono["recording_id"]), "the other one goes on"
    call.play(tones.tone(1700, 400))
    await arrived(call)
    await hung_up(call)
    (ended,) = await customer.until("/rest", recording_id=mono["recording_id"])
    (whole,) = await customer.until("/whole")
    assert stopped.params["api_id"] == stereo["api_id"]
    assert (stopped.params["record_url"], stopped.params["call_uuid"]) == (stereo["url"], call.call_uuid)
    assert (ended.method, stopped.method) == ("GET", "POST")
    rest = {"api_id", "record_url", "call_uuid", "recording_id", "recording_duration", "recording_duration_ms"}
    assert set(stopped.params) == rest | {"recording_start_ms", "recording_end_ms"}
    files = await asyncio.gather(*(fetch(url) for url in (stereo["url"], mono["url"], whole.params["RecordUrl"])))
    left, right = files[0].channels
    assert_tones(left, {1300: 800}, call)
    assert_tones(right, {500: 800}, call)
    (mixed,) = files[1].channels
    both = mixed[8 * 100 : -8 * 100]
    for pitch in (500, 1300, 1700):
        assert max(tones.goertzel_dbov(both[at : at + 1600], pitch) for at in range(0, len(both) - 1600, 800)) > -25
    left, right = files[2].channels
    assert_tones(left, {1300: 800, 1700: 400}, call)
    assert_tones(right, {500: 800}, call)
    assert files[2].seconds * 1000 == pytest.approx(int(whole.params["RecordingDurationMs"]), abs=1)


# ── the resource ────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_recordings_are_listed_fetched_in_parts_and_deleted(customer, run):
    call = await run('<Wait length="30"/>')
    started = await customer.sdk(lambda sdk: sdk.calls.start_recording(call.call_uuid, file_format="wav"))
    assert await customer.sdk(lambda sdk: sdk.recordings.list(call_uuid=call.call_uuid)) is not None
    call.play(tones.tone(700, 500))
    await arrived(call)
    await customer.sdk(lambda sdk: sdk.calls.record_stop(call.call_uuid))
    page = await until_is(
        lambda: customer.sdk(lambda sdk: sdk.recordings.list(call_uuid=call.call_uuid)),
        lambda found: found["meta"]["total_count"] == 1,
        "the recording",
    )
    (listed,) = page["objects"]
    assert (listed["recording_id"], listed["recording_url"]) == (started["recording_id"], started["url"])
    single = await customer.sdk(lambda sdk: sdk.recordings.get(started["recording_id"]))
    assert single["recording_format"] == "wav"
    assert float(single["recording_duration_ms"]) >= 700
    assert single["rounded_recording_duration"] == 60
    whole = await fetch(started["url"])
    assert int(whole.headers["content-length"]) == len(whole.body)
    assert whole.headers["accept-ranges"] == "bytes"
    part = await fetch(started["url"], Range="bytes=44-443")
    assert (part.status, part.body) == (206, whole.body[44:444])
    assert part.headers["content-range"] == f"bytes 44-443/{len(whole.body)}"
    beyond = await fetch(started["url"], Range=f"bytes={len(whole.body)}-")
    assert beyond.status == 416
    head = await fetch(started["url"], "HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (200, b"", str(len(whole.body)))
    await customer.sdk(lambda sdk: sdk.recordings.delete(started["recording_id"]))
    assert (await fetch(started["url"])).status == 404
    await hung_up(call)
    await customer.until_event(call.call_uuid, "call", state="ended")
    gone = await customer.sdk(lambda sdk: sdk.recordings.list(call_uuid=call.call_uuid))
    assert gone["objects"] == []


# ── beside <Dial> ───────────────────────────────────────────────────────────────────────────────────────────────────


async def test_recording_from_the_answer_of_a_dial_has_both_parties(customer, run, new_phone):
    human = await new_phone(user="15550007777")
    call = await run(
        f'<Record startOnDialAnswer="true" redirect="false" fileFormat="wav" callbackUrl="{customer.url("/ready")}"/>',
        dial(human.uri),
    )
    callee = await human.next_call()
    callee.ring()
    call.play(tones.tone(1900, 400))
    await until_event_of(customer, call, "recording asked for")
    # What the caller hears keeps its time: the tone has left the phone.
    await until_heard_ms(call, len(call.heard_samples()) / 8 + 700)
    callee.answer()
    await callee.until_answered()
    await until_event_of(customer, call, "recording started")
    await assert_joined(call, callee)
    await hung_up(call)
    (ready,) = await customer.until("/ready")
    left, right = (await fetch(ready.params["RecordUrl"])).channels
    assert tone_ms(left, A_HZ) >= 200
    assert tone_ms(right, B_HZ) >= 200
    assert tone_ms(left, B_HZ) <= 80
    assert tone_ms(right, A_HZ) <= 80
    assert tone_ms(left, 1900) == 0, "what was said before the answer"


async def until_event_of(customer, call, event):
    """Return when the event log of a call has an event of its recordings."""
    await customer.until_event(call.call_uuid, "media", event=event)


# ── what goes wrong ─────────────────────────────────────────────────────────────────────────────────────────────────


async def test_killed_worker_leaves_the_recording_as_far_as_it_was_written():
    settings = {"RINGBACK_RECORDING__URL_AUTH": "basic"}
    with Platform.start(settings=settings) as platform:
        async with customer_of(platform) as customer, started_phone() as phone:
            document = response('<Wait length="60"/>')
            number = await customer.number(customer.serve("/answer", document), hangup_url=customer.url("/hangup"))
            call = await answered(phone, platform, number)
            ready = customer.url("/ready")
            started = await customer.sdk(lambda sdk: sdk.calls.record(call.call_uuid, callback_url=ready))
            call.play(tones.tone(700, 3000))
            written = f"{started['recording_id']}.wav.part"
            await until(
                lambda: sum(part.stat().st_size for part in platform.folder.rglob(written)) > 16_000,
                "audio on the disk",
            )
            (worker,) = platform.worker_pids()
            os.kill(worker, signal.SIGKILL)
            assert (await customer.hangup_params(call_uuid=call.call_uuid))["HangupCauseCode"] == "5010"
            (told,) = await customer.until("/ready")
            assert int(told.params["recording_duration_ms"]) >= 1_000
            assert (await fetch(told.params["record_url"])).status == 401, "this server asks for credentials"
            login = base64.b64encode(f"{platform.auth_id}:{platform.auth_token}".encode()).decode()
            file = await fetch(told.params["record_url"], Authorization=f"Basic {login}")
            assert tone_ms(file.channels[0], 700) >= 500
            assert not [*platform.folder.rglob("*.part")]


@asynccontextmanager
async def started_phone():
    """A phone for tests with a platform of their own."""
    phone = Phone(PhoneSettings())
    await phone.start()
    try:
        yield phone
    finally:
        await phone.close()
