"""Strict formats: what the documents forbid about `playAudio` is answered instead of played."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest
from tests.support.media_leg import Leg, stream_settings
from tests.unit.media.test_media_stream import wav

from ringback.media.codecs.convert import L16_8K, ULAW_8K
from ringback.media.control.values import AudioFormat, PlayFormats

FRAME = b"\x81" * 160
EXACT = {"contentType": "audio/x-mulaw", "sampleRate": 8000}


def strict_leg(formats: PlayFormats = PlayFormats.STRICT, **changes: Any) -> Leg:
    return Leg(stream=stream_settings(formats=formats, **changes))


def play(leg: Leg, media: dict[str, Any], audio: bytes = FRAME) -> list[str]:
    leg.command({"event": "playAudio", "media": {**media, "payload": base64.b64encode(audio).decode()}})
    return [frame["reason"] for frame in leg.named("incorrectPayload")]


@pytest.mark.parametrize("rate", [8000, "8000"])
@pytest.mark.parametrize("formats", [PlayFormats.STRICT, PlayFormats.STRICT_20MS])
def test_what_the_documents_describe_is_played(formats: PlayFormats, rate: object) -> None:
    leg = strict_leg(formats)
    for _ in range(3):
        assert play(leg, {"contentType": "audio/x-mulaw", "sampleRate": rate}) == []
    assert leg.slots(3) == FRAME * 3


@pytest.mark.parametrize(
    ("media", "audio", "reason"),
    [
        ({"contentType": "audio/x-l16", "sampleRate": 8000}, FRAME, "audio/x-l16, expected audio/x-mulaw"),
        ({"contentType": "audio/x-mulaw;rate=8000", "sampleRate": 8000}, FRAME,
         "audio/x-mulaw;rate=8000, expected audio/x-mulaw"),
        ({"contentType": "AUDIO/X-MULAW", "sampleRate": 8000}, FRAME, "AUDIO/X-MULAW, expected audio/x-mulaw"),
        ({"contentType": "raw", "sampleRate": 8000}, FRAME, "raw, expected audio/x-mulaw"),
        ({"sampleRate": 8000}, FRAME, "no contentType, expected audio/x-mulaw"),
        ({"contentType": 7, "sampleRate": 8000}, FRAME, "no contentType, expected audio/x-mulaw"),
        ({"contentType": "audio/x-mulaw"}, FRAME, "no sampleRate, expected 8000"),
        ({"contentType": "audio/x-mulaw", "sampleRate": 16000}, FRAME, "sampleRate 16000, expected 8000"),
        ({"contentType": "audio/x-mulaw", "sampleRate": True}, FRAME, "sampleRate True, expected 8000"),
        (EXACT, wav(7, 1, 8000, 8, FRAME), "wav, expected audio without a header"),
    ],
)  # fmt: skip
def test_what_they_forbid_is_answered_and_the_next_chunk_plays(
    media: dict[str, Any], audio: bytes, reason: str
) -> None:
    leg = strict_leg()
    assert play(leg, media, audio) == [f"invalid_content_type: {reason}"]
    assert leg.session.quality().queued_ms == 0
    play(leg, EXACT)
    assert leg.slots(1) == FRAME


def test_a_known_shape_does_not_open_a_back_door() -> None:
    leg = strict_leg()
    play(leg, EXACT)
    assert play(leg, EXACT, wav(7, 1, 8000, 8, FRAME)) == ["invalid_content_type: wav, expected audio without a header"]
    assert leg.session.quality().queued_ms == 20


def test_the_longest_message_is_the_documented_one() -> None:
    leg = strict_leg()
    pad = json.dumps({"type": ""}).encode()
    assert leg.command(pad + b" " * (65_536 - len(pad))) == 0
    assert not leg.named("incorrectPayload")
    leg.command(pad + b" " * (65_537 - len(pad)))
    assert [frame["reason"] for frame in leg.named("incorrectPayload")] == ["message too large: 65537 bytes"]


@pytest.mark.parametrize(
    ("stream", "bytes_20ms", "named"),
    [(ULAW_8K, 160, EXACT), (L16_8K, 320, {"contentType": "audio/x-l16", "sampleRate": 8000})],
)
def test_chunks_of_20_ms_and_no_sample_more(stream: AudioFormat, bytes_20ms: int, named: dict[str, Any]) -> None:
    leg = Leg(format=stream, stream=stream_settings(format=stream, formats=PlayFormats.STRICT_20MS))
    sample = bytes_20ms // 160
    for _ in range(2):
        assert play(leg, named, bytes(bytes_20ms)) == []
    assert play(leg, named, bytes(bytes_20ms + sample)) == ["chunk too long: 20.125 ms, at most 20"]
    assert leg.session.quality().queued_ms == 40


def test_any_size_is_taken_when_only_the_format_is_strict() -> None:
    leg = strict_leg()
    assert play(leg, EXACT, FRAME * 50) == []
    assert leg.session.quality().queued_ms == 1000
