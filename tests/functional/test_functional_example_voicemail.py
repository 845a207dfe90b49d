"""`examples/voicemail.py` in a process of its own: messages after the beep, judged by file and by what is heard."""

import asyncio

import pytest
from tests.support.dials import tone_ms, until_tone
from tests.support.example_app import example_app, lines_of
from tests.support.live_calls import answered, hung_up
from tests.support.recorded import Fetched
from tests.support.waiting import until

from ringback.phones import tones

pytestmark = pytest.mark.functional
BEEP_HZ = 1000
PATIENT_HZ, HASTY_HZ = 740, 860


async def said_after_the_beep(call, pitch_hz):
    """Wait for the beep and say a tone of 600 ms."""
    await until_tone(call, BEEP_HZ, 200)
    call.play(tones.tone(pitch_hz, 600))
    before = len(call.heard_samples())
    await until(lambda: len(call.heard_samples()) - before > 8 * 800, "the message to be said")


async def messages_in(folder, count):
    """Return the left channels of the messages that a mailbox has, once it has them all."""
    paths = await until(lambda: [p for p in found(folder) if len(found(folder)) == count], "the messages")
    files = [Fetched(200, {}, path.read_bytes()).channels for path in paths]
    assert all(tone_ms(right, BEEP_HZ) == 0 for _, right in files), "the beep is not part of a message"
    return [left for left, _ in files]


def found(folder):
    """Return the messages that are complete enough to be decoded."""
    return [path for path in folder.glob("*.mp3") if path.stat().st_size > 4_000]


async def test_callers_leave_messages_by_a_key_and_by_hanging_up(customer, platform, new_phone, tmp_path):
    async with example_app("voicemail", {"MESSAGES": str(tmp_path / "messages")}) as mailbox:
        number = await customer.number(f"{mailbox}/answer")
        patient, hasty = [await answered(await new_phone(user=user), platform, number) for user in ("1555", "1666")]

        async def hears_it_again():
            await said_after_the_beep(patient, PATIENT_HZ)
            patient.send_digits("#")
            await customer.until_event(patient.call_uuid, "media", event="recording finished")
            patient.send_digits("1")
            await until_tone(patient, PATIENT_HZ, 400)
            assert tone_ms(patient.heard_samples(), BEEP_HZ) < 600
            await patient.until_ended(60)

        async def hangs_up():
            await said_after_the_beep(hasty, HASTY_HZ)
            await hung_up(hasty)

        await asyncio.gather(hears_it_again(), hangs_up())
        messages = await messages_in(tmp_path / "messages", 2)
    for pitch_hz in (PATIENT_HZ, HASTY_HZ):
        assert max(tone_ms(message, pitch_hz) for message in messages) >= 300


def test_example_is_short():
    assert lines_of("voicemail") < 80
