"""A speech as clips: what is asked of the speaker, alone and in a crowd."""

from __future__ import annotations

import pytest

from ringback.calls.spoken import SpokenClips
from ringback.speech.markup import read_speech
from ringback.speech.passage import Gender, Passage
from ringback.speech.speaker import Clip
from ringback.speech.voices import Engine, LocalVoice

SPEECH = read_speech(["Your train to Lisbon leaves at five past seven."])


class Source:
    """Says everything at once."""

    def __init__(self, *, is_crowded: bool) -> None:
        self.is_crowded = is_crowded
        self.asked: list[tuple[str, int]] = []

    async def clip(self, passage: Passage, place: int = 0, owner: str = "") -> Clip:
        self.asked.append((passage.text, place))
        return Clip("/x.wav", LocalVoice("slt", Engine.FLITE, "en-US", Gender.WOMAN), True, False, 1)


@pytest.mark.parametrize(
    ("is_crowded", "asked"),
    [
        (False, ["Your train to Lisbon leaves at five past seven."]),
        (True, ["Your train to Lisbon,", "leaves at five past seven."]),
    ],
)
async def test_in_a_crowd_a_text_begins_with_few_words(is_crowded: bool, asked: list[str]) -> None:
    source = Source(is_crowded=is_crowded)
    clips = SpokenClips(source, SPEECH, lambda *_args, **_fields: None, "account")
    for index in range(clips.count):
        await clips.clip(index)
    assert source.asked == [(text, place) for place, text in enumerate(asked)]
