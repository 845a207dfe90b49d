"""What a worker reports. Past-tense names.

State events carry a gapless `seq` per worker incarnation and wait in the worker's ledger until `AckEvents`.
Statistics (`SessionStats`, `WorkerStats`) and answers (`Accepted`, `Rejected`, `Attached`, `Pong`) have `seq` 0: they
are not kept. `caused_by` names the command behind an outcome, empty when unasked. `wall_ms` labels, never measures.
"""

from __future__ import annotations

import msgspec

from ringback.ids import CommandId, Epoch, Incarnation, ListenId, PlayId, RecordingId, SessionId, StreamId
from ringback.media.control.values import (
    Address,
    Answerer,
    PlayEnd,
    RecordingEnd,
    RejectCode,
    RoomEnd,
    SessionEnd,
    StreamEnd,
)

DELAY_CUT = "delay_cut"
"""The `StreamFaulted.reason` of agent audio that was cut out to undo delay."""


class Event(msgspec.Struct, frozen=True, array_like=True, tag=True, kw_only=True):
    """Base of all events."""

    seq: int = 0
    wall_ms: int = 0
    caused_by: CommandId = CommandId("")


class Accepted(Event, frozen=True, array_like=True, tag=True, kw_only=True):
    """The command named by `caused_by` will be carried out."""


class Rejected(Event, frozen=True, array_like=True, tag=True, kw_only=True):
    """The command named by `caused_by` was refused; nothing changed."""

    code: RejectCode
    found: str = ""
    allowed: str = ""


class SessionSnapshot(msgspec.Struct, frozen=True, array_like=True):
    """What a worker holds of one session, for reconciliation."""

    session_id: SessionId
    local: Address
    streams: tuple[StreamId, ...] = ()
    age_ms: int = 0


class Attached(Event, frozen=True, array_like=True, tag=True, kw_only=True):
    """The server now drives this worker; unacknowledged events from `first_seq` on follow."""

    incarnation: Incarnation
    epoch: Epoch
    pid: int
    first_seq: int
    sessions: tuple[SessionSnapshot, ...] = ()
    more: bool = False
    """Further sessions follow in `SessionsListed`, because one frame would be too large."""


class Draining(Event, frozen=True, array_like=True, tag=True, kw_only=True):
    """The worker takes no new sessions."""


class Pong(Event, frozen=True, array_like=True, tag=True, kw_only=True):
    """The worker's loop turns."""


class SessionEvent(Event, frozen=True, array_like=True, tag=True, kw_only=True):
    """Base of events of one session; they arrive in order."""

    session_id: SessionId


