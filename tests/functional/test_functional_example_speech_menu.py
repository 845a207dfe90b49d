"""`examples/speech_menu.py` in a process of its own: a caller who speaks, and one who presses keys and is heard out."""

import asyncio
import wave
from pathlib import Path

import numpy as np
import pytest
from tests.support.agent_audio import sounding
from tests.support.example_app import example_app
from tests.support.live_calls import answered
from tests.support.stalls import undisturbed

pytest.importorskip("pocketsphinx")

pytestmark = pytest.mark.functional
SPEECH = Path(__file__).parents[1] / "vectors" / "speech"


@pytest.fixture
async def example():
    """Runs the example; returns its URL."""
    async with example_app("speech_menu", {}) as url:
        yield url


def words(name):
    """Return committed words as samples."""
    with wave.open(str(SPEECH / f"{name}.wav")) as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.int16)


async def until_asked(customer, call, after=0):
    """Return the id of the fact that the next question is being asked."""
    row = await customer.until_event(call.call_uuid, "element", after, timeout_s=30, phase="started", name="GetInput")
    return row["id"]


async def said_to(customer, call):
    """Return the texts that the platform has said, in order."""
    rows = await customer.events(call.call_uuid, "element", phase="started", name="Speak")
    return [row["fields"]["attributes"].get("text", "") for row in rows]


async def by_speech(customer, call):
    """Speak over the questions, and hear the answer."""
    asked = await until_asked(customer, call)
    call.play(words("check_balance"))
    await until_asked(customer, call, asked)
    call.play(words("three_four_five"))
    await call.until_ended(60)
    assert (await said_to(customer, call))[-1] == "Your balance is 12 dollars."
    assert len(sounding(call.heard_samples())) / 8 > 500


async def by_keys(customer, call):
    """Press a key that means nothing, then one that does."""
    asked = await until_asked(customer, call)
    call.send_digits("7")
    await until_asked(customer, call, asked)
    call.send_digits("2")
    await call.until_ended(60)
    texts = await said_to(customer, call)
    assert texts[-1] == "Technical support opens at nine."
    assert "There is no such choice. Press 1 or 2." in texts


async def test_menu_is_left_by_speech_and_by_keys(customer, platform, phone, example):
    number = await customer.number(f"{example}/answer")

    async def both(_attempt):
        calls = [await answered(phone, platform, number) for _ in range(2)]
        await asyncio.gather(by_speech(customer, calls[0]), by_keys(customer, calls[1]))

    await undisturbed(phone, both)
