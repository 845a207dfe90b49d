"""What the server and the recognising process say to each other: one JSON object a line."""

from __future__ import annotations

import msgspec

LINE_MAX_BYTES = 256 * 1024
TRANSCRIPT_MAX_CHARS = 40_000
"""Of a whole recording: three quarters of an hour of speech, and what one callback carries."""


class Utterance(msgspec.Struct, frozen=True):
    """Asks what is said in a wav file."""

    number: int
    path: str
    language: str
    hints: tuple[str, ...] = ()
    is_partial: bool = False
    """The file still grows and is called `path` + `.part`."""
    is_long: bool = False
    """It is a whole recording, wav or mp3, of any length."""


class Text(msgspec.Struct, frozen=True):
    """What is said there: nothing if `text` is empty, by somebody's fault if there is a `detail`."""

    number: int
    text: str = ""
    confidence: float = 0.0
    detail: str = ""


class Ready(msgspec.Struct, frozen=True):
    """The first line: the engines are loaded."""

    engine: str


encode = msgspec.json.Encoder().encode
decode_utterance = msgspec.json.Decoder(Utterance).decode
decode_text = msgspec.json.Decoder(Text).decode
decode_ready = msgspec.json.Decoder(Ready).decode
