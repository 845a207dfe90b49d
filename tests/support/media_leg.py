"""A leg on fake time: a peer that sends RTP, an agent that speaks the stream protocol, and what both hear."""

from __future__ import annotations

import audioop
import base64
import json
from typing import Any

import numpy as np
from hypothesis import settings as hypothesis_settings
from numpy.typing import NDArray

from ringback.ids import CommandId, SessionId, StreamId
from ringback.machine import Instant
from ringback.media.codecs.convert import ULAW_8K
from ringback.media.control.commands import SetRemote
from ringback.media.control.values import Address, AudioFormat, Codec, LatchPolicy, MediaDirection, Track
from ringback.media.rtp.packet import RtpPacket, parse_rtp
from ringback.media.session import Datagram, MediaSession
from ringback.media.settings import MediaSettings
from ringback.media.stream.session import StreamSession, StreamSettings

unhurried = hypothesis_settings(deadline=None)
"""For property tests: a neighbour on the machine must not fail them by slowing one example down."""

SLOT_NS = 20_000_000
MS_NS = 1_000_000
PEER = ("127.0.0.1", 4000)
STREAM_UUID = "6b0e7a52-1d2c-4d36-9f3a-0a1b2c3d4e5f"
CALL_UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"
WALL_MS = 1_760_000_000_000
PCMU_CODEC = Codec("PCMU", 0)
PCMA_CODEC = Codec("PCMA", 8)


def remote(
    *,
    codec: Codec = PCMU_CODEC,
    address: tuple[str, int] = PEER,
    dtmf_payload_type: int = 101,
    ptime_ms: int = 20,
    direction: MediaDirection = MediaDirection.SENDRECV,
    latch: LatchPolicy = LatchPolicy.SIGNALLED,
    signalling_host: str = "",
) -> SetRemote:
    """Return the outcome of a negotiation with both laws allowed from the peer."""
    return SetRemote(
        command_id=CommandId("c"),
        session_id=SessionId("s"),
        address=Address(*address),
        codec=codec,
        receive_codecs=(PCMU_CODEC, PCMA_CODEC),
        dtmf_payload_type=dtmf_payload_type,
        ptime_ms=ptime_ms,
        direction=direction,
        latch=latch,
        signalling_host=signalling_host,
    )


def stream_settings(
    *,
    format: AudioFormat = ULAW_8K,
    track: Track = Track.INBOUND,
    bidirectional: bool = True,
    extra_headers: str = "",
    stream_id: str = STREAM_UUID,
    **more: Any,
) -> StreamSettings:
    """Return settings of a stream as a customer would ask for it."""
    return StreamSettings(
        stream_id=StreamId(stream_id),
        call_uuid=CALL_UUID,
        account_id="MADEVDEVDEVDEVDEVDEV",
        track=track,
        bidirectional=bidirectional,
        format=format,
        extra_headers=extra_headers,
        **more,
    )