class SessionOpened(SessionEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """RTP is bound at `local`."""

    local: Address


class RemoteSet(SessionEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """The negotiated remote is in use."""


class SessionClosed(SessionEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """Everything of the session is freed; the totals are final."""

    reason: SessionEnd
    received_packets: int = 0
    sent_packets: int = 0
    lost_packets: int = 0
    refused_packets: int = 0
    concealed_ms: int = 0
    jitter_us: int = 0
    late_packets: int = 0
    duplicate_packets: int = 0
    unusable_packets: int = 0
    playout_gaps: int = 0
    playout_cut_ms: int = 0


class MediaStarted(SessionEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """The first accepted RTP packet arrived from `remote`."""

    remote: Address


class MediaTimedOut(SessionEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """No RTP arrived for `idle_ms`."""

    idle_ms: int


class DigitReceived(SessionEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """The far party pressed a key."""

    digit: str
    duration_ms: int = 0


class DigitsSent(SessionEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """Every digit of the command has left."""

    digits: str


class PlayStarted(SessionEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """The first sample of a playback has left."""

    play_id: PlayId


class PlayFinished(SessionEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """A playback is over; sent also for one that never started."""

    play_id: PlayId
    reason: PlayEnd
    played_ms: int = 0
    detail: str = ""


class MachineJudged(SessionEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """Who answered, as far as is known; a beep may revise it. `reason` names the rule that fitted."""

    answerer: Answerer
    reason: str
    after_ms: int
    """Audio heard since the detection began."""


class StreamEvent(SessionEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """Base of events of one stream."""

    stream_id: StreamId


class StreamOpened(StreamEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """The agent's WebSocket is open and `start` is sent."""

    connect_ms: int
    attempts: int = 1
    subprotocol: str = ""


class StreamConnectFailed(StreamEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """One connect attempt failed; `StreamClosed(CONNECT_FAILED)` follows the last one."""

    attempt: int
    detail: str


class StreamFirstAudio(StreamEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """The first sample the agent sent has left as RTP."""

    after_open_ms: int


class StreamCheckpointPlayed(StreamEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """All audio before the checkpoint has left as RTP; `playedStream` is sent."""

    name: str


class StreamCleared(StreamEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """`clearAudio` was carried out; `clearedAudio` is sent."""

    dropped_ms: int
    dropped_checkpoints: int


class StreamDegraded(StreamEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """The play queue passed `percent` (30, 60, 90) of 40 s."""

    percent: int
    queued_ms: int


class StreamFaulted(StreamEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """The agent sent something unusable (`incorrectPayload`), the queue overflowed (`playFailed`), or something was
    dropped; `count` faults of this `reason` since the last report (at most one report per second and reason), `ms` of
    audio lost by them.
    """

    reason: str
    count: int = 1
    detail: str = ""
    ms: int = 0


class NoiseSuppressionSet(StreamEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """How the noise of a stream is suppressed; an empty `engine` leaves it in, and `detail` says why."""

    engine: str
    level: int
    lag_ms: int
    """How late the stream's audio becomes by it."""
    detail: str = ""


class NoiseSuppressionEnded(StreamEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """What the suppression of a stream came to."""

    engine: str
    frames: int
    """Frames of 20 ms that were to be suppressed."""
    passed_frames: int
    """Frames of them that passed as they came: the engine was late, or broken."""
    cpu_us: int
    """CPU time of the engine, outside the worker."""


class StreamClosed(StreamEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """The stream is over; the totals are final."""

    reason: StreamEnd
    duration_ms: int = 0
    sent_frames: int = 0
    dropped_frames: int = 0
    received_messages: int = 0
    played_ms: int = 0
    close_code: int = 0
    detail: str = ""


class StreamDropped(StreamEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """The open WebSocket was lost and is dialled again; `StreamOpened` or `StreamClosed(CONNECTION_LOST)` follows."""

    close_code: int = 0
    detail: str = ""


class RoomEvent(SessionEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """Base of events of one session in a room."""

    room_id: str


class RoomJoined(RoomEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """The session hears the room."""


class RoomLeft(RoomEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """The session is out of the room."""

    reason: RoomEnd


class FloorChanged(RoomEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """The session took the floor: for 200 ms it was the loudest, or the one that spoke at all."""


class SpeakingChanged(RoomEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """The session began to speak so that others could hear it, or has been silent for a second."""

    is_speaking: bool


class RecordingEvent(SessionEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """Base of events of one recording."""

    recording_id: RecordingId


class RecordingStarted(RecordingEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """Recording begins with the next frame: at once, or behind the beep."""


class RecordingFaulted(RecordingEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """The disk was too slow: audio is missing, silence stands in its place. At most one report per second."""

    dropped_ms: int


class RecordingFinished(RecordingEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """The last frame is taken; the file gets its name once it is on the disk.

    `start_wall_ms` is 0 for one that never began. `size_bytes` is the audio's, without the file's header.
    """

    reason: RecordingEnd
    duration_ms: int = 0
    start_wall_ms: int = 0
    end_wall_ms: int = 0
    digit: str = ""
    size_bytes: int = 0
    dropped_ms: int = 0
    detail: str = ""


class ListenEvent(SessionEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """Base of what a `Listen` reports."""

    listen_id: ListenId


class SpeechStarted(ListenEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """The far party speaks, `after_ms` of listening."""

    after_ms: int = 0


class SpeechProgressed(ListenEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """So much of the utterance is captured."""

    captured_ms: int


class SilenceReached(ListenEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """Nothing was heard for `silence_ms`."""

    silence_ms: int


class SpeechCaptured(ListenEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """The utterance is in the file (which may appear a moment later); the listening is over."""

    path: str
    captured_ms: int


class BeepHeard(ListenEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """A beep has ended in silence."""

    pitch_hz: int
    duration_ms: int


class SessionStats(SessionEvent, frozen=True, array_like=True, tag=True, kw_only=True):
    """Latest quality figures of a session, at most one per second."""

    received_packets: int
    sent_packets: int
    lost_packets: int
    concealed_ms: int
    jitter_us: int
    queued_ms: int = 0


class WorkerStats(Event, frozen=True, array_like=True, tag=True, kw_only=True):
    """Latest figures of a worker, one per second.

    Percentiles are of the time since the figures before; counts and times are totals since the worker began.
    """

    sessions: int
    streams: int
    cpu_ns: int
    tick_late_p99_us: int
    rss_bytes: int
    open_ports: int = 0
    sent_packets: int = 0
    received_packets: int = 0
    ledger: int = 0
    at_ns: int = 0
    """When they were taken, on the machine's monotonic clock."""
    tick_late_p50_us: int = 0
    slots: int = 0
    """Slots that were due, those that were left out included."""
    late_slots: int = 0
    """Slots that ran later than `WorkerSettings.late_slot_ms`, or were left out after a stall."""
    loop_cpu_ns: int = 0
    """CPU time of the loop's thread alone, without decoders and engines."""
    loop_wait_ns: int = 0
    """How long that thread was ready to run and had no core; 0 where the system does not tell."""
    stream_backlog: int = 0
    """Messages that wait because their agents do not read."""


class EventsLost(Event, frozen=True, array_like=True, tag=True, kw_only=True):
    """The worker had to forget state events while no server listened."""

    first_seq: int
    last_seq: int


class SessionsListed(Event, frozen=True, array_like=True, tag=True, kw_only=True):
    """The next part of the snapshot begun in `Attached`."""

    sessions: tuple[SessionSnapshot, ...]
    more: bool = False


AnySessionEvent = (
    SessionOpened
    | RemoteSet
    | SessionClosed
    | MediaStarted
    | MediaTimedOut
    | DigitReceived
    | MachineJudged
    | DigitsSent
    | PlayStarted
    | PlayFinished
    | StreamOpened
    | StreamConnectFailed
    | StreamFirstAudio
    | StreamCheckpointPlayed
    | StreamCleared
    | StreamDegraded
    | StreamFaulted
    | NoiseSuppressionSet
    | NoiseSuppressionEnded
    | StreamClosed
    | StreamDropped
    | RecordingStarted
    | RecordingFaulted
    | RecordingFinished
    | SpeechStarted
    | SpeechProgressed
    | SilenceReached
    | SpeechCaptured
    | BeepHeard
    | RoomJoined
    | RoomLeft
    | FloorChanged
    | SpeakingChanged
    | SessionStats
)
"""Everything a session's owner may receive."""
AnyEvent = (
    AnySessionEvent | Accepted | Rejected | Attached | Draining | Pong | WorkerStats | EventsLost | SessionsListed
)
"""Everything a worker says."""
