"""`examples/reception.py` in a process of its own: a wish by key, one by word, and one it does not know."""

import asyncio
import wave
from pathlib import Path

import numpy as np
import pytest
from tests.support.dials import until_tone
from tests.support.example_app import example_app, lines_of
from tests.support.live_calls import answered
from tests.support.sounds import wav_reply

pytest.importorskip("pocketsphinx")

pytestmark = pytest.mark.functional
SPEECH = Path(__file__).parents[1] / "vectors" / "speech"
BALANCE_HZ, SUPPORT_HZ = 740, 1_180


def words(name):
    """Return committed words as samples."""
    with wave.open(str(SPEECH / f"{name}.wav")) as file:
        return np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.int16)


async def test_callers_reach_their_desk_by_a_key_and_by_a_word(customer, platform, new_phone):
    customer.serve("/sounds/check_balance.wav", wav_reply(BALANCE_HZ, 600))
    customer.serve("/sounds/technical_support.wav", wav_reply(SUPPORT_HZ, 600))
    async with example_app("reception", {"SOUNDS": customer.url("/sounds")}) as reception:
        number = await customer.number(f"{reception}/answer")
        by_key, by_word = [await answered(await new_phone(user=user), platform, number) for user in ("1555", "1666")]

        async def presses():
            await customer.until_event(by_key.call_uuid, "element", phase="started", name="GetInput", timeout_s=30)
            by_key.send_digits("9")
            again = await customer.until_event(by_key.call_uuid, "webhook", target="action", timeout_s=30)
            await customer.until_event(
                by_key.call_uuid, "element", again["id"], phase="started", name="GetInput", timeout_s=30
            )
            by_key.send_digits("1")
            await until_tone(by_key, BALANCE_HZ, 400)
            await by_key.until_ended(30)

        async def says():
            await customer.until_event(by_word.call_uuid, "element", phase="started", name="GetInput", timeout_s=30)
            by_word.play(words("technical_support"))
            await until_tone(by_word, SUPPORT_HZ, 400)
            await by_word.until_ended(30)

        await asyncio.gather(presses(), says())


def test_example_is_short():
    assert lines_of("reception") < 80
