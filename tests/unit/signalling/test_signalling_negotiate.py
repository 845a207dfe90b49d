"""From an SDP exchange to what a worker is told."""

from __future__ import annotations

import pytest
from tests.support.fake_sip import OFFER

from ringback.ids import CommandId, SessionId
from ringback.media.control.commands import SetRemote
from ringback.media.control.values import Address, Codec, LatchPolicy, MediaDirection
from ringback.numbers.trunks import NatMode
from ringback.sdp.errors import NoCommonProfile
from ringback.sdp.negotiate import LocalAudio, Negotiated, SdpState, answer_offer
from ringback.sdp.parser import parse_sdp
from ringback.signalling.negotiate import bind_host, is_same_remote, local_audio, remote_of
from ringback.signalling.settings import SignallingSettings

LOCAL = LocalAudio("127.0.0.1", 20_000)
SETTINGS = SignallingSettings(
    media_host="192.168.1.5", media_host_v6="2001:db8::5", advertised_media_host="198.51.100.7"
)


def exchange(offer: bytes = OFFER, state: SdpState | None = None) -> Negotiated:
    """Return the outcome of an offer."""
    return answer_offer(state or SdpState("1"), LOCAL, parse_sdp(offer))


def command(
    negotiated: Negotiated,
    *,
    host: str = "127.0.0.1",
    nat: NatMode = NatMode.AUTO,
    previous: SetRemote | None = None,
) -> SetRemote:
    """Return the worker's command."""
    made = remote_of(
        negotiated,
        command_id=CommandId("c"),
        session_id=SessionId("s"),
        signalling_host=host,
        nat=nat,
        previous=previous,
    )
    assert made is not None
    return made


def test_everything_is_passed_on() -> None:
    assert command(exchange(OFFER + b"a=sendonly\r\n")) == SetRemote(
        command_id=CommandId("c"),
        session_id=SessionId("s"),
        address=Address("127.0.0.1", 40_000),
        codec=Codec("PCMA", 8),
        receive_codecs=(Codec("PCMA", 8), Codec("PCMU", 0), Codec("telephone-event", 96)),
        dtmf_payload_type=96,
        ptime_ms=20,
        direction=MediaDirection.RECVONLY,
        latch=LatchPolicy.SIGNALLED,
        signalling_host="127.0.0.1",
    )


def test_no_telephone_event_is_minus_one() -> None:
    assert command(exchange(OFFER.replace(b" 96\r\n", b"\r\n", 1))).dtmf_payload_type == -1


def offer_at(host: str) -> bytes:
    """Return the offer with another media address."""
    return OFFER.replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 " + host.encode())


@pytest.mark.parametrize(
    ("host", "source", "nat", "latch"),
    [
        ("10.0.0.9", "203.0.113.5", NatMode.AUTO, LatchPolicy.NAT),
        ("10.0.0.9", "10.0.0.9", NatMode.AUTO, LatchPolicy.SIGNALLED),
        ("203.0.113.9", "203.0.113.5", NatMode.AUTO, LatchPolicy.SIGNALLED),
        ("198.18.0.1", "198.18.0.1", NatMode.ALWAYS, LatchPolicy.NAT),
        ("10.0.0.9", "203.0.113.5", NatMode.NEVER, LatchPolicy.SIGNALLED),
        ("0.0.0.0", "203.0.113.5", NatMode.AUTO, LatchPolicy.NAT),
    ],
)
def test_latching_follows_address_and_trunk(host: str, source: str, nat: NatMode, latch: LatchPolicy) -> None:
    assert command(exchange(offer_at(host)), host=source, nat=nat).latch is latch


def test_name_in_the_sdp_becomes_the_signalling_address() -> None:
    made = command(exchange(offer_at("media.example.net")), host="203.0.113.5")
    assert (made.address, made.latch) == (Address("203.0.113.5", 40_000), LatchPolicy.NAT)


def test_hold_by_zero_address_keeps_the_last_one() -> None:
    first = exchange()
    before = command(first)
    held = command(exchange(offer_at("0.0.0.0"), first.state), previous=before)
    assert (held.address, held.direction) == (before.address, MediaDirection.RECVONLY)


def test_stopped_stream_keeps_everything_but_the_direction() -> None:
    first = exchange()
    before = command(first)
    stopped = exchange(OFFER.replace(b"m=audio 40000", b"m=audio 0"), first.state)
    after = command(stopped, previous=before)
    assert (after.address, after.codec, after.direction) == (before.address, before.codec, MediaDirection.INACTIVE)
    nothing = remote_of(stopped, command_id=CommandId("c"), session_id=SessionId("s"), signalling_host="127.0.0.1")
    assert nothing is None


def test_same_remote_ignores_the_command_id() -> None:
    one = command(exchange())
    other = remote_of(exchange(), command_id=CommandId("d"), session_id=SessionId("s"), signalling_host="127.0.0.1")
    assert other is not None
    assert is_same_remote(one, other)
    assert not is_same_remote(None, other)
    assert not is_same_remote(command(exchange(offer_at("127.0.0.9"))), other)


def test_address_family_decides_where_rtp_is_bound() -> None:
    assert bind_host(SETTINGS, "203.0.113.5") == bind_host(SETTINGS, "media.example.net") == "192.168.1.5"
    assert bind_host(SETTINGS, "2001:db8::9") == "2001:db8::5"
    with pytest.raises(NoCommonProfile, match="IPv6"):
        bind_host(SignallingSettings(), "2001:db8::9")


@pytest.mark.parametrize(
    ("bound", "peer", "written"),
    [
        ("192.168.1.5", "203.0.113.5", "198.51.100.7"),
        ("192.168.1.5", "192.168.1.77", "192.168.1.5"),
        ("192.168.1.5", "127.0.0.1", "192.168.1.5"),
        ("192.168.1.5", "", "198.51.100.7"),
        ("2001:db8::5", "2001:db8::9", "2001:db8::5"),
    ],
)
def test_public_address_is_written_for_peers_outside(bound: str, peer: str, written: str) -> None:
    audio = local_audio(SETTINGS, ("PCMU",), Address(bound, 20_000), peer)
    assert (audio.host, audio.port, audio.codecs) == (written, 20_000, ("PCMU",))


@pytest.mark.parametrize(
    ("peer", "advertised", "written"),
    [
        ("203.0.113.5", "", "198.51.100.7"),
        ("10.0.0.9", "192.0.2.44", "198.51.100.7"),
        ("203.0.113.5", "192.0.2.44", "192.0.2.44"),
        ("127.0.0.1", "", "127.0.0.1"),
    ],
)
def test_an_unspecified_address_is_never_written_into_sdp(peer: str, advertised: str, written: str) -> None:
    settings = SignallingSettings(
        media_host="0.0.0.0", visible_media_host="198.51.100.7", advertised_media_host=advertised
    )
    assert local_audio(settings, ("PCMU",), Address("0.0.0.0", 20_000), peer).host == written
