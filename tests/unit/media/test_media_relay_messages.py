"""`media.relay_messages`: what workers tell each other, and rubbish."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ringback.media.relay_messages import (
    BATCH_MAX,
    DATAGRAM_MAX_BYTES,
    ROOMS_PER_HERE,
    Digit,
    Frame,
    Gone,
    Here,
    Message,
    decode,
    encode,
)

MESSAGES: list[Message] = [
    Here("media-0", ("r1", "r2"), wants_answer=True),
    Gone("media-1", "r1"),
    Frame("media-0", "r", bytes(320), level=900, watches_floor=True),
    Frame("media-0", "r", b""),
    Digit("media-0", "r", "#"),
]


def test_messages_come_back_equal() -> None:
    assert decode(encode(MESSAGES)) == MESSAGES


def test_the_largest_batches_fit_into_a_datagram() -> None:
    room_id = "r" * 128
    frames: list[Message] = [Frame("media-255", room_id, bytes(320), 32_767, True)] * BATCH_MAX
    assert len(encode(frames)) <= DATAGRAM_MAX_BYTES
    # These leave one by one.
    assert len(encode([Here("media-255", (room_id,) * ROOMS_PER_HERE)])) <= DATAGRAM_MAX_BYTES


@given(st.binary(max_size=400))
def test_any_rubbish_is_no_message(data: bytes) -> None:
    for message in decode(data):
        assert isinstance(message, Here | Gone | Frame | Digit)
