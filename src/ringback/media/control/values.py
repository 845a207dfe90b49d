"""Values that appear in commands and events on the worker socket.

Units: durations `_ms`, sizes `_bytes`, rates `_hz`, all integers.
"""

from __future__ import annotations

from enum import Enum

import msgspec


class Address(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A transport address; `host` is a numeric IP address."""

    host: str
    port: int


class Codec(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """An RTP payload format: `name` is PCMU, PCMA or telephone-event in capitals as registered."""

    name: str
    payload_type: int
    clock_hz: int = 8000


class Encoding(Enum):
    """Sample encoding of a stream; the value is the MIME type on the wire."""

    MULAW = "audio/x-mulaw"
    L16 = "audio/x-l16"


class AudioFormat(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A stream's `contentType` taken apart."""

    encoding: Encoding
    rate_hz: int


class Track(Enum):
    """Which side of a leg a stream carries: `inbound` is what the far party says."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"
    BOTH = "both"


class MediaDirection(Enum):
    """What we may do with RTP, from our side (RFC 3264 §5.1)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"


class LatchPolicy(Enum):
    """Which RTP sources may take over a leg (reference: sip.md section 9)."""

    SIGNALLED = "signalled"
    """Only the address in the SDP, any port if it is private."""
    NAT = "nat"
    """Any source that sends consistent packets soon after the answer."""


class StreamEnd(Enum):
    """Why a stream ended."""

    CALL_ENDED = "call-ended"
    API_REQUEST = "api-request"
    TIMEOUT = "timeout"
    AGENT_CLOSED = "agent-closed"
    """The agent closed the WebSocket in an orderly way, or sent `stop`."""
    CONNECT_FAILED = "connect-failed"
    CONNECTION_LOST = "connection-lost"
    """The socket dropped without a close handshake, or a protocol error ended it."""
    INVALID_CONTENT_TYPE = "invalid-content-type"
    TRANSFERRED = "transferred"


class Answerer(Enum):
    """Who answered an outbound call."""

    HUMAN = "human"
    MACHINE = "machine"
    UNKNOWN = "unknown"


class DelayPolicy(Enum):
    """What is done with agent audio that came late and would delay the rest of a call (docs: stream.md#delay)."""

    DROP_OLDEST = "drop-oldest"
    SHORTEN_SILENCE = "shorten-silence"
    """Pauses first; what is left after 0.4 s goes as by `DROP_OLDEST`."""
    KEEP = "keep"


class PlayFormats(Enum):
    """Which `playAudio` messages are played (docs/protocol/switches.md)."""

    ANY = "any"
    """All that can be understood."""
    STRICT = "strict"
    """Only what the documents describe: the stream's own format, named in full without `;rate=`, at most 64 KB."""
    STRICT_20MS = "strict-20ms"
    """`STRICT`, and at most 20 ms at a time."""


class PlayEnd(Enum):
    """Why a playback ended."""

    COMPLETED = "completed"
    STOPPED = "stopped"
    FAILED = "failed"
    """The file could not be decoded; `detail` says why."""


class PlayLane(Enum):
    """Playbacks of one lane wait for each other; those of different lanes are heard together."""

    DOCUMENT = "document"
    """What the call's XML plays."""
    PLAY = "play"
    """What the API plays."""
    SPEAK = "speak"
    """What the API says."""


class RoomEnd(Enum):
    """Why a session is no longer in its room."""

    LEFT = "left"
    """Asked for."""
    CLOSED = "closed"
    """The session was closed."""


class RecordingChannels(Enum):
    """What the channels of a recording hold."""

    MONO = "mono"
    """What the far party says and what it hears, added up."""
    STEREO = "stereo"
    """Left: what the far party says. Right: what it hears."""
    FAR = "far"
    """What the far party says, alone."""


class RecordingEnd(Enum):
    """Why a recording ended."""

    STOPPED = "stopped"
    MAX_LENGTH = "max-length"
    SILENCE = "silence"
    DIGIT = "digit"
    CALL_ENDED = "call-ended"
    DISK_FULL = "disk-full"
    FAILED = "failed"
    """The file could not be written; what was written before is kept."""


class BeepRule(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """Which tones count as the beep of a voicemail."""

    least_ms: int = 300
    gap_ms: int = 50
    """Silence that must follow."""
    threshold: int = 256
    """Root mean square of 16-bit samples below which there is silence."""


class SessionEnd(Enum):
    """Why a media session was closed."""

    RELEASED = "released"
    ORPHANED = "orphaned"
    """No server attached within the detached limit."""
    FAILED = "failed"


class RejectCode(Enum):
    """Why a worker refused a command."""

    UNKNOWN_SESSION = "unknown-session"
    UNKNOWN_STREAM = "unknown-stream"
    UNKNOWN_RECORDING = "unknown-recording"
    DUPLICATE = "duplicate"
    NO_PORT = "no-port"
    LIMIT = "limit"
    DRAINING = "draining"
    STALE_EPOCH = "stale-epoch"
    INVALID = "invalid"
    LEDGER_FULL = "ledger-full"
