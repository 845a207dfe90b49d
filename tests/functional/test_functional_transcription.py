"""Recordings as text, by an engine of one's own that hears tones: what was recorded is what is told."""

import asyncio
import os
from pathlib import Path

import pytest
from plivo.exceptions import ResourceNotFoundError
from tests.support.customer import response
from tests.support.dials import until_tone
from tests.support.live_calls import answered, hung_up, until_heard_ms
from tests.support.sounds import wav_reply

from ringback.phones import tones
from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def running():
    """A platform whose recogniser is the tests' own."""
    settings = {
        "RINGBACK_RECOGNITION__ENGINE": "tests.support.tone_listener:Engine",
        "PYTHONPATH": os.pathsep.join(filter(None, (os.environ.get("PYTHONPATH", ""), str(ROOT)))),
        "RINGBACK_LIMITS__API_PER_5S": "0",
    }
    with Platform.start(settings=settings) as platform:
        yield platform


async def message_of_a_caller(customer, platform, new_phone):
    """Leave a message in a document's mailbox."""
    beyond = customer.serve("/beyond", response(f"<Play>{customer.serve('/1500.wav', wav_reply(1500))}</Play>"))
    record = (
        f'<Record action="{beyond}" transcriptionType="auto" transcriptionUrl="{customer.url("/text")}"'
        f' callbackUrl="{customer.url("/file")}"/>'
    )
    number = await customer.number(customer.serve("/mailbox", response(record)))
    call = await answered(await new_phone(user="15550000001"), platform, number)
    await customer.until_event(call.call_uuid, "media", event="recording started")
    call.play(tones.tone(700, 2_000))
    await until_heard_ms(call, len(call.heard_samples()) / 8 + 2_400)
    call.send_digits("#")
    await until_tone(call, 1500)
    await call.until_ended()
    (told,) = await customer.until("/text", call_uuid=call.call_uuid, timeout_s=30)
    (file,) = customer.seen("/file", CallUUID=call.call_uuid)
    assert told.params == {
        "transcription": "700 Hz for 2 s",
        "transcription_charge": "0.00000",
        "transcription_rate": "0.00000",
        "duration": file.params["RecordingDuration"],
        "call_uuid": call.call_uuid,
        "recording_id": file.params["RecordingID"],
        "error": "",
    }
    log = str(await customer.events(call.call_uuid, "webhook"))
    assert "700 Hz" not in log, "what was said stays out of the event log"


async def recording_by_the_api(customer, platform, new_phone):
    """Record a call by REST, as the official SDK asks for it."""
    number = await customer.number(customer.serve("/wait", response('<Wait length="60"/>')))
    call = await answered(await new_phone(user="15550000002"), platform, number)
    started = await customer.sdk(
        lambda sdk: sdk.calls.start_recording(
            call.call_uuid,
            file_format="wav",
            transcription_type="auto",
            transcription_url=customer.url("/text"),
            transcription_method="GET",
        )
    )
    await customer.until_event(call.call_uuid, "media", event="recording started")
    call.play(tones.tone(1_100, 1_000))
    await until_heard_ms(call, len(call.heard_samples()) / 8 + 1_400)
    await hung_up(call)
    (told,) = await customer.until("/text", call_uuid=call.call_uuid, timeout_s=30)
    assert (told.method, told.params["recording_id"]) == ("GET", started.recording_id)
    assert told.params["transcription"] == "1100 Hz for 1 s"
    await text_is_kept_and_made_anew(customer, started.recording_id, "1100 Hz for 1 s")


async def text_is_kept_and_made_anew(customer, recording_id, text):
    """Ask for a text by REST, delete it, and have it made again."""
    kept = await customer.sdk(lambda sdk: sdk.transcriptions.get_transcription(recording_id))
    assert (kept.status, kept.transcription, kept.error) == ("success", text, "")
    await customer.sdk(lambda sdk: sdk.transcriptions.delete_transcription(recording_id))
    with pytest.raises(ResourceNotFoundError):
        await customer.sdk(lambda sdk: sdk.transcriptions.get_transcription(recording_id))
    await customer.sdk(lambda sdk: sdk.transcriptions.create_transcription(recording_id, customer.url("/again")))
    (told,) = await customer.until("/again", recording_id=recording_id, timeout_s=30)
    assert (told.method, told.params["transcription"]) == ("POST", text)
    assert (await customer.sdk(lambda sdk: sdk.transcriptions.get_transcription(recording_id))).transcription == text
    await customer.sdk(lambda sdk: sdk.recordings.delete(recording_id))
    with pytest.raises(ResourceNotFoundError):
        await customer.sdk(lambda sdk: sdk.transcriptions.get_transcription(recording_id))


async def multiparty_call(customer, platform, new_phone):
    """Record everyone as the document wants it, and one participant by REST: each recording has its own text."""
    everyone = (
        '<MultiPartyCall role="Agent" stayAlone="true" enterSound="none" record="true" recordFileFormat="wav"'
        f' transcript="true" transcriptionUrl="{customer.url("/text-of-all")}">Minutes</MultiPartyCall>'
    )
    number = await customer.number(customer.serve("/minutes", response(everyone)))
    call = await answered(await new_phone(user="15550000003"), platform, number)
    await customer.until_event(call.call_uuid, "media", event="recording started")
    listed = await customer.sdk(lambda sdk: sdk.multi_party_calls.list_participants(friendly_name="Minutes"))
    (member_id,) = [each.member_id for each in listed.objects]
    started = await customer.sdk(
        lambda sdk: sdk.multi_party_calls.start_participant_recording(
            member_id,
            friendly_name="Minutes",
            file_format="mp3",
            transcript=True,
            transcription_url=customer.url("/text-of-one"),
        )
    )
    await customer.until_event(call.call_uuid, "media", event="recording started", recording_id=started.recording_id)
    call.play(tones.tone(900, 2_000))
    await until_heard_ms(call, len(call.heard_samples()) / 8 + 2_400)
    await hung_up(call)
    (of_one,) = await customer.until("/text-of-one", recording_id=started.recording_id, timeout_s=30)
    assert of_one.params["transcription"] == "900 Hz for 2 s"
    (of_all,) = await customer.until("/text-of-all", timeout_s=30)
    assert of_all.params["transcription"] == "900 Hz for 2 s"
    assert of_all.params["recording_id"] != started.recording_id
    assert of_all.params["error"] == ""


async def test_what_was_recorded_is_told_as_text(customer, platform, new_phone):
    await asyncio.gather(
        message_of_a_caller(customer, platform, new_phone),
        recording_by_the_api(customer, platform, new_phone),
        multiparty_call(customer, platform, new_phone),
    )
