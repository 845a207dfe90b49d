"""What a media worker and its noise process say to each other: one message per datagram of a socket pair. Pure."""

from __future__ import annotations

from typing import NamedTuple

import msgspec

FRAMES_MAX = 64
"""Frames in one message."""
MESSAGE_MAX_BYTES = 64 * 1024


class OpenVoice(msgspec.Struct, frozen=True, array_like=True, tag="open"):
    """A voice whose noise shall be taken out; its frames follow in order."""

    key: int
    engine: str
    level: int


class CloseVoice(msgspec.Struct, frozen=True, array_like=True, tag="close"):
    """Nothing of this voice follows."""

    key: int


class Frame(NamedTuple):
    """20 ms of one voice: native linear audio, 8000 Hz."""

    key: int
    number: int
    pcm: bytes


class Frames(msgspec.Struct, frozen=True, array_like=True, tag="frames"):
    """Frames of any voices, in order."""

    frames: list[Frame]


class CleanFrame(NamedTuple):
    """What an engine made of a frame, and what that took."""

    key: int
    number: int
    cpu_ns: int
    pcm: bytes


class CleanFrames(msgspec.Struct, frozen=True, array_like=True, tag="clean"):
    """Frames of any voices, in order."""

    frames: list[CleanFrame]


class VoiceFailed(msgspec.Struct, frozen=True, array_like=True, tag="failed"):
    """The engine of a voice is missing or broken: nothing of it comes back any more."""

    key: int
    detail: str


Asked = OpenVoice | CloseVoice | Frames
Answered = CleanFrames | VoiceFailed

_encoder = msgspec.msgpack.Encoder()
_asked: msgspec.msgpack.Decoder[Asked] = msgspec.msgpack.Decoder(Asked)
_answered: msgspec.msgpack.Decoder[Answered] = msgspec.msgpack.Decoder(Answered)


def encode(message: Asked | Answered) -> bytes:
    """Return a message as a datagram."""
    return _encoder.encode(message)


def decode_asked(data: bytes) -> Asked:
    """Return what a worker asks.

    Raises:
        msgspec.MsgspecError: it is none of that.
    """
    return _asked.decode(data)


def decode_answered(data: bytes) -> Answered:
    """Return what a noise process answers.

    Raises:
        msgspec.MsgspecError: it is none of that.
    """
    return _answered.decode(data)
