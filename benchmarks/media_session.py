"""Counts the CPU time that one call's media takes in our own code, without sockets: µs per call and second.

    python benchmarks/media_session.py [--seconds 10] [--calls 10] [--repeats 5]

A call-second is 50 RTP packets in, 50 `media` frames out, 50 `playAudio` messages in, 50 RTP packets out; 10,000 µs are
1 % of a core. The least of the repeats counts. Measured 2026-11-22, Python 3.11, 2 virtual cores, shared:

    µ-law 8 kHz     215 µs    0.022 % of a core
    L16 8 kHz       370 µs    0.037 %
    L16 16 kHz    1,420 µs    0.142 %   (two half-band filters per slot)
"""

from __future__ import annotations

import argparse
import time

from ringback.ids import CommandId, SessionId, StreamId
from ringback.machine import Instant
from ringback.media.codecs.convert import L16_8K, L16_16K, ULAW_8K
from ringback.media.control.commands import SetRemote
from ringback.media.control.values import Address, AudioFormat, Codec, Track
from ringback.media.rtp.packet import RtpPacket
from ringback.media.session import Datagram, MediaSession
from ringback.media.settings import MediaSettings
from ringback.media.stream.session import StreamSession, StreamSettings

SLOT_NS = 20_000_000
PEER = ("127.0.0.1", 4000)


def new_call(number: int, format: AudioFormat) -> tuple[MediaSession, StreamSession]:
    """Return a negotiated leg with an open bidirectional stream."""
    session = MediaSession(MediaSettings(), session_id=SessionId(f"s{number}"), now=Instant(0), chance=lambda: 0.3)
    codec = Codec("PCMU", 0)
    session.set_remote(
        Instant(0),
        SetRemote(
            command_id=CommandId("c"),
            session_id=SessionId(f"s{number}"),
            address=Address(*PEER),
            codec=codec,
            receive_codecs=(codec,),
            dtmf_payload_type=101,
        ),
    )
    stream = StreamSession(
        StreamSettings(
            stream_id=StreamId(f"00000000-0000-4000-8000-{number:012d}"),
            call_uuid="00000000-0000-4000-8000-000000000000",
            account_id="MADEVDEVDEVDEVDEVDEV",
            track=Track.INBOUND,
            bidirectional=True,
            format=format,
        )
    )
    session.attach(Instant(0), stream)
    stream.open(Instant(0), 1_760_000_000_000)
    stream.outbox.clear()
    return session, stream


def run(format: AudioFormat, calls: int, seconds: int) -> float:
    """Return µs per call and second; every frame comes back from the agent as it was sent (an echo)."""
    legs = [new_call(number, format) for number in range(calls)]
    slots = seconds * 50
    frame = bytes(range(96, 256))
    packets = [RtpPacket(0, slot & 0xFFFF, slot * 160, 7, frame).to_bytes() for slot in range(slots)]
    kind = b'"contentType":"%b","sampleRate":%d' % (format.encoding.value.encode(), format.rate_hz)
    out: list[Datagram] = []
    sent = 0
    elapsed = 0
    for slot, packet in enumerate(packets):
        now = Instant(slot * SLOT_NS + 1)
        replies: list[bytes] = []
        started = time.perf_counter_ns()
        for session, _ in legs:
            session.receive_packet(now, packet, PEER)
        elapsed += time.perf_counter_ns() - started
        for _, stream in legs:
            message = stream.outbox.popleft()
            at = message.index(b'"payload":"') + 11
            payload = message[at : message.index(b'"', at)]
            replies.append(b'{"event":"playAudio","media":{' + kind + b',"payload":"' + payload + b'"}}')
        started = time.perf_counter_ns()
        for (_, stream), reply in zip(legs, replies, strict=True):
            stream.feed_text(now, reply)
        later = Instant(now + 5_000_000)
        for session, _ in legs:
            session.tick(later, out)
            sent += len(out)
            out.clear()
        elapsed += time.perf_counter_ns() - started
    assert sent == slots * calls, (sent, slots * calls)
    return elapsed / 1000 / (calls * seconds)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--calls", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    for name, format in (("µ-law 8 kHz", ULAW_8K), ("L16 8 kHz", L16_8K), ("L16 16 kHz", L16_16K)):
        best = min(run(format, arguments.calls, arguments.seconds) for _ in range(arguments.repeats))
        print(f"{name:12} {best:8.1f} µs per call-second   {best / 10_000:.4f} % of a core")


if __name__ == "__main__":
    main()
