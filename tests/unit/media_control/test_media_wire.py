"""`media.control.wire`: frames survive any cutting, bad values cost themselves, bad lengths cost the connection."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.ids import CommandId, Epoch, PlayId, SessionId, StreamId
from ringback.media.control.commands import (
    AckEvents,
    AnyCommand,
    Attach,
    JoinRoom,
    OpenSession,
    OpenStream,
    Ping,
    Play,
    SetMember,
)
from ringback.media.control.events import Accepted, AnyEvent, DigitReceived, Rejected, RoomLeft, SessionOpened
from ringback.media.control.values import Address, AudioFormat, Encoding, RejectCode, RoomEnd, Track
from ringback.media.control.wire import (
    LENGTH_BYTES,
    MAX_PAYLOAD_BYTES,
    FrameReader,
    FrameTooLarge,
    MalformedFrame,
    Unreadable,
    decode_command,
    decode_event,
    encode,
)

COMMANDS: list[AnyCommand] = [
    Attach(command_id=CommandId("a"), epoch=Epoch(7)),
    Ping(command_id=CommandId("p")),
    AckEvents(command_id=CommandId("k"), up_to_seq=2**40),
    OpenSession(command_id=CommandId("o"), session_id=SessionId("s"), local_host="127.0.0.1"),
    Play(command_id=CommandId("y"), session_id=SessionId("s"), play_id=PlayId("p"), path="/a/ü.wav", loops=0),
    JoinRoom(command_id=CommandId("j"), session_id=SessionId("s"), room_id="r", is_muted=True, relays_digits=True),
    SetMember(command_id=CommandId("m"), session_id=SessionId("s"), room_id="r", is_muted=False, is_deaf=True),
    OpenStream(
        command_id=CommandId("t"),
        session_id=SessionId("s"),
        stream_id=StreamId("st"),
        url="wss://agent.example/ws?x=1",
        headers=(("X-A", "b"), ("X-A", "c")),
        addresses=(Address("192.0.2.1", 443), Address("2001:db8::1", 443)),
        call_uuid="c",
        account_id="MA",
        track=Track.BOTH,
        bidirectional=False,
        format=AudioFormat(Encoding.L16, 16_000),
    ),
]
EVENTS: list[AnyEvent] = [
    Accepted(caused_by=CommandId("a")),
    Rejected(caused_by=CommandId("b"), code=RejectCode.LIMIT, found="3", allowed="2"),
    SessionOpened(seq=4, wall_ms=5, session_id=SessionId("s"), local=Address("::1", 20_000)),
    RoomLeft(seq=6, session_id=SessionId("s"), room_id="r", reason=RoomEnd.CLOSED),
    DigitReceived(seq=9, session_id=SessionId("s"), digit="#", duration_ms=120),
]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: type(command).__name__)
def test_commands_come_back_equal(command: AnyCommand) -> None:
    (payload,) = FrameReader().feed(encode(command))
    assert decode_command(payload) == command


@pytest.mark.parametrize("event", EVENTS, ids=lambda event: type(event).__name__)
def test_events_come_back_equal(event: AnyEvent) -> None:
    (payload,) = FrameReader().feed(encode(event))
    assert decode_event(payload) == event


@given(st.lists(st.sampled_from(COMMANDS), max_size=20), st.lists(st.integers(1, 60), min_size=1, max_size=200))
def test_any_cutting_gives_the_same_commands(commands: list[AnyCommand], cuts: list[int]) -> None:
    stream = b"".join(map(encode, commands))
    reader = FrameReader()
    decoded = []
    at = 0
    index = 0
    while at < len(stream):
        size = cuts[index % len(cuts)]
        decoded += [decode_command(payload) for payload in reader.feed(stream[at : at + size])]
        at += size
        index += 1
    assert decoded == commands
    assert reader.held_bytes == 0


@given(st.binary(max_size=300))
def test_garbage_is_payloads_or_a_malformed_frame(data: bytes) -> None:
    try:
        payloads = FrameReader().feed(data)
    except MalformedFrame:
        return
    for payload in payloads:
        assert decode_command(payload) is not None
        assert decode_event(payload) is not None


@given(st.binary(max_size=300))
def test_any_value_decodes_or_is_unreadable(payload: bytes) -> None:
    decode_command(payload)
    decode_event(payload)


@given(st.sampled_from(COMMANDS), st.data())
def test_a_mutated_command_never_raises(command: AnyCommand, data: st.DataObject) -> None:
    payload = bytearray(encode(command)[LENGTH_BYTES:])
    for _ in range(data.draw(st.integers(1, 4))):
        payload[data.draw(st.integers(0, len(payload) - 1))] = data.draw(st.integers(0, 255))
    decode_command(bytes(payload))


def test_deep_nesting_is_unreadable() -> None:
    assert isinstance(decode_command(b"\x91" * 60_000), Unreadable)


def test_an_unknown_command_is_refused_by_name() -> None:
    payload = msgspec.msgpack.encode(["OpenBridge", "command-7", 1])
    unreadable = decode_command(payload)
    assert isinstance(unreadable, Unreadable)
    assert unreadable.command_id == "command-7"
    assert "OpenBridge" in unreadable.detail


def test_fields_of_a_newer_minor_version_are_ignored() -> None:
    newer = msgspec.msgpack.encode(["Ping", "p", "new", {"more": 1}])
    assert decode_command(newer) == Ping(command_id=CommandId("p"))


def test_missing_optional_fields_take_their_defaults() -> None:
    older = msgspec.msgpack.encode(["Attach", "a", 3])
    assert decode_command(older) == Attach(command_id=CommandId("a"), epoch=Epoch(3))


@pytest.mark.parametrize("size", [0, MAX_PAYLOAD_BYTES + 1, 2**32 - 1])
def test_an_impossible_length_breaks_the_reader_for_good(size: int) -> None:
    reader = FrameReader()
    with pytest.raises(MalformedFrame, match=str(size)):
        reader.feed(size.to_bytes(4, "big") + b"x")
    with pytest.raises(MalformedFrame):
        reader.feed(encode(COMMANDS[0]))


def test_the_largest_frame_passes_and_one_byte_more_does_not() -> None:
    reader = FrameReader()
    largest = MAX_PAYLOAD_BYTES.to_bytes(4, "big") + b"\xc0" * MAX_PAYLOAD_BYTES
    assert reader.feed(largest[:-1]) == []
    assert reader.held_bytes == len(largest) - 1
    (payload,) = reader.feed(largest[-1:])
    assert len(payload) == MAX_PAYLOAD_BYTES

    overhead = len(encode(Rejected(code=RejectCode.LIMIT, found="x" * 60_000))) - LENGTH_BYTES - 60_000
    fits = Rejected(code=RejectCode.LIMIT, found="x" * (MAX_PAYLOAD_BYTES - overhead))
    assert len(encode(fits)) == MAX_PAYLOAD_BYTES + LENGTH_BYTES
    with pytest.raises(FrameTooLarge):
        encode(Rejected(code=RejectCode.LIMIT, found="x" * (MAX_PAYLOAD_BYTES - overhead + 1)))
