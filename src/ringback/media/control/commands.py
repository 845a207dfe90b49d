"""What the server tells a worker. Imperative names; every command is answered by one `Accepted` or `Rejected`.

Shape: a frozen msgspec struct, tagged by class name, encoded as a MessagePack array. New fields go last, with
defaults.
"""

from __future__ import annotations

import msgspec

from ringback.ids import CommandId, Epoch, ListenId, PlayId, RecordingId, SessionId, StreamId
from ringback.media.control.values import (
    Address,
    AudioFormat,
    BeepRule,
    Codec,
    DelayPolicy,
    LatchPolicy,
    MediaDirection,
    PlayFormats,
    PlayLane,
    RecordingChannels,
    SessionEnd,
    StreamEnd,
    Track,
)

PROTOCOL_MAJOR = 1
PROTOCOL_MINOR = 0


class Command(msgspec.Struct, frozen=True, array_like=True, tag=True, kw_only=True):
    """Base of all commands."""

    command_id: CommandId


class Attach(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """Take over the worker; answered by `Attached` with a snapshot, then by all unacknowledged events.

    State: must be the first command on a connection. A lower epoch than the highest seen is rejected.
    """

    epoch: Epoch
    major: int = PROTOCOL_MAJOR
    minor: int = PROTOCOL_MINOR


class AckEvents(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """State events up to and including `up_to_seq` are stored by the server and may be forgotten."""

    up_to_seq: int


class Drain(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """Take no new sessions; exit when the last one is closed."""


class Shutdown(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """Close every session and exit."""


class Ping(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """Answered by `Pong`."""


class OpenSession(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """Bind an RTP port for one leg; the outcome is `SessionOpened`.

    `media_idle_ms`: silence on RTP after which `MediaTimedOut` is reported (once, not while on hold); 0 is never.
    """

    session_id: SessionId
    local_host: str
    media_idle_ms: int = 60_000


class SetRemote(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """Apply the outcome of an offer/answer exchange; the outcome is `RemoteSet`.

    `codec` is what we send; `receive_codecs` all that the peer may send. `dtmf_payload_type` is -1 without
    telephone-event. `direction` is from our side. Calling it again renegotiates without interrupting streams.
    """

    session_id: SessionId
    address: Address
    codec: Codec
    receive_codecs: tuple[Codec, ...]
    dtmf_payload_type: int = -1
    ptime_ms: int = 20
    direction: MediaDirection = MediaDirection.SENDRECV
    latch: LatchPolicy = LatchPolicy.SIGNALLED
    signalling_host: str = ""


class CloseSession(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """Free the leg's port, streams and playbacks; the outcome is `SessionClosed`."""

    session_id: SessionId
    reason: SessionEnd = SessionEnd.RELEASED


class Play(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """Play the wav or mp3 file at `path` towards the far party; outcomes `PlayStarted`, `PlayFinished`.

    `loops`: how many times, 0 for ever. Playbacks of one lane queue behind each other. Unless it `mixes`, whatever else
    the session would send runs on unheard from its first sample to its last.
    """

    session_id: SessionId
    play_id: PlayId
    path: str
    loops: int = 1
    lane: PlayLane = PlayLane.DOCUMENT
    mixes: bool = True


class StopPlay(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """End a playback at once; the outcome is its `PlayFinished`."""

    session_id: SessionId
    play_id: PlayId


class SendDigits(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """Send telephone events (RFC 4733): `0-9*#A-D`, `w` waits 0.5 s, `W` 1 s. The outcome is `DigitsSent`."""

    session_id: SessionId
    digits: str
    tone_ms: int = 100
    gap_ms: int = 70


class ReportDigit(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """The far party pressed a key that came by SIP INFO; the outcome is `DigitReceived`, once if RTP brings it too."""

    session_id: SessionId
    digit: str
    duration_ms: int = 0


class DetectMachine(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """Judge from now on whether a human or a machine has answered; outcomes `MachineJudged`.

    Limits in milliseconds, as `media.detect.answering_machine.MachineRules` has them; 0 leaves a rule out.
    """

    session_id: SessionId
    total_ms: int
    initial_silence_ms: int
    speech_ms: int
    words: int
    greeting_ms: int
    silence_ms: int


class OpenStream(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """Dial the agent's WebSocket and start streaming; outcomes `StreamOpened`, later `StreamClosed`.

    `headers`: extra handshake headers, signature included, computed by the server.
    `addresses`: checked addresses to connect to, in order; the name in `url` is used for Host, SNI and verification.
    `timeout_ms`: the stream's life from its first connect. `extra_headers`: opaque text repeated in stream events.
    """

    session_id: SessionId
    stream_id: StreamId
    url: str
    headers: tuple[tuple[str, str], ...]
    addresses: tuple[Address, ...]
    call_uuid: str
    account_id: str
    track: Track
    bidirectional: bool
    format: AudioFormat
    extra_headers: str = ""
    timeout_ms: int = 86_400_000
    connect_timeout_ms: int = 5_000
    connect_attempts: int = 3
    connect_gap_ms: int = 1_000
    subprotocol: str = "audio.drachtio.org"
    send_stop: bool = True
    verify_tls: bool = True
    playout_max_ms: int = 60_000
    uplink_max_ms: int = 2_000
    reconnects: int = 2
    """How often the WebSocket is dialled again after it dropped in the middle (spec section 8, item 15); anew after a
    connection that lasted."""
    redial_max_ms: int = 6_000
    """How long dialling again may take in all."""
    hold: bool = False
    """Whether the far party hears a hold sound while the agent is away: the built-in tone until `HoldStream` names a
    file."""
    hold_after_ms: int = 1_000
    """How long the agent is away before the hold sound begins."""
    dead_after_ms: int = 4_000
    """How long an agent may take nothing that was sent to it before its connection counts as lost; 0 is for ever."""
    delay_policy: DelayPolicy = DelayPolicy.DROP_OLDEST
    truth: bool = False
    """Whether the agent is told what was heard and what was dropped, as if its extra headers asked for it."""
    formats: PlayFormats = PlayFormats.ANY
    noise_level: int = 0
    """Share of the suppressed voice in per cent, 60 to 100; 0 leaves the noise in."""


class CloseStream(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """End a stream: send `stop`, close 1000; the outcome is `StreamClosed` with `reason`."""

    session_id: SessionId
    stream_id: StreamId
    reason: StreamEnd = StreamEnd.API_REQUEST


class JoinRoom(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """Let the session hear everyone else in the room and be heard by them; the outcome is `RoomJoined`.

    A room exists while it has members, on any worker of the node; a session is in one room at a time. Agent streams and
    playbacks of the session go on over the room's audio and are heard by its own far party alone. `relays_digits`: keys
    pressed here are sent to the others. `watches_floor`: while a member does, `FloorChanged` is reported of this room.
    `reports_speech`: `SpeakingChanged` is reported of this session.
    """

    session_id: SessionId
    room_id: str
    is_muted: bool = False
    """Whether the others do not hear it."""
    is_deaf: bool = False
    """Whether it does not hear the others."""
    relays_digits: bool = False
    watches_floor: bool = False
    reports_speech: bool = False
    side_room_id: str = ""
    """A second room, of some members of the first, that is heard over it (`media.place`); empty is none."""
    is_side_muted: bool = True
    """Whether the others in the side room do not hear it."""


class SetMember(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """Mute or deafen a session in the room where it is, without a click; rejected with INVALID elsewhere.

    `is_deaf` counts for its side room too.
    """

    session_id: SessionId
    room_id: str
    is_muted: bool
    is_deaf: bool
    is_side_muted: bool = True


class LeaveRoom(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """Take the session out of the room; the outcome is `RoomLeft`. A session that is not in it stays as it is."""

    session_id: SessionId
    room_id: str


class StartRecording(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """Record the leg into the wav file `path`; outcomes `RecordingStarted`, `RecordingFinished`.

    While it is written the file is called `path` + `.part` and is a whole wav at any time; `path` appears when all of
    it is on the disk. `max_ms`, `silence_timeout_ms` (silence of the far party) and `finish_digits` end the recording
    by themselves; 0 and empty are never. With `starts_with_beep` a beep is played first and recording begins behind
    it.
    """

    session_id: SessionId
    recording_id: RecordingId
    path: str
    channels: RecordingChannels = RecordingChannels.MONO
    max_ms: int = 0
    silence_timeout_ms: int = 0
    finish_digits: str = ""
    starts_with_beep: bool = False


class StopRecording(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """End a recording; the outcome is its `RecordingFinished`."""

    session_id: SessionId
    recording_id: RecordingId


class PauseRecording(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """Leave out of a recording what happens until `ResumeRecording`; one that is paused stays so."""

    session_id: SessionId
    recording_id: RecordingId


class ResumeRecording(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """Record again from the next frame on; one that is not paused goes on."""

    session_id: SessionId
    recording_id: RecordingId


class HoldStream(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """Use the wav or mp3 file at `path` as the hold sound of a stream from its next absence on."""

    session_id: SessionId
    stream_id: StreamId
    path: str


class Listen(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """Report what the far party does: `SpeechStarted`, `SilenceReached`, `BeepHeard`; until `StopListening`.

    `silence_ms`: silence that counts, from the start or from the last sound; 0 is never. `beep`: hear beeps too.
    `capture_path`: a wav file for the first utterance, from its onset to the silence behind it or `capture_max_ms`;
    then `SpeechCaptured` is the last event. `progress_ms`: how often `SpeechProgressed` tells that the file has grown;
    0 is never. While it grows its name ends in `.part`.
    """

    session_id: SessionId
    listen_id: ListenId
    silence_ms: int = 0
    beep: BeepRule | None = None
    capture_path: str = ""
    capture_max_ms: int = 60_000
    progress_ms: int = 0


class StopListening(Command, frozen=True, array_like=True, tag=True, kw_only=True):
    """End a `Listen`; an utterance that is being captured ends here with `SpeechCaptured`. Ended ones are ignored."""

    session_id: SessionId
    listen_id: ListenId


SessionCommand = (
    OpenSession
    | SetRemote
    | CloseSession
    | Play
    | StopPlay
    | SendDigits
    | ReportDigit
    | DetectMachine
    | OpenStream
    | CloseStream
    | StartRecording
    | StopRecording
    | PauseRecording
    | ResumeRecording
    | Listen
    | StopListening
    | JoinRoom
    | SetMember
    | LeaveRoom
    | HoldStream
)
AnyCommand = SessionCommand | Attach | AckEvents | Drain | Shutdown | Ping
