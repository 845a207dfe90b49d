"""Counts the CPU time that a room takes in our own code, without sockets: µs per member and second.

    python benchmarks/room.py [--seconds 10] [--repeats 5]

A member-second is 50 RTP packets in, 50 sums of everyone else, 50 RTP packets out; everyone talks all the time, which
is the most that can happen. 10,000 µs are 1 % of a core. The least of the repeats counts. Measured 2026-11-22, Python
3.11, 2 virtual cores, shared:

    bridge of 2            257 µs    0.05 % of a core for the room
    10, one talks          265 µs    0.27 %
    10, all talk           567 µs    0.57 %
    10, all talk, floor    648 µs    0.65 %
    20, all talk           941 µs    1.88 %
"""

from __future__ import annotations

import argparse
import time

from ringback.ids import CommandId, SessionId
from ringback.machine import Instant
from ringback.media.control.commands import SetRemote
from ringback.media.control.values import Address, Codec
from ringback.media.room import Room
from ringback.media.rtp.packet import RtpPacket
from ringback.media.session import Datagram, MediaSession
from ringback.media.settings import MediaSettings

SLOT_NS = 20_000_000
PEER = ("127.0.0.1", 4000)


def run(members: int, seconds: int, *, talking: int, watches_floor: bool = False) -> float:
    """Return µs per member and second of a room in which the first `talking` members talk without pause."""
    room = Room("r")
    codec = Codec("PCMU", 0)
    sessions = []
    for number in range(members):
        session_id = SessionId(f"s{number}")
        session = MediaSession(MediaSettings(), session_id=session_id, now=Instant(0), chance=lambda: 0.3)
        session.set_remote(
            Instant(0),
            SetRemote(
                command_id=CommandId("c"),
                session_id=session_id,
                address=Address(*PEER),
                codec=codec,
                receive_codecs=(codec,),
            ),
        )
        session.join_room(room.join(session_id, session.law, watches_floor=watches_floor))
        sessions.append(session)
    slots = seconds * 50
    speech = bytes(range(96, 256))
    packets = [
        [
            RtpPacket(0, slot & 0xFFFF, slot * 160, 7, speech if number < talking else b"\xff" * 160).to_bytes()
            for number in range(members)
        ]
        for slot in range(slots)
    ]
    out: list[Datagram] = []
    sent = 0
    started = time.perf_counter_ns()
    for slot, row in enumerate(packets):
        now = Instant(slot * SLOT_NS + 1)
        for session, packet in zip(sessions, row, strict=True):
            session.receive_packet(now, packet, PEER)
        later = Instant(now + 5_000_000)
        for session in sessions:
            session.tick(later, out)
            sent += len(out)
            out.clear()
    elapsed = time.perf_counter_ns() - started
    assert sent == slots * members, (sent, slots * members)
    return elapsed / 1000 / (members * seconds)


def main() -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--repeats", type=int, default=5)
    arguments = parser.parse_args()
    cases = (
        ("bridge of 2", 2, 2, False),
        ("10, one talks", 10, 1, False),
        ("10, all talk", 10, 10, False),
        ("10, all talk, floor", 10, 10, True),
        ("20, all talk", 20, 20, False),
    )
    for name, members, talking, floor in cases:
        best = min(
            run(members, arguments.seconds, talking=talking, watches_floor=floor) for _ in range(arguments.repeats)
        )
        print(f"{name:20} {best:8.1f} µs per member-second   {members * best / 10_000:.3f} % of a core for the room")


if __name__ == "__main__":
    main()
