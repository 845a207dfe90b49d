"""The registry: who gets a leg, what a leg is told of the INVITE, and that nothing is left behind."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
from tests.support.fake_sip import ANSWER, OFFER, invite_request, received, response
from tests.support.legs_on_fakes import LegsOnFakes

from ringback.errors import InvalidParameter
from ringback.machine import SECOND, Instant
from ringback.media.control.commands import OpenSession, SetRemote
from ringback.media.control.values import LatchPolicy
from ringback.numbers.trunks import Gateway, NatMode, Trunk
from ringback.sdp.parser import parse_sdp
from ringback.signalling.errors import TooManyLegs
from ringback.signalling.events import DialRequest, LegEndKind
from ringback.signalling.legs import Legs
from ringback.signalling.settings import SignallingSettings, StrangerPolicy
from ringback.signalling.sip_leg import SipLeg
from ringback.sip.endpoint import (
    Answered,
    CancelReceived,
    EndDetail,
    InviteEnded,
    InviteId,
    OutboundInvite,
    Refused,
    Target,
    Transport,
)
from ringback.sip.flow import Flow

TRUNK = Trunk("acme", allowed_addresses=("203.0.113.0/24",), codecs=("PCMU",), max_calls=1, nat=NatMode.ALWAYS)


async def test_incoming_call_knows_its_parties_and_headers() -> None:
    world = LegsOnFakes()
    request = invite_request(("x-ph-Order", "7"), ("X-PH-Plivo", "no"), ("Diversion", "<sip:+15553334444@host>"))
    leg = world.call_in(received(request))
    assert (leg.caller, leg.callee, leg.caller_name) == ("15557654321", "15550001000", "Ann")
    assert (leg.diverted_from, leg.source_host, leg.trunk_name) == ("15553334444", "127.0.0.1", "")
    assert leg.custom_headers == (("X-PH-Order", "7"),)
    assert ("Contact", "<sip:ann@127.0.0.1:5070>") in leg.sip_headers
    assert len(leg.call_uuid) == 36
    assert leg.direction.value == "inbound"
    assert world.legs.live() == (leg,)
    await leg.hangup()
    await world.assert_nothing_left()


async def test_owner_may_name_the_call() -> None:
    world = LegsOnFakes()

    def take(leg: SipLeg) -> None:
        leg.call_uuid = "another"
        world.incoming.append(leg)

    world.legs.on_incoming = take
    leg = world.call_in()
    assert world.legs.call_uuid_of("in-1") == "another"
    await leg.ring()
    assert world.sip.last.header("X-CallUUID") == "another"
    await leg.hangup()


async def test_trunk_call_uses_the_trunks_codecs_latching_and_trust() -> None:
    world = LegsOnFakes(trunks=(TRUNK,))
    request = invite_request(("P-Asserted-Identity", "<tel:+15551112222>"))
    leg = world.call_in(received(request, source_host="203.0.113.5"))
    assert (leg.caller, leg.trunk_name, leg.source_host) == ("15551112222", "acme", "203.0.113.5")
    await leg.answer()
    assert parse_sdp(world.sip.last.sdp or b"").media[0].formats == ("0", "96")
    (remote,) = world.media.of_type(SetRemote)
    assert (remote.latch, remote.signalling_host) == (LatchPolicy.NAT, "203.0.113.5")
    assert world.legs.live_of_trunk() == {"acme": 1}
    await leg.hangup()
    await world.assert_nothing_left()


async def test_trunk_that_is_full_gets_503() -> None:
    world = LegsOnFakes(trunks=(TRUNK,))
    leg = world.call_in(received(source_host="203.0.113.5"))
    world.legs.handle_sip_event(received(source_host="203.0.113.5", invite_id="in-2"))
    assert (world.sip.last.verb, world.sip.last.invite_id, world.sip.last.status) == ("reject", "in-2", 503)
    with pytest.raises(TooManyLegs, match="trunk-full"):
        world.dial(DialRequest(call_uuid="u", request_uri="sip:b@127.0.0.1", from_uri="1", trunk_name="acme"))
    await leg.hangup()


async def test_strangers_are_dropped_or_forbidden_without_a_trace_of_a_leg() -> None:
    world = LegsOnFakes()
    world.legs.handle_sip_event(received(source_host="198.51.100.1"))
    assert world.sip.last.verb == "drop"
    forbidding = LegsOnFakes(SignallingSettings(strangers=StrangerPolicy.FORBID))
    forbidding.legs.handle_sip_event(received(source_host="198.51.100.1"))
    assert (forbidding.sip.last.verb, forbidding.sip.last.status) == ("reject", 403)
    for each in (world, forbidding):
        assert each.incoming == []
        assert each.facts.rows == []
        await each.assert_nothing_left()
    assert world.legs.refusals == {"drop": 1}
    assert not world.legs.may_call("198.51.100.1")
    assert world.legs.may_call("127.0.0.1")


async def test_legs_are_bounded_in_both_directions() -> None:
    world = LegsOnFakes(SignallingSettings(maximum_legs=2, retry_after_s=7))
    first = world.call_in()
    second = await world.dialled()
    world.legs.handle_sip_event(received(invite_id="in-2"))
    assert (world.sip.last.status, world.sip.last.header("retry-after")) == (503, "7")
    with pytest.raises(TooManyLegs, match="found 2 live legs"):
        world.dial()
    assert world.legs.live_count == 2
    assert world.legs.refusals == {"full": 2}
    await first.hangup()
    third = world.call_in(received(invite_id="in-3"))
    await asyncio.gather(second.hangup(), third.hangup())
    await world.assert_nothing_left()


async def test_draining_refuses_new_legs_and_keeps_live_ones() -> None:
    world = LegsOnFakes()
    leg = await world.answered_in()
    world.legs.drain()
    world.legs.handle_sip_event(received(invite_id="in-2"))
    assert world.sip.last.status == 503
    with pytest.raises(TooManyLegs, match="draining"):
        world.dial()
    assert leg.is_answered
    await world.legs.close()
    assert world.end_of(leg).kind is LegEndKind.LOCAL_HANGUP
    await world.assert_nothing_left()


@pytest.mark.parametrize(
    ("offer", "status", "words"),
    [
        (b"junk", 400, "found no v=0 line"),
        (OFFER.replace(b"RTP/AVP 8 0 96", b"RTP/AVP 18"), 488, "found codecs G729/8000, expected one of PCMU, PCMA"),
        (OFFER.replace(b"RTP/AVP", b"RTP/SAVP"), 488, "found profile RTP/SAVP"),
        (OFFER.replace(b"IN IP4", b"IN IP6").replace(b"127.0.0.1", b"::1"), 488, "IPv6"),
        (OFFER.replace(b"m=audio 40000", b"m=audio 0"), 488, "expected live audio"),
    ],
)
async def test_offer_that_cannot_be_answered_is_refused_at_once_and_says_why(
    offer: bytes, status: int, words: str
) -> None:
    world = LegsOnFakes()
    world.legs.handle_sip_event(received(offer=offer))
    assert (world.sip.last.verb, world.sip.last.status) == ("reject", status)
    assert words in (world.sip.last.header("warning") or "")
    assert world.incoming == []
    (fact,) = world.facts.of("leg", "refused")
    assert words in str(fact["detail"])
    assert world.legs.call_uuid_of("in-1") == world.facts.rows[0][0]
    world.legs.handle_sip_event(InviteEnded(InviteId("in-1")))
    assert world.legs.call_uuid_of("in-1") is None
    await world.assert_nothing_left()


async def test_ipv6_call_gets_an_ipv6_port() -> None:
    world = LegsOnFakes(SignallingSettings(media_host_v6="::1"))
    offer = OFFER.replace(b"IN IP4", b"IN IP6").replace(b"127.0.0.1", b"::1")
    leg = await world.answered_in(received(offer=offer, source_host="::1"))
    assert world.media.of_type(OpenSession)[0].local_host == "::1"
    assert b"c=IN IP6 ::1" in (world.sip.last.sdp or b"")
    await leg.hangup()


async def test_call_that_nobody_takes_is_refused() -> None:
    world = LegsOnFakes()
    world.legs = Legs(world.sip, world.media, world.facts, SignallingSettings())
    world.legs.handle_sip_event(received())
    assert (world.sip.last.verb, world.sip.last.status) == ("reject", 480)
    await world.assert_nothing_left()


async def test_owner_that_fails_costs_one_call() -> None:
    world = LegsOnFakes()

    def broken(leg: SipLeg) -> None:
        raise ZeroDivisionError

    world.legs.on_incoming = broken
    world.legs.handle_sip_event(received())
    assert (world.sip.last.verb, world.sip.last.status) == ("reject", 500)
    await world.assert_nothing_left()


@pytest.mark.parametrize(
    "request_",
    [
        DialRequest(call_uuid="u", request_uri="sip:b@127.0.0.1", from_uri="1", headers=(("X-A", "1\r\nB: 2"),)),
        DialRequest(call_uuid="u", request_uri="sip:b@127.0.0.1", from_uri="1", headers=(("Via", "x"),)),
        DialRequest(call_uuid="u", request_uri="sip:b@127.0.0.1", from_uri="sip:a b@c"),
        DialRequest(call_uuid="u", request_uri="sip:b@127.0.0.1", from_uri="1", to_uri="sip:<x>@c"),
        DialRequest(call_uuid="u", request_uri="sip:b@127.0.0.1 SIP/2.0\r\nX: y", from_uri="1"),
    ],
)
async def test_what_cannot_go_on_the_wire_is_refused_at_once(request_: DialRequest) -> None:
    world = LegsOnFakes()
    with pytest.raises(InvalidParameter):
        world.dial(request_)
    await world.assert_nothing_left()


async def test_events_from_inside_the_invite_are_not_lost() -> None:
    world = LegsOnFakes()
    invite = world.sip.invite

    def refused_at_once(outbound: OutboundInvite) -> InviteId:
        invite_id = invite(outbound)
        world.legs.handle_sip_event(Refused(invite_id, 503, "", None, True, EndDetail.TRANSPORT))
        world.legs.handle_sip_event(InviteEnded(invite_id))
        return invite_id

    world.sip.invite = refused_at_once  # type: ignore[method-assign]  # reports before it returns
    leg = await world.dialled()
    assert world.end_of(leg).kind is LegEndKind.TRANSPORT
    assert world.legs.call_uuid_of("out-1") is None
    await world.assert_nothing_left()


async def test_events_of_unknown_or_ended_invites_are_ignored() -> None:
    world = LegsOnFakes()
    world.legs.handle_sip_event(CancelReceived(InviteId("unknown"), None))
    leg = await world.dialled()
    await leg.hangup()
    world.legs.handle_sip_event(Answered(leg.invite_id, ANSWER, response(200)))
    world.legs.handle_sip_event(InviteEnded(leg.invite_id))
    await world.assert_nothing_left()


async def test_gateways_given_by_name_may_call_once_they_are_looked_up() -> None:
    named = Trunk("named", gateways=(Gateway("sip.acme.example"), Gateway("gone.example")))
    world = LegsOnFakes(trunks=(named,))
    assert not world.legs.may_call("192.0.2.77")
    uri = "sip:sip.acme.example;transport=udp"
    world.sip.targets[uri] = (Target(Transport.UDP, "192.0.2.77", 5060),)
    await world.legs.learn_gateways()
    assert world.legs.may_call("192.0.2.77")
    leg = world.call_in(received(source_host="192.0.2.77"))
    assert leg.trunk_name == "named"
    del world.sip.targets[uri]
    await world.legs.learn_gateways()
    assert world.legs.may_call("192.0.2.77")
    assert not world.legs.may_call("192.0.2.78")
    await leg.hangup()


async def test_draining_is_told() -> None:
    world = LegsOnFakes()
    assert not world.legs.is_draining
    world.legs.drain()
    assert world.legs.is_draining


async def test_our_own_calls_come_in_although_loopback_is_not_trusted() -> None:
    strict = SignallingSettings(trust_loopback=False, own_address=("127.0.0.1", 5060))
    world = LegsOnFakes(strict)
    assert world.legs.may_call("127.0.0.1")
    stranger = received()
    world.legs.handle_sip_event(stranger)
    assert world.incoming == []
    for transport, admitted in ((Transport.TCP, 0), (Transport.UDP, 1)):
        flow = Flow(transport, ("127.0.0.1", 5060), ("127.0.0.1", 5060))
        world.legs.handle_sip_event(replace(stranger, invite_id=InviteId(transport.value), flow=flow))
        assert len(world.incoming) == admitted
    await world.incoming[0].hangup()
    await world.assert_nothing_left()


async def test_room_counts_the_legs_that_are_coming() -> None:
    trunk = Trunk("carrier", gateways=(Gateway("203.0.113.5"),), max_calls=2)
    node = LegsOnFakes(SignallingSettings(maximum_legs=3), (trunk,))
    assert node.legs.has_room("carrier", 1)
    assert not node.legs.has_room("carrier", 2)
    assert node.legs.has_room("", 2)
    assert not node.legs.has_room("", 3)
    node.legs.drain()
    assert not node.legs.has_room("")


async def test_workers_without_capacity_get_no_new_calls_and_keep_what_they_have() -> None:
    world = LegsOnFakes(SignallingSettings(retry_after_s=5, retry_after_overload_max_s=15))
    leg = await world.answered_in()
    world.media.spare = 0
    world.legs.handle_sip_event(received(invite_id="in-2"))
    assert (world.sip.last.verb, world.sip.last.status) == ("reject", 503)
    assert 5 <= int(world.sip.last.header("retry-after")) <= 15
    (told,) = world.facts.of("leg", "refused")
    assert (told["kind"], told["status"]) == ("overloaded", 503)
    assert world.sip.last.header("x-calluuid") in {call_uuid for call_uuid, _, _ in world.facts.rows}
    assert world.legs.refusals == {"overloaded": 1}
    assert (len(world.incoming), world.legs.live_count) == (1, 1)
    assert leg.is_answered
    # The second leg of a call that has begun goes before new calls.
    second = await world.dialled()
    world.media.spare = 2
    third = world.call_in(received(invite_id="in-3"))
    await asyncio.gather(leg.hangup(), second.hangup(), third.hangup())
    await world.assert_nothing_left()


async def test_calls_that_have_no_session_yet_count_as_taken() -> None:
    world = LegsOnFakes()
    world.media.spare = 2
    legs = [world.call_in(received(invite_id=f"in-{number}")) for number in range(2)]
    world.legs.handle_sip_event(received(invite_id="in-2"))
    assert world.sip.last.status == 503
    assert world.legs.is_overloaded()
    # What a worker holds is in its own count.
    await legs[0].answer()
    assert not world.legs.is_overloaded()
    assert world.legs.is_overloaded(coming=1)
    await asyncio.gather(*(leg.hangup() for leg in legs))
    await world.assert_nothing_left()


async def test_a_flood_of_refused_calls_fills_no_event_log() -> None:
    world = LegsOnFakes(SignallingSettings(refusals_told_per_s=3))
    world.media.spare = 0
    for number in range(5):
        world.legs.handle_sip_event(received(invite_id=f"in-{number}"))
    assert world.legs.refusals == {"overloaded": 5}
    assert len(world.facts.of("leg", "refused")) == 3
    world.clock.now = Instant(world.clock.now + SECOND)
    world.legs.handle_sip_event(received(invite_id="in-9"))
    assert len(world.facts.of("leg", "refused")) == 4


async def test_our_own_call_to_our_own_number_has_begun_already() -> None:
    world = LegsOnFakes(SignallingSettings(own_address=("127.0.0.1", 5070)))
    world.media.spare = 0
    leg = world.call_in()
    await leg.hangup()
    await world.assert_nothing_left()
