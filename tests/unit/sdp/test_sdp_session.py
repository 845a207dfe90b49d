"""The model of a session description and its text."""

from __future__ import annotations

import pytest

from ringback.sdp.errors import UnsafeSdp
from ringback.sdp.session import Attribute, Direction, Media, Origin, SessionDescription


def test_text_has_the_order_and_line_ends_of_the_standard() -> None:
    description = SessionDescription(
        Origin("-", "7", "3", "2001:db8::1"),
        (
            Media(
                "audio", 4000, "RTP/AVP", ("0", "101"), "192.0.2.9", (Attribute("ptime", "20"), Attribute("sendrecv"))
            ),
            Media("video", 0, "RTP/AVP", ("34",)),
        ),
        "2001:db8::1",
        "Ringback",
        (Attribute("recvonly"),),
    )
    assert description.to_bytes() == (
        b"v=0\r\no=- 7 3 IN IP6 2001:db8::1\r\ns=Ringback\r\nc=IN IP6 2001:db8::1\r\nt=0 0\r\na=recvonly\r\n"
        b"m=audio 4000 RTP/AVP 0 101\r\nc=IN IP4 192.0.2.9\r\na=ptime:20\r\na=sendrecv\r\nm=video 0 RTP/AVP 34\r\n"
    )


@pytest.mark.parametrize("bad", ["x\r\na=evil", "x\ny", "x\0"])
def test_values_cannot_break_out_of_their_line(bad: str) -> None:
    with pytest.raises(UnsafeSdp):
        SessionDescription(Origin("-", "1", "1", "h"), (), name=bad).to_bytes()


def test_directions_are_seen_from_the_other_side() -> None:
    assert [direction.reversed for direction in Direction] == [
        Direction.SENDRECV,
        Direction.RECVONLY,
        Direction.SENDONLY,
        Direction.INACTIVE,
    ]


@pytest.mark.parametrize("direction", list(Direction))
def test_direction_within_a_limit_keeps_what_both_allow(direction: Direction) -> None:
    assert direction.within(Direction.SENDRECV) is direction
    assert direction.within(Direction.INACTIVE) is Direction.INACTIVE
    assert direction.within(Direction.SENDONLY).sends is direction.sends
    assert direction.within(Direction.SENDONLY).receives is False