class Leg:
    """A media session with its peer and its agent, stepped in slots of 20 ms."""

    def __init__(
        self,
        *,
        format: AudioFormat = ULAW_8K,
        settings: MediaSettings | None = None,
        command: SetRemote | None = None,
        stream: StreamSettings | None = None,
    ) -> None:
        self.now = 0
        self.session = MediaSession(
            settings or MediaSettings(), session_id=SessionId("s"), now=Instant(0), chance=lambda: 0.25
        )
        self.session.set_remote(Instant(0), command or remote())
        self.stream = StreamSession(stream or stream_settings(format=format))
        assert self.session.attach(Instant(0), self.stream)
        self.stream.open(Instant(0), WALL_MS)
        self.sent: list[tuple[int, RtpPacket]] = []
        """What the peer received: (instant, packet)."""
        self.heard: list[dict[str, Any]] = []
        """What the agent received, decoded."""
        self.heard_at: list[int] = []
        self.events: list[Any] = []
        self.collect()

    def collect(self) -> None:
        """Take the outbox and the events."""
        while self.stream.outbox:
            self.heard.append(json.loads(self.stream.outbox.popleft()))
            self.heard_at.append(self.now)
        while (event := self.session.poll_event()) is not None:
            self.events.append(event)

    def receive(self, packet: RtpPacket | bytes, *, at: int | None = None, source: tuple[str, int] = PEER) -> None:
        """Let a packet arrive."""
        if at is not None:
            self.now = at
        data = packet if isinstance(packet, bytes) else packet.to_bytes()
        self.session.receive_packet(Instant(self.now), data, source)
        self.collect()

    def tick(self, *, at: int | None = None) -> list[RtpPacket]:
        """Run one slot and return what was sent."""
        if at is not None:
            self.now = at
        out: list[Datagram] = []
        self.session.tick(Instant(self.now), out)
        packets = [parse_rtp(data) for data, _ in out]
        assert None not in packets
        self.destinations = [destination for _, destination in out]
        self.sent += [(self.now, packet) for packet in packets if packet is not None]
        self.collect()
        return [packet for packet in packets if packet is not None]

    def slots(self, count: int) -> bytes:
        """Run slots and return the audio sent in them."""
        audio = b""
        for _ in range(count):
            self.now += SLOT_NS
            audio += b"".join(packet.payload for packet in self.tick())
        return audio

    def command(self, message: dict[str, Any] | bytes) -> int:
        """Let the agent send a message; returns the close code asked for."""
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        code = self.stream.feed_text(Instant(self.now), data)
        self.collect()
        return code

    def play(self, audio: bytes, format: AudioFormat = ULAW_8K) -> None:
        """Let the agent play audio."""
        self.command(play_audio(audio, format))

    def media(self, track: str = "inbound") -> list[dict[str, Any]]:
        """Return the `media` objects that the agent received."""
        return [
            frame["media"] for frame in self.heard if frame["event"] == "media" and frame["media"]["track"] == track
        ]

    def audio(self, track: str = "inbound") -> bytes:
        """Return the audio that the agent received."""
        return b"".join(base64.b64decode(media["payload"]) for media in self.media(track))

    def named(self, event: str) -> list[dict[str, Any]]:
        """Return the messages of that name that the agent received."""
        return [frame for frame in self.heard if frame["event"] == event]

    def of(self, kind: type) -> list[Any]:
        """Return the events of a type that the session reported."""
        return [event for event in self.events if isinstance(event, kind)]

    def assert_gapless(self, track: str = "inbound") -> None:
        """Check that chunk and timestamp advance by exactly one frame each, and the sequence number by one."""
        for number, media in enumerate(self.media(track), start=1):
            assert media["chunk"] == number
            assert media["timestamp"] == str(WALL_MS + 20 * (number - 1))
        numbers = [frame["sequenceNumber"] for frame in self.heard]
        assert numbers == list(range(1, len(numbers) + 1))


def play_audio(audio: bytes, format: AudioFormat = ULAW_8K) -> dict[str, Any]:
    """Return a `playAudio` as the documents show it."""
    return {
        "event": "playAudio",
        "media": {
            "contentType": format.encoding.value,
            "sampleRate": format.rate_hz,
            "payload": base64.b64encode(audio).decode(),
        },
    }


def sine_pcm(frequency: float, duration_ms: int, rate_hz: int = 8000, amplitude: float = 10_000) -> bytes:
    """Return a sine as signed 16-bit little-endian samples."""
    at = np.arange(duration_ms * rate_hz // 1000) / rate_hz
    return (amplitude * np.sin(2 * np.pi * frequency * at)).round().astype("<i2").tobytes()


def sine_ulaw(frequency: float, duration_ms: int, amplitude: float = 10_000) -> bytes:
    """Return a sine in µ-law."""
    return audioop.lin2ulaw(sine_pcm(frequency, duration_ms, 8000, amplitude), 2)


def samples(pcm: bytes) -> NDArray[np.float64]:
    """Return little-endian samples as numbers."""
    return np.frombuffer(pcm, dtype="<i2").astype(np.float64)


def measured(wave: NDArray[np.float64], frequency: float, rate_hz: int) -> tuple[float, float]:
    """Return amplitude and purity (tone over everything else, in dB) of a tone of known pitch."""
    at = np.arange(len(wave))
    basis = np.column_stack(
        [np.cos(2 * np.pi * frequency * at / rate_hz), np.sin(2 * np.pi * frequency * at / rate_hz)]
    )
    weights, *_ = np.linalg.lstsq(basis, wave, rcond=None)
    rest = wave - basis @ weights
    amplitude = float(np.hypot(*weights))
    return amplitude, 20 * float(np.log10(amplitude / max(1e-6, float(np.sqrt(2 * np.mean(rest**2))))))


class Sender:
    """The peer's RTP stream: numbers packets, `at` is when packet n is due."""

    def __init__(
        self,
        audio: bytes,
        *,
        payload_type: int = 0,
        ssrc: int = 77,
        sequence: int = 65_530,
        timestamp: int = 2**32 - 800,
    ) -> None:
        self.audio = audio
        self.payload_type = payload_type
        self.ssrc = ssrc
        self.sequence = sequence
        self.timestamp = timestamp

    def packet(self, index: int, size: int = 160) -> RtpPacket:
        """Return packet `index` of the stream, `size` samples long."""
        return RtpPacket(
            self.payload_type,
            (self.sequence + index) & 0xFFFF,
            (self.timestamp + index * size) & 0xFFFFFFFF,
            self.ssrc,
            self.audio[index * size : (index + 1) * size],
        )

    def count(self, size: int = 160) -> int:
        """Return how many whole packets there are."""
        return len(self.audio) // size
