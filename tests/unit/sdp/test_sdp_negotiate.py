"""Offer/answer: each rule of sip.md section 7 that concerns one audio line."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ringback.errors import RingbackError
from ringback.sdp.errors import MalformedSdp, NoCommonCodec, NoCommonProfile
from ringback.sdp.negotiate import (
    LocalAudio,
    Negotiated,
    PayloadFormat,
    Preference,
    SdpState,
    answer_offer,
    apply_answer,
    check_offer,
    make_offer,
)
from ringback.sdp.parser import parse_sdp
from ringback.sdp.session import Direction, Media, SessionDescription

LOCAL = LocalAudio("198.51.100.7", 20_000)
FRESH = SdpState("4711")
DTMF = "a=rtpmap:101 telephone-event/8000"


def sdp(*lines: str, version: int = 1, host: str = "192.0.2.1") -> SessionDescription:
    """Return a description with an o= and c= line and these lines behind."""
    family = "IP6" if ":" in host else "IP4"
    head = ["v=0", f"o=- 5 {version} IN {family} {host}", "s=-", f"c=IN {family} {host}", "t=0 0"]
    return parse_sdp("\r\n".join([*head, *lines, ""]).encode())


def answered(*lines: str, local: LocalAudio = LOCAL, state: SdpState = FRESH, host: str = "192.0.2.1") -> Negotiated:
    """Return our answer to an offer of these lines."""
    return answer_offer(state, local, sdp(*lines, host=host))


def text_of(negotiated: Negotiated) -> str:
    """Return the answer as text, after checking that it can be read back."""
    assert negotiated.local_sdp is not None
    data = negotiated.local_sdp.to_bytes()
    assert parse_sdp(data) == negotiated.local_sdp
    return data.decode()


def audio_of(negotiated: Negotiated) -> Media:
    """Return the live audio line of an answer."""
    assert negotiated.local_sdp is not None
    (audio,) = [media for media in negotiated.local_sdp.media if media.is_audio and media.port]
    return audio


# Answering.


def test_plain_offer_is_answered_with_its_numbers() -> None:
    negotiated = answered("m=audio 4000 RTP/AVP 8 0 18 96", "a=rtpmap:96 telephone-event/8000", "a=ptime:30")
    assert text_of(negotiated) == (
        "v=0\r\no=- 4711 1 IN IP4 198.51.100.7\r\ns=Ringback\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"
        "m=audio 20000 RTP/AVP 8 0 96\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:0 PCMU/8000\r\n"
        "a=rtpmap:96 telephone-event/8000\r\na=fmtp:96 0-15\r\na=ptime:30\r\na=sendrecv\r\n"
    )
    assert negotiated.remote_address == ("192.0.2.1", 4000)
    assert negotiated.send_codec == PayloadFormat("PCMA", 8)
    assert negotiated.receive_codecs == (
        PayloadFormat("PCMA", 8),
        PayloadFormat("PCMU", 0),
        PayloadFormat("telephone-event", 96),
    )
    assert (negotiated.dtmf_payload_type, negotiated.ptime_ms) == (96, 30)
    assert negotiated.direction is Direction.SENDRECV
    assert not negotiated.is_refresh


def test_peer_order_among_ours_decides_unless_ours_shall() -> None:
    lines = ("m=audio 4000 RTP/AVP 9 8 3 0",)
    assert answered(*lines).send_codec == PayloadFormat("PCMA", 8)
    ours = replace(LOCAL, preference=Preference.OURS)
    assert answered(*lines, local=ours).send_codec == PayloadFormat("PCMU", 0)
    assert audio_of(answered(*lines, local=ours)).formats == ("0", "8")


def test_codec_we_do_not_want_is_left_out() -> None:
    negotiated = answered("m=audio 4000 RTP/AVP 0 8", local=replace(LOCAL, codecs=("pcma",)))
    assert audio_of(negotiated).formats == ("8",)
    assert [codec.name for codec in negotiated.receive_codecs] == ["PCMA"]


def test_static_types_need_no_rtpmap_and_names_have_no_case() -> None:
    assert answered("m=audio 4000 RTP/AVP 0").send_codec == PayloadFormat("PCMU", 0)
    assert answered("m=audio 4000 RTP/AVP 0", "a=RTPMAP:0 pcmu/8000").send_codec == PayloadFormat("PCMU", 0)


def test_dynamic_number_for_our_codec_is_used_as_offered() -> None:
    negotiated = answered("m=audio 4000 RTP/AVP 97 101", "a=rtpmap:97 PCMU/8000", DTMF)
    assert negotiated.send_codec == PayloadFormat("PCMU", 97)
    assert audio_of(negotiated).formats == ("97", "101")


def test_one_codec_under_two_numbers_is_answered_once_and_decoded_twice() -> None:
    negotiated = answered("m=audio 4000 RTP/AVP 97 0", "a=rtpmap:97 PCMU/8000")
    assert audio_of(negotiated).formats == ("97",)
    assert negotiated.receive_codecs == (PayloadFormat("PCMU", 97), PayloadFormat("PCMU", 0))


@pytest.mark.parametrize(
    "line", ["a=rtpmap:97 PCMU/16000", "a=rtpmap:97 PCMU/8000/2", "a=rtpmap:97 telephone-event/8000", "a=x"]
)
def test_what_is_not_our_codec_is_no_common_codec(line: str) -> None:
    with pytest.raises(NoCommonCodec):
        answered("m=audio 4000 RTP/AVP 97", line)


def test_telephone_event_at_another_clock_is_left_out() -> None:
    negotiated = answered("m=audio 4000 RTP/AVP 0 100", "a=rtpmap:100 telephone-event/48000")
    assert negotiated.dtmf_payload_type is None
    assert audio_of(negotiated).formats == ("0",)


@pytest.mark.parametrize("events", ["a=fmtp:101 0-16", "a=fmtp:101 0-15", "a=fmtp:101 0-11,66,70", "a=x"])
def test_telephone_event_means_all_digits_whatever_is_listed(events: str) -> None:
    negotiated = answered("m=audio 4000 RTP/AVP 0 101", DTMF, events)
    assert negotiated.dtmf_payload_type == 101
    assert "a=fmtp:101 0-15\r\n" in text_of(negotiated)


@pytest.mark.parametrize(
    ("lines", "ptime_ms"),
    [
        ((), 20),
        (("a=ptime:10",), 10),
        (("a=ptime:40",), 40),
        (("a=ptime:60",), 40),
        (("a=ptime:25",), 20),
        (("a=ptime:5",), 10),
        (("a=ptime:0",), 20),
        (("a=maxptime:10",), 10),
        (("a=ptime:40", "a=maxptime:30"), 30),
        (("a=ptime:20", "a=maxptime:150"), 20),
        (("a=maxptime:1",), 10),
    ],
)
def test_packet_time_follows_the_peer_within_our_bounds(lines: tuple[str, ...], ptime_ms: int) -> None:
    negotiated = answered("m=audio 4000 RTP/AVP 0", *lines)
    assert negotiated.ptime_ms == ptime_ms
    assert f"a=ptime:{ptime_ms}\r\n" in text_of(negotiated)


@pytest.mark.parametrize(
    ("offered", "ours"),
    [
        ("sendrecv", Direction.SENDRECV),
        ("sendonly", Direction.RECVONLY),
        ("recvonly", Direction.SENDONLY),
        ("inactive", Direction.INACTIVE),
    ],
)
def test_direction_is_answered_from_our_side(offered: str, ours: Direction) -> None:
    at_media = answered("m=audio 4000 RTP/AVP 0", f"a={offered}")
    at_session = answered(f"a={offered}", "m=audio 4000 RTP/AVP 0")
    assert at_media.direction is at_session.direction is ours
    assert audio_of(at_media).direction is ours
    over_session = answered("a=inactive", "m=audio 4000 RTP/AVP 0", f"a={offered}")
    assert over_session.direction is ours


@pytest.mark.parametrize(
    ("host", "direction", "ours"),
    [
        ("0.0.0.0", "sendrecv", Direction.RECVONLY),
        ("0.0.0.0", "sendonly", Direction.RECVONLY),
        ("0.0.0.0", "inactive", Direction.INACTIVE),
        ("0.0.0.0", "recvonly", Direction.INACTIVE),
        ("::", "sendrecv", Direction.RECVONLY),
    ],
)
def test_address_zero_is_hold(host: str, direction: str, ours: Direction) -> None:
    negotiated = answered("m=audio 4000 RTP/AVP 0", f"a={direction}", host=host)
    assert negotiated.direction is ours
    assert negotiated.remote_address is None
    assert audio_of(negotiated).port == 20_000


def test_our_own_hold_limits_the_answer() -> None:
    negotiated = answered("m=audio 4000 RTP/AVP 0", local=replace(LOCAL, direction=Direction.SENDONLY))
    assert negotiated.direction is Direction.SENDONLY


def test_media_address_wins() -> None:
    negotiated = answered("m=audio 4000 RTP/AVP 0", "c=IN IP4 203.0.113.5")
    assert negotiated.remote_address == ("203.0.113.5", 4000)
    held = answered("m=audio 4000 RTP/AVP 0", "c=IN IP4 203.0.113.5", host="0.0.0.0")
    assert held.direction is Direction.SENDRECV


def test_ipv6_is_answered_with_ipv6() -> None:
    negotiated = answered("m=audio 4000 RTP/AVP 0", local=replace(LOCAL, host="2001:db8::7"), host="2001:db8::1")
    assert negotiated.remote_address == ("2001:db8::1", 4000)
    assert "c=IN IP6 2001:db8::7\r\n" in text_of(negotiated)


@pytest.mark.parametrize("profile", ["RTP/AVP", "RTP/AVPF", "rtp/avp"])
def test_answer_repeats_the_profile(profile: str) -> None:
    assert audio_of(answered(f"m=audio 4000 {profile} 0")).protocol == profile


@pytest.mark.parametrize("profile", ["RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVPF", "TCP/RTP/AVP", "udptl"])
def test_other_profiles_are_refused(profile: str) -> None:
    with pytest.raises(NoCommonProfile, match=f"found profile {profile}"):
        answered(f"m=audio 4000 {profile} 0", "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:x")


def test_clear_line_is_taken_beside_an_encrypted_one() -> None:
    negotiated = answered("m=audio 4002 RTP/SAVP 0", "m=audio 4000 RTP/AVP 8")
    assert negotiated.local_sdp is not None
    assert [(media.port, media.protocol) for media in negotiated.local_sdp.media] == [
        (0, "RTP/SAVP"),
        (20_000, "RTP/AVP"),
    ]
    assert negotiated.remote_address == ("192.0.2.1", 4000)


def test_other_lines_are_refused_in_their_place_with_one_format() -> None:
    negotiated = answered(
        "m=video 5000 RTP/AVP 34 99",
        "m=audio 4000 RTP/AVP 0",
        "m=image 6000 udptl t38",
        "m=message 7000 TCP/MSRP *",
        "m=audio 8000 RTP/AVP 0 8",
    )
    assert [line for line in text_of(negotiated).split("\r\n") if line.startswith("m=")] == [
        "m=video 0 RTP/AVP 34",
        "m=audio 20000 RTP/AVP 0",
        "m=image 0 udptl t38",
        "m=message 0 TCP/MSRP *",
        "m=audio 0 RTP/AVP 0",
    ]


def test_refusal_of_a_line_without_formats_names_one() -> None:
    assert "m=video 0 RTP/AVP 0\r\n" in text_of(answered("m=video 5000 RTP/AVP", "m=audio 4000 RTP/AVP 0"))


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (("m=audio 4000 RTP/AVP 18 4 96", "a=rtpmap:96 opus/48000/2"), "G729/8000, G723/8000, opus/48000"),
        (("m=audio 4000 RTP/AVP 120 x",), "type 120, type x"),
        (("m=audio 4000 RTP/AVP",), "no format"),
        (("m=video 4000 RTP/AVP 34",), "found video"),
        (("m=audio 0 RTP/AVP 0",), "found audio"),
        ((), "found nothing"),
    ],
)
def test_no_common_codec_names_what_was_found(lines: tuple[str, ...], found: str) -> None:
    with pytest.raises(NoCommonCodec, match=found) as caught:
        answered(*lines)
    assert caught.value.sip_status == 488
    assert not isinstance(caught.value, NoCommonProfile)


@pytest.mark.parametrize("host", ["224.2.1.1", "255.255.255.255", "ff02::1"])
def test_audio_to_many_is_refused(host: str) -> None:
    with pytest.raises(MalformedSdp, match="unicast"):
        answered("m=audio 4000 RTP/AVP 0", host=host)


def test_audio_without_address_is_refused() -> None:
    offer = parse_sdp(b"v=0\no=- 1 1 IN IP4 h\nm=audio 4000 RTP/AVP 0\n")
    with pytest.raises(MalformedSdp, match="unicast"):
        answer_offer(FRESH, LOCAL, offer)


def test_name_as_address_is_passed_on() -> None:
    assert answered("m=audio 4000 RTP/AVP 0", host="media.example.net").remote_address == ("media.example.net", 4000)


def test_check_offer_says_where_audio_goes_or_why_not() -> None:
    assert check_offer(("PCMU",), sdp("m=audio 4000 RTP/AVP 0", "c=IN IP6 2001:db8::1")) == "2001:db8::1"
    with pytest.raises(NoCommonCodec):
        check_offer(("PCMU",), sdp("m=audio 4000 RTP/AVP 8"))


# Later offers of the peer.

FIRST = ("m=audio 4000 RTP/AVP 0 8 101", DTMF)


def test_refresh_gets_the_same_answer_and_version() -> None:
    first = answered(*FIRST)
    again = answer_offer(first.state, LOCAL, sdp(*FIRST))
    assert again.local_sdp == first.local_sdp
    assert again.is_refresh
    assert replace(again, is_refresh=False) == first


def test_offer_with_the_old_version_but_other_content_is_negotiated() -> None:
    first = answered(*FIRST)
    held = answer_offer(first.state, LOCAL, sdp(*FIRST, "a=sendonly"))
    assert held.direction is Direction.RECVONLY
    assert not held.is_refresh


def test_version_grows_exactly_with_our_changes() -> None:
    versions = []
    negotiated = answered(*FIRST)
    steps: list[tuple[str, ...]] = [
        FIRST,  # a new version of theirs, nothing changed for us
        (*FIRST, "a=sendonly"),  # hold: our direction changes
        (*FIRST, "a=sendonly"),
        FIRST,  # resume
        ("m=audio 4002 RTP/AVP 0 8 101", DTMF),  # their port only
        ("m=audio 4002 RTP/AVP 8", "c=IN IP4 192.0.2.9"),  # codec and address
    ]
    for number, lines in enumerate(steps, start=2):
        negotiated = answer_offer(negotiated.state, LOCAL, sdp(*lines, version=number))
        assert negotiated.local_sdp is not None
        assert negotiated.local_sdp.origin.session_id == "4711"
        versions.append(negotiated.local_sdp.origin.version)
    assert versions == ["1", "2", "2", "3", "3", "4"]
    assert negotiated.send_codec == PayloadFormat("PCMA", 8)
    assert negotiated.remote_address == ("192.0.2.9", 4002)


def test_hold_and_resume_by_each_way() -> None:
    state = answered(*FIRST).state
    for hold in (sdp(*FIRST, "a=sendonly"), sdp(*FIRST, "a=inactive"), sdp(*FIRST, host="0.0.0.0")):
        held = answer_offer(state, LOCAL, hold)
        assert not held.direction.sends
        resumed = answer_offer(held.state, LOCAL, sdp(*FIRST))
        assert resumed.direction is Direction.SENDRECV
        assert resumed.remote_address == ("192.0.2.1", 4000)
        state = resumed.state


def test_port_zero_later_means_the_stream_is_gone() -> None:
    first = answered(*FIRST)
    stopped = answer_offer(first.state, LOCAL, sdp("m=audio 0 RTP/AVP 0", version=2))
    assert stopped.send_codec is None
    assert stopped.remote_address is None
    assert stopped.direction is Direction.INACTIVE
    assert "m=audio 0 RTP/AVP 0\r\n" in text_of(stopped)
    back = answer_offer(stopped.state, LOCAL, sdp(*FIRST, version=3))
    assert back.send_codec == PayloadFormat("PCMU", 0)


def test_failed_offer_leaves_the_state_usable() -> None:
    first = answered(*FIRST)
    with pytest.raises(NoCommonCodec):
        answer_offer(first.state, LOCAL, sdp("m=audio 4000 RTP/AVP 18", version=2))
    assert answer_offer(first.state, LOCAL, sdp(*FIRST)).is_refresh


def test_the_line_in_use_is_kept_when_another_becomes_possible() -> None:
    first = answered("m=audio 4002 RTP/SAVP 0", "m=audio 4000 RTP/AVP 0")
    again = answer_offer(first.state, LOCAL, sdp("m=audio 4002 RTP/AVP 0", "m=audio 4000 RTP/AVP 0", version=2))
    assert again.remote_address == ("192.0.2.1", 4000)


def test_added_line_is_refused() -> None:
    first = answered(*FIRST)
    again = answer_offer(first.state, LOCAL, sdp(*FIRST, "m=video 5000 RTP/AVP 34", version=2))
    assert "m=video 0 RTP/AVP 34\r\n" in text_of(again)


# Offering.


def test_our_offer_names_everything_we_speak() -> None:
    state, offer = make_offer(FRESH, LOCAL)
    assert offer.to_bytes().decode() == (
        "v=0\r\no=- 4711 1 IN IP4 198.51.100.7\r\ns=Ringback\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"
        "m=audio 20000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
        "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na=ptime:20\r\na=sendrecv\r\n"
    )
    assert state.local == offer


def test_offer_follows_our_order_and_packet_time() -> None:
    _, offer = make_offer(FRESH, replace(LOCAL, codecs=("PCMA", "G722", "PCMU"), ptime_ms=30))
    assert offer.media[0].formats == ("8", "0", "101")
    assert offer.media[0].milliseconds("ptime") == 30


def after_answer(*lines: str, host: str = "192.0.2.1") -> Negotiated:
    """Return the outcome of an answer of these lines to our first offer."""
    state, _ = make_offer(FRESH, LOCAL)
    return apply_answer(state, LOCAL, sdp(*lines, host=host))


def test_answer_decides_what_we_send_and_all_offered_is_decoded() -> None:
    negotiated = after_answer("m=audio 4000 RTP/AVP 8 101", DTMF, "a=ptime:40")
    assert negotiated.local_sdp is None
    assert negotiated.send_codec == PayloadFormat("PCMA", 8)
    assert negotiated.receive_codecs == (
        PayloadFormat("PCMU", 0),
        PayloadFormat("PCMA", 8),
        PayloadFormat("telephone-event", 101),
    )
    assert (negotiated.dtmf_payload_type, negotiated.ptime_ms) == (101, 40)
    assert negotiated.remote_address == ("192.0.2.1", 4000)


def test_answer_with_another_number_for_telephone_event() -> None:
    negotiated = after_answer("m=audio 4000 RTP/AVP 0 96", "a=rtpmap:96 telephone-event/8000")
    assert negotiated.dtmf_payload_type == 96
    numbers = [codec.payload_type for codec in negotiated.receive_codecs if codec.name == "telephone-event"]
    assert numbers == [101, 96]


def test_answer_without_rtpmap_means_our_offer() -> None:
    assert after_answer("m=audio 4000 RTP/AVP 0 101").dtmf_payload_type == 101


def test_answer_without_telephone_event() -> None:
    assert after_answer("m=audio 4000 RTP/AVP 0").dtmf_payload_type is None


@pytest.mark.parametrize(
    ("attribute", "direction"),
    [("sendonly", Direction.RECVONLY), ("recvonly", Direction.SENDONLY), ("inactive", Direction.INACTIVE)],
)
def test_direction_of_an_answer(attribute: str, direction: Direction) -> None:
    assert after_answer("m=audio 4000 RTP/AVP 0", f"a={attribute}").direction is direction


def test_answer_at_address_zero_is_hold() -> None:
    held = after_answer("m=audio 4000 RTP/AVP 0", host="0.0.0.0")
    assert (held.direction, held.remote_address) == (Direction.RECVONLY, None)


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        (("m=audio 0 RTP/AVP 0",), NoCommonCodec),
        ((), NoCommonCodec),
        (("m=video 4000 RTP/AVP 34",), NoCommonCodec),
        (("m=audio 4000 RTP/AVP 18",), NoCommonCodec),
        (("m=audio 4000 RTP/AVP 101", DTMF), NoCommonCodec),
        (("m=audio 4000 RTP/SAVP 0",), NoCommonProfile),
        (("m=audio 4000 RTP/AVP 0", "c=IN IP4 224.0.0.9"), MalformedSdp),
    ],
)
def test_useless_answers(lines: tuple[str, ...], error: type[RingbackError]) -> None:
    with pytest.raises(error):
        after_answer(*lines)


def test_answer_with_extra_or_moved_lines_is_read() -> None:
    negotiated = after_answer("m=video 0 RTP/AVP 34", "m=audio 4000 RTP/AVP 0")
    assert negotiated.remote_address == ("192.0.2.1", 4000)


def test_answer_without_an_offer_is_malformed() -> None:
    with pytest.raises(MalformedSdp, match="without an offer"):
        apply_answer(FRESH, LOCAL, sdp("m=audio 4000 RTP/AVP 0"))


def test_second_answer_to_one_offer_replaces_the_first() -> None:
    state, _ = make_offer(FRESH, LOCAL)
    early = apply_answer(state, LOCAL, sdp("m=audio 4000 RTP/AVP 8"))
    final = apply_answer(early.state, LOCAL, sdp("m=audio 4002 RTP/AVP 0", host="192.0.2.9"))
    assert final.remote_address == ("192.0.2.9", 4002)
    assert final.send_codec == PayloadFormat("PCMU", 0)


def test_later_offer_of_ours_keeps_lines_numbers_and_profile() -> None:
    first = answered("m=video 5000 RTP/AVP 34", "m=audio 4000 RTP/AVPF 8 96", "a=rtpmap:96 telephone-event/8000")
    state, offer = make_offer(first.state, LOCAL)
    lines = [line for line in offer.to_bytes().decode().split("\r\n") if line.startswith(("m=", "o="))]
    assert lines == [
        "o=- 4711 2 IN IP4 198.51.100.7",
        "m=video 0 RTP/AVP 34",
        "m=audio 20000 RTP/AVPF 0 8 96",
    ]
    concluded = apply_answer(state, LOCAL, sdp("m=video 0 RTP/AVP 34", "m=audio 4000 RTP/AVPF 0"))
    assert concluded.send_codec == PayloadFormat("PCMU", 0)


def test_offer_after_a_stream_was_refused_uses_a_clear_profile() -> None:
    first = answered("m=audio 4002 RTP/SAVP 0", "m=audio 4000 RTP/AVP 0")
    stopped = answer_offer(first.state, LOCAL, sdp("m=audio 0 RTP/SAVP 0", "m=audio 0 RTP/AVP 0", version=2))
    _, offer = make_offer(stopped.state, LOCAL)
    assert [(media.port, media.protocol) for media in offer.media] == [(20_000, "RTP/AVP"), (0, "RTP/AVP")]


def test_offer_after_a_session_without_audio_adds_a_line() -> None:
    video = replace(FRESH, local=SessionDescription(sdp().origin, (Media("video", 0, "RTP/AVP", ("34",)),)))
    _, offer = make_offer(video, LOCAL)
    assert [media.kind for media in offer.media] == ["video", "audio"]


def test_both_sides_of_an_exchange_agree() -> None:
    peer = LocalAudio("192.0.2.1", 4000, ("PCMA",))
    state, offer = make_offer(FRESH, LOCAL)
    theirs = answer_offer(SdpState("99"), peer, parse_sdp(offer.to_bytes()))
    assert theirs.local_sdp is not None
    ours = apply_answer(state, LOCAL, parse_sdp(theirs.local_sdp.to_bytes()))
    assert ours.send_codec == theirs.send_codec == PayloadFormat("PCMA", 8)
    assert ours.dtmf_payload_type == theirs.dtmf_payload_type
    assert (ours.remote_address, theirs.remote_address) == (("192.0.2.1", 4000), ("198.51.100.7", 20_000))


# Anything a peer may write.

_SDP_LINES = st.one_of(
    st.sampled_from(
        [
            "m=audio 4000 RTP/AVP 0 8 101", "m=audio 4 RTP/AVP 96 9999 x 127", "m=audio 0 RTP/AVP 0", "m=audio 9 X 0",
            "m=video 1 RTP/AVP 34", "m=audio 4000 RTP/AVPF 0", "a=rtpmap:96 PCMU/8000", "a=rtpmap:0 x/1", "a=sendonly",
            "a=inactive", "a=recvonly", "c=IN IP4 0.0.0.0", "c=IN IP6 ::1", "c=IN IP4 224.0.0.1", "c=IN IP4 name",
            "a=ptime:1", "a=ptime:99999", "a=maxptime:0", "a=rtpmap:101 telephone-event/8000", "a=rtpmap:96 x/y/z",
        ]
    ),
    st.builds("a={}:{}".format, st.sampled_from(["rtpmap", "fmtp", "ptime", "maxptime"]), st.text(max_size=20)),
)  # fmt: skip


@given(st.lists(st.lists(_SDP_LINES, max_size=12), min_size=1, max_size=4), st.booleans())
def test_any_sequence_of_offers_and_answers_yields_a_result_or_our_error(
    descriptions: list[list[str]], we_offer: bool
) -> None:
    state = FRESH
    for lines in descriptions:
        text = "\n".join(["v=0", "o=- 1 1 IN IP4 h", "c=IN IP4 192.0.2.1", *lines]).encode("utf-8", "replace")
        try:
            remote = parse_sdp(text)
            if we_offer:
                state, _ = make_offer(state, LOCAL)
                negotiated = apply_answer(state, LOCAL, remote)
            else:
                negotiated = answer_offer(state, LOCAL, remote)
        except (NoCommonCodec, MalformedSdp):
            continue
        state = negotiated.state
        assert negotiated.ptime_ms in (10, 20, 30, 40)
        if negotiated.local_sdp is not None:
            assert len(negotiated.local_sdp.media) == len(remote.media)
            assert sum(1 for media in negotiated.local_sdp.media if media.port) <= 1
            assert parse_sdp(negotiated.local_sdp.to_bytes()) == negotiated.local_sdp
        if negotiated.send_codec is not None:
            assert negotiated.send_codec in negotiated.receive_codecs
