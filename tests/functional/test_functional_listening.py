"""What a document hears of the caller: silence, a voicemail's beep."""

import asyncio

import numpy as np
import pytest
from tests.support.customer import response
from tests.support.live_calls import answered
from tests.support.sounds import heard_tones, wav_reply

from ringback.phones import tones

pytestmark = pytest.mark.functional

NEXT_HZ = 1500


@pytest.fixture
def run(customer, phone, platform):
    """Calls a number that answers with this document; returns the answered call."""

    async def place(name, *elements):
        number = await customer.number(customer.serve(f"/{name}", response(*elements)))
        return await answered(phone, platform, number)

    return place


@pytest.fixture
def sound(customer):
    """Returns the URL of a tone."""
    return customer.serve("/next.wav", wav_reply(NEXT_HZ))


def greeting(duration_ms):
    """Return what sounds like an announcement: syllables of a hoarse voice."""
    noise = np.random.default_rng(7).standard_normal(8 * duration_ms) * 4_000
    syllables = np.abs(np.sin(np.pi * np.arange(8 * duration_ms) / 8 / 250))
    return (noise * syllables).astype(np.int16)


async def wait_ends_when_the_caller_falls_silent(customer, run, sound):
    """Speak, and be silent."""
    call = await run("silence", '<Wait length="60" silence="true" minSilence="700"/>', f"<Play>{sound}</Play>")
    call.play(greeting(1500))
    await call.until_ended(60)
    assert [tone for tone in heard_tones(call.heard_samples()) if tone[0]]
    rows = [row["fields"].get("event") for row in await customer.events(call.call_uuid, "media")]
    happened = [event for event in rows if event in ("speech started", "silence", "play started")]
    assert happened == ["speech started", "silence", "play started"]


async def wait_ends_after_the_beep_and_not_at_a_pause(customer, run, sound):
    """Be a voicemail."""
    call = await run("beep", '<Wait length="60" beep="true"/>', f"<Play>{sound}</Play>")
    pause = tones.silence(600)
    call.play(np.concatenate([greeting(900), pause, greeting(500), pause, tones.tone(1000, 500), pause]))
    await call.until_ended(60)
    assert [pitch for pitch, _ in heard_tones(call.heard_samples()) if pitch] == [pytest.approx(NEXT_HZ, abs=20)]
    rows = [row["fields"] for row in await customer.events(call.call_uuid, "media")]
    (beep,) = [row for row in rows if row.get("event") == "beep"]
    assert beep["pitch_hz"] == pytest.approx(1000, abs=10)
    assert beep["duration_ms"] == pytest.approx(500, abs=100)
    order = [row.get("event") for row in rows if row.get("event") in ("beep", "play started")]
    assert order == ["beep", "play started"]


async def test_waits_end_by_what_is_heard(customer, run, sound):
    await asyncio.gather(
        wait_ends_when_the_caller_falls_silent(customer, run, sound),
        wait_ends_after_the_beep_and_not_at_a_pause(customer, run, sound),
    )
