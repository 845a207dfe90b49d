"""What the server and its synthesiser process say to each other: one JSON object a line, on the process's pipes."""

from __future__ import annotations

import msgspec

from ringback.speech.passage import Gender
from ringback.speech.voices import Engine, LocalVoice

LINE_MAX_BYTES = 1_048_576
FORMAT_VERSION = 1
"""Part of the name of every file: raised whenever the same request gives other audio."""


class Say(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Write `text`, said by a voice, and the pause after it to the wav file `path`.

    `rate` and `pitch` are factors. A muted text takes its time in silence.
    """

    request_id: int
    path: str
    engine: Engine
    voice: str
    text: str
    rate: float = 1.0
    pitch: float = 1.0
    gain_db: float = 0.0
    is_muted: bool = False
    pause_ms: int = 0
    phonemes: str = ""
    """IPA that is said in the place of the text (`phonemes.normalised`)."""


class Warm(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """Load the voices that take long to load; not answered."""


class VoiceListed(msgspec.Struct, frozen=True, kw_only=True):
    """A voice that the process can use."""

    name: str
    engine: Engine
    language: str
    gender: Gender
    version: str

    def voice(self) -> LocalVoice:
        """Return it as the server knows voices."""
        return LocalVoice(self.name, self.engine, self.language, self.gender, self.version)


class Ready(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The first line of a process: what it can do."""

    voices: tuple[VoiceListed, ...]


class Said(msgspec.Struct, frozen=True, kw_only=True, tag=True):
    """The answer to a `Say`; `fault` is empty when the file is there."""

    request_id: int
    fault: str = ""
    length_ms: int = 0
    took_ms: int = 0


Request = Say | Warm
Answer = Ready | Said

encode = msgspec.json.Encoder().encode
decode_request = msgspec.json.Decoder(Request).decode
decode_answer = msgspec.json.Decoder(Answer).decode
