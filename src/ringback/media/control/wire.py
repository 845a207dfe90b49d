"""Bytes on the worker socket: frames of a 4-byte big-endian length and one MessagePack value.

Both ends feed what they read to a `FrameReader` and decode each payload by itself, so that one bad value costs one
value and one bad length costs one connection, never the process.
"""

from __future__ import annotations

import msgspec

from ringback.errors import ProtocolError
from ringback.ids import CommandId
from ringback.media.control.commands import AnyCommand
from ringback.media.control.events import AnyEvent

MAX_PAYLOAD_BYTES = 65_536
"""Largest MessagePack value of one frame."""
LENGTH_BYTES = 4
"""Size of the length in front of every value."""


class MalformedFrame(ProtocolError):
    """The byte stream is no sequence of frames; the connection is of no more use."""

    default_code = "malformed-frame"


class FrameTooLarge(ProtocolError):
    """A value of ours does not fit into one frame."""

    default_code = "frame-too-large"


class Unreadable(msgspec.Struct, frozen=True):
    """A well-framed value that is no known command or event.

    `command_id` is the value's second element when it looks like a command, so that it can be refused by name.
    """

    command_id: CommandId
    detail: str


_encoder = msgspec.msgpack.Encoder()
_command_decoder: msgspec.msgpack.Decoder[AnyCommand] = msgspec.msgpack.Decoder(AnyCommand)
_event_decoder: msgspec.msgpack.Decoder[AnyEvent] = msgspec.msgpack.Decoder(AnyEvent)
_any_decoder = msgspec.msgpack.Decoder()


def encode(value: AnyCommand | AnyEvent) -> bytes:
    """Return one frame.

    Raises:
        FrameTooLarge: the value takes more than `MAX_PAYLOAD_BYTES`.
    """
    payload = _encoder.encode(value)
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise FrameTooLarge(f"encoded {len(payload)} bytes, expected at most {MAX_PAYLOAD_BYTES}")
    return len(payload).to_bytes(LENGTH_BYTES, "big") + payload


def decode_command(payload: bytes | memoryview) -> AnyCommand | Unreadable:
    """Return the command in `payload`; never raises."""
    try:
        return _command_decoder.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return _unreadable(payload, error)


def decode_event(payload: bytes | memoryview) -> AnyEvent | Unreadable:
    """Return the event in `payload`; never raises."""
    try:
        return _event_decoder.decode(payload)
    except (msgspec.MsgspecError, ValueError, RecursionError) as error:
        return _unreadable(payload, error)


def _unreadable(payload: bytes | memoryview, error: Exception) -> Unreadable:
    try:
        value = _any_decoder.decode(payload)
    except (msgspec.MsgspecError, ValueError, TypeError, RecursionError):
        value = None
    name = value[1] if isinstance(value, list) and len(value) > 1 and isinstance(value[1], str) else ""
    return Unreadable(CommandId(name[:128]), str(error)[:200])


class FrameReader:
    """Cuts a byte stream into payloads.

    State: holds at most one unfinished frame; after `MalformedFrame` every further `feed` raises it again.
    """

    __slots__ = ("_broken", "_held")

    def __init__(self) -> None:
        self._held = b""
        self._broken = False

    @property
    def held_bytes(self) -> int:
        """Bytes of the unfinished frame."""
        return len(self._held)

    def feed(self, data: bytes) -> list[bytes]:
        """Return the payloads that `data` completes, in order.

        Raises:
            MalformedFrame: a length is zero or beyond `MAX_PAYLOAD_BYTES`. Payloads in front of it are lost with the
                connection: their sender repeats what was not answered.
        """
        if self._broken:
            raise MalformedFrame("fed after a malformed frame, expected a new connection")
        if self._held:
            data = self._held + data
        payloads: list[bytes] = []
        at = 0
        available = len(data)
        while available - at >= LENGTH_BYTES:
            size = int.from_bytes(data[at : at + LENGTH_BYTES], "big")
            if not 0 < size <= MAX_PAYLOAD_BYTES:
                self._broken = True
                self._held = b""
                raise MalformedFrame(f"read frame length {size}, expected 1 to {MAX_PAYLOAD_BYTES}")
            end = at + LENGTH_BYTES + size
            if end > available:
                break
            payloads.append(data[at + LENGTH_BYTES : end])
            at = end
        self._held = data[at:]
        return payloads
