"""One audio stream of a leg: Plivo's WebSocket protocol as bytes in and bytes out, without the socket.

How the owner of the socket drives it:

1. `stream = StreamSession(StreamSettings.of(command))`, then `media_session.attach(now, stream)`.
2. Socket open (every time, also after a reconnect): `stream.open(now, wall_ms)`.
3. Each text message: `code = stream.feed_text(now, message)`; a code other than 0 asks to close the socket with it.
   Binary messages are counted by `stream.feed_binary(now)` and ignored.
4. After every call into the stream or its media session: send `stream.outbox` front first, as one text frame each,
   while the transport's own buffer is below its mark; leave the rest. The outbox is bounded: the oldest `media` frame
   goes first (counted in `dropped_frames`), answers and digits stay.
5. Socket lost, to be dialled again: `stream.suspend(now)`, later 2. To end it: `stream.stop(now)`, send the outbox,
   close with 1000, `media_session.detach(now, stream_id)`, `stream.closed(...)`.
"""

from __future__ import annotations

import binascii
from collections import deque
from typing import Protocol, assert_never

import msgspec
from pybase64 import b64decode

from ringback.ids import SessionId, StreamId
from ringback.machine import MS, Instant
from ringback.media.codecs.convert import ULAW_8K, Convert, canonical, unit_bytes, uplink
from ringback.media.codecs.g711 import PCMU, Law
from ringback.media.control.commands import OpenStream
from ringback.media.control.events import DELAY_CUT, StreamClosed
from ringback.media.control.values import AudioFormat, DelayPolicy, PlayFormats, StreamEnd, Track
from ringback.media.stream import messages
from ringback.media.stream.faults import REPORT_NS, FaultCounts, FaultReport
from ringback.media.stream.player import Nobody, StreamPlayer
from ringback.media.stream.truth import Absence, wants_truth

CLOSE_INVALID_TEXT = 1007
CLOSE_TOO_BIG = 1009
UPLINK_DROPPED = "uplink_dropped"
"""The agent did not read: the oldest audio was not sent to it."""
ANSWERS_DROPPED = "answers_dropped"
BINARY_IGNORED = "binary_ignored"
PACKETS_LATE = "packets_late"
"""Packets of the far party came when their audio had been made up already."""
INCOMPLETE_SAMPLE = "incomplete sample"

ANSWERS_MAX = 1000
"""Answers that may wait in the outbox besides audio; one more is dropped and counted."""
_MISSED_DIGITS_MAX = 64
_TOLD = frozenset({UPLINK_DROPPED, ANSWERS_DROPPED, BINARY_IGNORED, DELAY_CUT})
"""What has no message of Plivo's: an agent that asked is told by `dropped`."""
_NO_SHAPE = b"\x00"
"""A start that no JSON text has."""
_PAYLOAD_KEYS = (b'"payload":"', b'"payload": "')


class UplinkNoise(Protocol):
    """Takes the noise out of a far party's audio."""

    def take(self, pcm: bytes) -> None:
        """Take 20 ms of native audio, 8000 Hz; it comes back by `push_clean`, in order."""

    def close(self) -> None:
        """End it: nothing comes any more."""


class StreamSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What a stream is for its whole life."""

    stream_id: StreamId
    call_uuid: str
    account_id: str
    track: Track
    bidirectional: bool
    format: AudioFormat
    extra_headers: str = ""
    truth: bool = False
    """Whether the agent is told what was heard and dropped even if its extra headers do not ask."""
    send_stop: bool = True
    formats: PlayFormats = PlayFormats.ANY
    playout_max_ms: int = 60_000
    delay_policy: DelayPolicy = DelayPolicy.DROP_OLDEST
    uplink_max_ms: int = 2_000
    """Media frames kept in the outbox while the socket is not writable."""
    message_max_bytes: int = 1_048_576
    """A larger text message is answered with `incorrectPayload`."""
    message_hard_max_bytes: int = 2_097_152
    """A larger text message asks for close code 1009."""

    @classmethod
    def of(cls, command: OpenStream) -> StreamSettings:
        """Return the settings that an `OpenStream` command asks for."""
        return cls(
            stream_id=command.stream_id,
            call_uuid=command.call_uuid,
            account_id=command.account_id,
            track=command.track,
            bidirectional=command.bidirectional,
            format=command.format,
            extra_headers=command.extra_headers,
            truth=command.truth,
            send_stop=command.send_stop,
            formats=command.formats,
            playout_max_ms=command.playout_max_ms,
            delay_policy=command.delay_policy,
            uplink_max_ms=command.uplink_max_ms,
        )


class StreamSession:
    """The protocol state of one stream: counters, frame templates, the recogniser of `playAudio`, the outbox.

    The recogniser needs no guess about serialisers: when a `playAudio` has passed the strict parser, the bytes before
    and behind its payload are remembered. A later message with the same bytes there and valid Base64 between them is
    the same JSON with another payload, so only the Base64 is decoded.
    """

    __slots__ = (
        "_answers_dropped",
        "_dropped_reported",
        "_faults",
        "_format",
        "_has_inbound",
        "_has_outbound",
        "_inbound",
        "_inbound_convert",
        "_is_open",
        "_law",
        "_message_max_bytes",
        "_missed_digits",
        "_next_reply",
        "_opened_at",
        "_outbound",
        "_outbound_convert",
        "_outbox_max",
        "_player",
        "_reconnects",
        "_sequence",
        "_settings",
        "_shape_end",
        "_shape_format",
        "_shape_start",
        "_suspended_at",
        "_wants_truth",
        "dropped_frames",
        "ignored_binary",
        "noise",
        "outbox",
        "played_ms",
        "received_messages",
        "sent_frames",
    )

    outbox: deque[bytes]
    """UTF-8 JSON text frames to send, oldest first; the owner pops from the left."""
    sent_frames: int
    """Media frames put into the outbox, those dropped later included."""
    dropped_frames: int
    received_messages: int
    ignored_binary: int
    played_ms: int
    """Agent audio that left as RTP; kept by the media session."""

    noise: UplinkNoise | None
    """Takes the noise out of what the far party says; set by the owner."""

    def __init__(self, settings: StreamSettings) -> None:
        self.noise = None
        self.outbox = deque()
        self.sent_frames = 0
        self.dropped_frames = 0
        self.received_messages = 0
        self.ignored_binary = 0
        self.played_ms = 0
        self._settings = settings
        self._format = canonical(settings.format)
        is_strict = settings.formats is not PlayFormats.ANY
        self._message_max_bytes = messages.STRICT_MAX_BYTES if is_strict else settings.message_max_bytes
        self._has_inbound = settings.track is not Track.OUTBOUND
        self._has_outbound = settings.track is not Track.INBOUND
        tracks = self._has_inbound + self._has_outbound
        self._outbox_max = max(1, settings.uplink_max_ms // 20) * tracks
        self._player: StreamPlayer = Nobody()
        self._law = PCMU
        self._inbound_convert: Convert | None = None
        self._outbound_convert: Convert | None = None
        self._is_open = False
        self._opened_at = Instant(-1)
        self._reconnects = 0
        self._wants_truth = settings.truth or wants_truth(settings.extra_headers)
        self._suspended_at = Instant(-1)
        self._missed_digits = ""
        self._sequence = 0
        self._inbound = self._template(Track.INBOUND, 0)
        self._outbound = self._template(Track.OUTBOUND, 0)
        self._faults = FaultCounts()
        self._next_reply = 0
        self._answers_dropped = 0
        self._dropped_reported = 0
        self._shape_start = self._shape_end = _NO_SHAPE
        self._shape_format = ULAW_8K
        self._set_converters()

    @property
    def settings(self) -> StreamSettings:
        """Return what the stream was made with."""
        return self._settings

    @property
    def stream_id(self) -> StreamId:
        """Return the stream's id."""
        return self._settings.stream_id

    @property
    def is_bidirectional(self) -> bool:
        """Return whether the agent may play audio."""
        return self._settings.bidirectional

    @property
    def is_open(self) -> bool:
        """Return whether `start` was queued and `stop` was not."""
        return self._is_open

    @property
    def opened_at(self) -> Instant | None:
        """Return when the stream first opened, or `None`."""
        return self._opened_at if self._opened_at >= 0 else None

    @property
    def has_inbound(self) -> bool:
        """Return whether the stream carries what the far party says."""
        return self._has_inbound

    @property
    def has_outbound(self) -> bool:
        """Return whether the stream carries what the far party hears."""
        return self._has_outbound

    # -- for the socket's owner ----------------------------------------------------------------------------------

    def open(self, now: Instant, wall_ms: int) -> None:
        """Begin (again) on a fresh socket: the outbox holds `start` alone, counters restart at 1.

        `wall_ms` is the epoch time that labels the first frame; each further frame is labelled 20 ms later.
        """
        settings = self._settings
        self.outbox.clear()
        self._sequence = 1
        self._inbound = self._template(Track.INBOUND, wall_ms)
        self._outbound = self._template(Track.OUTBOUND, wall_ms)
        self._set_converters()
        self._is_open = True
        if self._opened_at < 0:
            self._opened_at = now
        else:
            self._reconnects += 1
        tracks = (("inbound",) if self._has_inbound else ()) + (("outbound",) if self._has_outbound else ())
        self.outbox.append(
            messages.start_message(
                1,
                call_uuid=settings.call_uuid,
                stream_id=settings.stream_id,
                account_id=settings.account_id,
                tracks=tracks,
                format=settings.format,
                extra_headers=settings.extra_headers,
                more=self._start_members(now) if self._wants_truth else b"",
            )
        )
        self._suspended_at = Instant(-1)
        self._missed_digits = ""

    def suspend(self, now: Instant) -> None:
        """Note that the socket is gone: the outbox is emptied and nothing is queued until `open` is called again."""
        self._is_open = False
        self._suspended_at = now
        self.outbox.clear()

    def feed_text(self, now: Instant, message: bytes) -> int:
        """Take one text message of the agent; returns 0, or the close code the socket must be closed with.

        Commands act before it returns. Bad input is answered with `incorrectPayload` and never raises.
        """
        self.received_messages += 1
        # The usual playAudio: measured in benchmarks/media_session.py.
        if message.startswith(self._shape_start) and message.endswith(self._shape_end):
            try:
                audio = b64decode(message[len(self._shape_start) : -len(self._shape_end)], None, True)
            except (binascii.Error, ValueError):
                audio = b"RIFF"
            if audio and audio[:4] != b"RIFF" and len(message) <= self._message_max_bytes:
                if not self._player.queue_audio(now, audio, self._shape_format):
                    self._overflow(now, audio, self._shape_format)
                return 0
        return self._feed_other(now, message)

    def feed_binary(self, now: Instant) -> None:
        """Count a binary message; they are ignored (spec 1.2), and only an agent that asked is told so."""
        self.ignored_binary += 1
        self._report(now, self._faults.note(now, BINARY_IGNORED))

    def stop(self, now: Instant) -> None:
        """Queue `stop` (unless switched off) as the last frame; nothing follows it."""
        if not self._is_open:
            return
        if self._settings.send_stop:
            self.outbox.append(messages.stop_message(self._next_sequence(), self.stream_id))
        self._is_open = False

    def closed(
        self, now: Instant, session_id: SessionId, reason: StreamEnd, close_code: int = 0, detail: str = ""
    ) -> StreamClosed:
        """Return the final event of this stream with its totals."""
        return StreamClosed(
            session_id=session_id,
            stream_id=self.stream_id,
            reason=reason,
            duration_ms=(now - self._opened_at) // MS if self._opened_at >= 0 else 0,
            sent_frames=self.sent_frames - self.dropped_frames,
            dropped_frames=self.dropped_frames,
            received_messages=self.received_messages,
            played_ms=self.played_ms,
            close_code=close_code,
            detail=detail,
        )

    # -- for the media session -----------------------------------------------------------------------------------

    def join(self, player: StreamPlayer | None, law: Law) -> None:
        """Bind the stream to its leg, or to nothing."""
        self._player = player if player is not None else Nobody()
        self.set_law(law)

    def set_law(self, law: Law) -> None:
        """Note the law of the leg's frames."""
        if law is not self._law:
            self._law = law
            self._set_converters()

    def push_inbound(self, frame: bytes) -> None:
        """Send 20 ms of what the far party says: 160 bytes in the leg's law."""
        if not self._is_open:
            return
        if self.noise is not None:
            self.noise.take(self._law.decode(frame))
            return
        self._put_inbound(frame)

    def push_clean(self, pcm: bytes) -> None:
        """Send 20 ms of the far party that `noise` gave back: native audio, 8000 Hz."""
        if self._is_open:
            self._put_inbound(self._law.encode(pcm))

    def _put_inbound(self, frame: bytes) -> None:
        if self._inbound_convert is not None:
            frame = self._inbound_convert(frame)
        self._sequence = sequence = self._sequence + 1
        self.sent_frames += 1
        outbox = self.outbox
        outbox.append(self._inbound.frame(sequence, frame))
        if len(outbox) > self._outbox_max:
            self._shorten_outbox()

    def push_outbound(self, frame: bytes) -> None:
        """Send 20 ms of what the far party hears: 160 bytes in the leg's law."""
        if not self._is_open:
            return
        if self._outbound_convert is not None:
            frame = self._outbound_convert(frame)
        self._sequence = sequence = self._sequence + 1
        self.sent_frames += 1
        outbox = self.outbox
        outbox.append(self._outbound.frame(sequence, frame))
        if len(outbox) > self._outbox_max:
            self._shorten_outbox()

    def push_digit(self, digit: str) -> None:
        """Report a key that the far party pressed; one pressed while the agent is away is told in its next `start`."""
        if self._suspended_at >= 0 and len(self._missed_digits) < _MISSED_DIGITS_MAX:
            self._missed_digits += digit
        timestamp = self._inbound.timestamp + 20
        self._answer(
            lambda sequence: messages.dtmf_message(
                sequence, self.stream_id, "inbound", digit, timestamp, self._settings.extra_headers
            )
        )

    def push_played(self, name: str) -> None:
        """Acknowledge a checkpoint."""
        self._answer(lambda sequence: messages.played_message(sequence, self.stream_id, name, self._truth()))

    def push_cleared(self) -> None:
        """Acknowledge `clearAudio`."""
        self._answer(lambda sequence: messages.cleared_message(sequence, self.stream_id, self._truth()))

    def note_agent_losses(self, now: Instant, cut_ms: int, incomplete_samples: int) -> None:
        """Note what the play queue lost of the agent's audio."""
        if cut_ms:
            self._report(now, self._faults.note(now, DELAY_CUT, ms=cut_ms))
        if incomplete_samples:
            self._refuse(now, INCOMPLETE_SAMPLE, count=incomplete_samples)

    def note_late_packets(self, count: int) -> None:
        """Note what the far party said too late; the leg counts it for itself."""
        if count:
            self._tell_dropped(FaultReport(PACKETS_LATE, count, 0, ""))

    def report_dropped(self, now: Instant) -> None:
        """Report what was dropped, and faults that waited, since the last report; called about once a second."""
        dropped = self.dropped_frames - self._dropped_reported
        if dropped:
            self._dropped_reported = self.dropped_frames
            self._report(now, FaultReport(UPLINK_DROPPED, dropped, 20 * dropped, ""))
        if self._answers_dropped:
            count, self._answers_dropped = self._answers_dropped, 0
            self._report(now, FaultReport(ANSWERS_DROPPED, count, 0, ""))
        for report in self._faults.due(now):
            self._report(now, report)

    def report_rest(self, now: Instant) -> None:
        """Report everything that was not reported yet: the stream is over."""
        self.report_dropped(now)
        for report in self._faults.rest():
            self._report(now, report)

    # -- inside --------------------------------------------------------------------------------------------------

    def _truth(self) -> bytes:
        """Return what the far party heard as a further member of a message, for an agent that asked for it."""
        if not self._wants_truth or not self._settings.bidirectional:
            return b""
        return messages.audio_member(self._player.audio_report())

    def _start_members(self, now: Instant) -> bytes:
        """Return what an agent that asked finds in `start` besides: after a drop also what it missed."""
        members = messages.reconnects_member(self._reconnects)
        if self._suspended_at >= 0:
            away_ms = (now - self._suspended_at) // MS
            members += messages.absence_member(Absence(ms=away_ms, digits=self._missed_digits))
        return members + self._truth()

    def _template(self, track: Track, wall_ms: int) -> messages.MediaTemplate:
        return messages.MediaTemplate(self.stream_id, track.value, self._settings.extra_headers, wall_ms)

    def _set_converters(self) -> None:
        self._inbound_convert = uplink(self._law, self._format)
        self._outbound_convert = uplink(self._law, self._format)

    def _next_sequence(self) -> int:
        self._sequence += 1
        return self._sequence

    def _answer(self, build: messages.Build) -> None:
        if not self._is_open:
            return
        if len(self.outbox) >= self._outbox_max + ANSWERS_MAX:
            self._answers_dropped += 1
            return
        self.outbox.append(build(self._next_sequence()))

    def _shorten_outbox(self) -> None:
        """Drop the oldest media frame; answers stay (they are few and bounded)."""
        outbox = self.outbox
        for index, frame in enumerate(outbox):
            if frame.startswith(messages.MEDIA_PREFIX):
                del outbox[index]
                self.dropped_frames += 1
                return

    def _feed_other(self, now: Instant, message: bytes) -> int:
        if len(message) > self._message_max_bytes:
            self._refuse(now, "message too large", f"{len(message)} bytes")
            return CLOSE_TOO_BIG if len(message) > self._settings.message_hard_max_bytes else 0
        command = messages.parse_command(message, self._format, self._settings.formats)
        if isinstance(command, (messages.Ignored, messages.InvalidText)):
            return 0 if isinstance(command, messages.Ignored) else CLOSE_INVALID_TEXT
        if isinstance(command, messages.Unusable):
            self._refuse(now, command.reason, command.detail)
            return 0
        if isinstance(command, messages.StopStream):
            self._player.agent_stop(now, self.stream_id)
            return 0
        if not self._settings.bidirectional:
            self._refuse(now, "stream is not bidirectional")
            return 0
        match command:
            case messages.PlayAudio(audio, format, payload):
                if payload:
                    self._learn_shape(message, payload, format)
                if not self._player.queue_audio(now, audio, format):
                    self._overflow(now, audio, format)
            case messages.Checkpoint(name):
                if not self._player.checkpoint(now, name):
                    self._refuse(now, "too many checkpoints")
            case messages.ClearAudio():
                self._player.clear_audio(now)
            case messages.QueryAudio():
                report = messages.audio_member(self._player.audio_report())
                self._answer(lambda sequence: messages.queried_message(sequence, self.stream_id, report))
            case messages.SendDtmf(digits):
                if not self._player.agent_digits(now, digits):
                    self._refuse(now, "invalid dtmf")
            case _:
                assert_never(command)
        return 0

    def _learn_shape(self, message: bytes, payload: str, format: AudioFormat) -> None:
        """Remember the bytes round the payload, if it stands there once, unescaped, behind its key."""
        if self._settings.formats is PlayFormats.STRICT_20MS:
            # The length of every chunk is checked by the parser.
            return
        text = payload.encode()
        at = message.find(text)
        if b"\\" in message or message.count(text) != 1:
            return
        start, end = message[:at], message[at + len(text) :]
        if start.endswith(_PAYLOAD_KEYS) and end.startswith(b'"'):
            self._shape_start, self._shape_end, self._shape_format = start, end, format

    def _overflow(self, now: Instant, audio: bytes, format: AudioFormat) -> None:
        ms = len(audio) * 1000 // (unit_bytes(format) * 8000)
        report = self._faults.note(now, messages.BUFFER_OVERFLOW, ms=ms)
        if report is not None:
            self._answer(
                lambda sequence: messages.fault_message(
                    "playFailed", sequence, self.stream_id, messages.BUFFER_OVERFLOW, self._truth()
                )
            )
            self._report(now, report)

    def _refuse(self, now: Instant, reason: str, detail: str = "", *, count: int = 1) -> None:
        if now >= self._next_reply:
            self._next_reply = now + REPORT_NS
            text = f"{reason}: {detail}" if detail else reason
            self._answer(lambda sequence: messages.fault_message("incorrectPayload", sequence, self.stream_id, text))
        self._report(now, self._faults.note(now, reason, detail, count=count))

    def _report(self, now: Instant, report: FaultReport | None) -> None:
        """Let the event log and the counters know, and an agent that asked for what was dropped."""
        if report is None:
            return
        if report.reason in _TOLD:
            self._tell_dropped(report)
        self._player.stream_fault(now, self.stream_id, report.reason, report.count, report.detail, report.ms)

    def _tell_dropped(self, report: FaultReport) -> None:
        if self._wants_truth:
            self._answer(
                lambda sequence: messages.dropped_message(
                    sequence, self.stream_id, report.reason, report.count, report.ms
                )
            )
