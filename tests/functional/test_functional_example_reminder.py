"""`examples/reminder.py` in a process of its own: a human who confirms, and an answering machine."""

import asyncio
import json
import urllib.parse
import urllib.request

import numpy as np
import pytest
from tests.support.example_app import example_app, lines_of
from tests.support.greetings import FOLDER, clip, rest, tone
from tests.support.waiting import until

pytestmark = pytest.mark.functional
TEXT = "Your appointment is tomorrow at nine."


def as_samples(*parts):
    """Return what a phone plays."""
    return np.clip(np.concatenate(parts), -32_768, 32_767).astype(np.int16)


def spoken_ms(samples):
    """Return how long something was said."""
    frames = np.asarray(samples, np.float64)[: len(samples) // 160 * 160].reshape(-1, 160)
    return 20 * int(np.count_nonzero(np.sqrt(np.mean(frames**2, axis=1)) > 150))


async def request(url, fields=None):
    """Return the JSON of a request to the example."""
    data = urllib.parse.urlencode(fields).encode() if fields else None

    def ask():
        with urllib.request.urlopen(url, data, timeout=20) as reply:
            return json.loads(reply.read())

    return await asyncio.to_thread(ask)


async def test_human_confirms_and_machine_gets_a_message_after_its_beep(platform, new_phone):
    human, machine = await new_phone(user="15551110001"), await new_phone(user="15551110002")
    environment = {
        "RINGBACK_URL": platform.url,
        "PLIVO_AUTH_ID": platform.auth_id,
        "PLIVO_AUTH_TOKEN": platform.auth_token,
    }
    async with example_app("reminder", environment) as reminder:
        made = [await request(f"{reminder}/remind", {"to": phone.uri, "text": TEXT}) for phone in (human, machine)]
        human_uuid, machine_uuid = (call["call_uuid"] for call in made)

        async def with_human():
            call = await human.next_call()
            call.answer()
            call.play(as_samples(rest(300), clip(FOLDER / "human-john-slt.mp3")))
            await until(lambda: spoken_ms(call.heard_samples()) > 800, "the reminder", 30)
            call.send_digits("1")
            await call.until_ended(60)

        async def with_machine():
            call = await machine.next_call()
            call.answer()
            greeting = as_samples(rest(300), clip(FOLDER / "machine-reached-slt.mp3"), rest(400))
            call.play(as_samples(greeting, tone(1_000, ms=500, level=6_000)))
            until_beep = len(greeting)
            await until(lambda: len(call.heard_samples()) > until_beep, "the end of the greeting", 30)
            # What the phone hears falls behind what it says by as long as the platform stood still.
            before_beep = max(until_beep - 8 * call.stood_still_ms, 0)
            assert spoken_ms(call.heard_samples()[:before_beep]) < 100, "the message waits for the beep"
            await until(lambda: spoken_ms(call.heard_samples()) > 800, "the message", 30)
            await call.until_ended(60)

        await asyncio.gather(with_human(), with_machine())
        outcomes = await request(f"{reminder}/outcomes")
    assert outcomes == {human_uuid: "confirmed", machine_uuid: "left a message"}


def test_example_is_short():
    assert lines_of("reminder") < 80
