"""What workers of one node tell each other about rooms that have members on several of them.

Shape: one datagram is a MessagePack array of up to `BATCH_MAX` tagged arrays. All of it is fleeting: what is lost costs
20 ms of audio, or a second until the next `Here`.
"""

from __future__ import annotations

import msgspec

BATCH_MAX = 64
ROOMS_PER_HERE = 200
DATAGRAM_MAX_BYTES = 65_536


class Here(msgspec.Struct, frozen=True, array_like=True, tag=1):
    """The worker has members of these rooms; one that has some too answers, if asked, with its share of them."""

    worker: str
    room_ids: tuple[str, ...]
    wants_answer: bool = False


class Gone(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """The worker has no member of the room any more."""

    worker: str
    room_id: str


class Frame(msgspec.Struct, frozen=True, array_like=True, tag=3, gc=False):
    """20 ms of the sum of the worker's own members: 160 samples of native linear audio, empty for silence."""

    worker: str
    room_id: str
    pcm: bytes
    level: int = 0
    """Loudness of the loudest one; counts while someone watches the floor."""
    watches_floor: bool = False


class Digit(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """A member of the worker pressed a key that is passed on."""

    worker: str
    room_id: str
    digit: str


Message = Here | Gone | Frame | Digit
_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[list[Message]] = msgspec.msgpack.Decoder(list[Message])


def encode(messages: list[Message]) -> bytes:
    """Return one datagram."""
    return _encoder.encode(messages)


def decode(data: bytes) -> list[Message]:
    """Return the messages of a datagram, none if it is rubbish."""
    try:
        return _decoder.decode(data)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return []
