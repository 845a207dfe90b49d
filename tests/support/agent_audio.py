"""The audio of a voice agent's WebSocket as samples: what the agent heard, and what it says.

Written from the wire specification alone (section 1.2: µ-law per G.711, L16 little-endian), so that it disagrees with
the product when the product is wrong.
"""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import Any

import numpy as np

from ringback.phones.tones import Samples, levels_dbov
from tests.support.stream_agent import AgentConnection


def _mulaw_table() -> Samples:
    """Return the 256 values of µ-law."""
    table = []
    for byte in range(256):
        inverted = ~byte & 0xFF
        magnitude = (((inverted & 0x0F) << 3) + 0x84) << ((inverted & 0x70) >> 4)
        table.append(0x84 - magnitude if inverted & 0x80 else magnitude - 0x84)
    return np.array(table, dtype=np.int16)


MULAW = _mulaw_table()
_ORDER = np.argsort(MULAW, kind="stable")
_SORTED = MULAW[_ORDER].astype(np.int32)


def from_mulaw(data: bytes) -> Samples:
    """Return the samples of µ-law bytes."""
    return MULAW[np.frombuffer(data, dtype=np.uint8)]


def to_mulaw(samples: Samples) -> bytes:
    """Return each sample as the nearest µ-law value."""
    wide = samples.astype(np.int32)
    above = np.clip(np.searchsorted(_SORTED, wide), 1, 255)
    is_lower_nearer = wide - _SORTED[above - 1] <= _SORTED[above] - wide
    return bytes(_ORDER[above - is_lower_nearer].astype(np.uint8).tobytes())


def payloads(connection: AgentConnection, track: str = "inbound") -> list[bytes]:
    """Return every audio frame of a track, decoded from Base64."""
    return [base64.b64decode(frame["media"]["payload"]) for frame in frames(connection, track)]


def frames(connection: AgentConnection, track: str = "inbound") -> list[dict[str, Any]]:
    """Return every `media` event of a track."""
    return [
        message for message in connection.messages if message["event"] == "media" and message["media"]["track"] == track
    ]


def heard_by(connection: AgentConnection, track: str = "inbound") -> Samples:
    """Return all that the agent heard of a track, at the stream's rate."""
    data = b"".join(payloads(connection, track))
    encoding, _ = connection.format
    return from_mulaw(data) if encoding == "audio/x-mulaw" else np.frombuffer(data, dtype="<i2").astype(np.int16)


def encode(samples: Samples, encoding: str) -> str:
    """Return samples as the Base64 payload of a `playAudio`."""
    data = to_mulaw(samples) if encoding == "audio/x-mulaw" else samples.astype("<i2").tobytes()
    return base64.b64encode(data).decode()


def say(connection: AgentConnection, samples: Samples) -> None:
    """Let the agent say `samples`, which have the stream's rate, in one message of the stream's format."""
    encoding, rate_hz = connection.format
    connection.play(encode(samples, encoding), encoding, rate_hz)


def assert_gapless(connection: AgentConnection, track: str = "inbound", first: int = 0) -> None:
    """Check that the sequence counts up by 1 and, from frame `first` on, chunks by 1 and timestamps by 20 ms."""
    media = [frame["media"] for frame in frames(connection, track)][first:]
    chunks = [int(frame["chunk"]) for frame in media]
    assert chunks == list(range(chunks[0], chunks[0] + len(chunks))), "chunk numbers jump"
    times = [int(frame["timestamp"]) for frame in media]
    assert {b - a for a, b in pairwise(times)} <= {20}, "timestamps do not advance by 20 ms"
    sequence = [message["sequenceNumber"] for message in connection.messages]
    assert sequence == list(range(1, len(sequence) + 1)), "sequence numbers jump"


def sounding(samples: Samples, above_dbov: float = -50.0) -> Samples:
    """Return the 20 ms windows of 8 kHz samples that are louder than `above_dbov`, joined; their edges cut off.

    The first and the last window of a sound are only partly filled and would lower its level.
    """
    loud = np.flatnonzero(levels_dbov(samples) > above_dbov)
    return np.concatenate([samples[at * 160 : at * 160 + 160] for at in loud[1:-1]] or [samples[:0]])
