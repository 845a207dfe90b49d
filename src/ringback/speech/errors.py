"""What can go wrong when something is to be said."""

from __future__ import annotations

from ringback.errors import MediaError
from ringback.speech.installed import HINT


class NoVoice(MediaError):
    """No synthesiser is installed, or none that may be used."""

    default_code = "no-voice"

    def __init__(self) -> None:
        super().__init__("no voice is installed", hint=HINT)


class SpeechFailed(MediaError):
    """A passage could not be synthesised."""

    default_code = "speech-failed"


class EngineFailed(SpeechFailed):
    """An engine gave no audio for a passage; another one may."""

    default_code = "speech-engine-failed"


class SpeechBusy(MediaError):
    """More passages wait to be synthesised than may."""

    default_code = "speech-busy"
