"""Legs to endpoints: every phone is called at once, none is 2020, and the winner's network is the one that counts."""

from __future__ import annotations

from dataclasses import replace

from tests.support.fake_sip import ANSWER, response
from tests.support.legs_on_fakes import LegsOnFakes, settle

from ringback.media.control.commands import SetRemote
from ringback.signalling.events import DialRequest, LegAnswered, LegEndKind
from ringback.signalling.leg_targets import FoundTargets, no_phones
from ringback.sip.endpoint import Answered, Fork, InviteId
from ringback.sip.flow import Target, Transport

LOCAL = Fork("sip:a@10.0.0.5", (Target(Transport.UDP, "10.0.0.5", 5060),))
FAR = Fork("sip:b@192.168.1.9", (Target(Transport.TCP, "198.51.100.7", 40_000),), ("<sip:edge;lr>",))
REQUEST = DialRequest(call_uuid="u", request_uri="sip:alice@127.0.0.1", from_uri="1", endpoint="alice")
NETWORKS = ("10.0.0.0/8",)


def with_phones(*phones: Fork) -> LegsOnFakes:
    async def find(username: str) -> tuple[Fork, ...]:
        assert username == "alice"
        return phones

    world = LegsOnFakes()
    world.legs._services = replace(world.legs._services, find_phones=find)
    return world


async def test_every_phone_is_called_with_one_offer_and_the_answering_one_is_heard() -> None:
    world = with_phones(LOCAL, FAR)
    leg = await world.dialled(REQUEST)
    (invite,) = world.sip.invites.values()
    assert invite.forks == (LOCAL, FAR)
    assert invite.targets == ()
    assert str(invite.to) == "<sip:alice@127.0.0.1>"
    assert leg.source_host == "198.51.100.7"
    leg.handle_sip(Answered(InviteId("out-1"), ANSWER, response(200), fork=0))
    await settle()
    assert leg.source_host == "10.0.0.5"
    assert any(isinstance(event, LegAnswered) for event in world.told(leg))
    assert [each.signalling_host for each in world.media.commands if isinstance(each, SetRemote)] == ["10.0.0.5"]
    await leg.hangup()


async def test_nobody_registered_ends_the_leg_before_any_media() -> None:
    world = with_phones()
    leg = await world.dialled(REQUEST)
    end = world.end_of(leg)
    assert (end.kind, end.detail) == (LegEndKind.NOT_REGISTERED, "no phone is registered as alice")
    assert world.media.commands == []
    await world.assert_nothing_left()


async def test_a_node_without_registrar_has_no_phones() -> None:
    assert await no_phones("alice") == ()


def test_the_way_back_is_made_for_a_phone_outside_if_there_is_one() -> None:
    assert FoundTargets(forks=(LOCAL, FAR)).host(NETWORKS) == "198.51.100.7"
    assert FoundTargets(forks=(LOCAL,)).host(NETWORKS) == "10.0.0.5"
    assert FoundTargets(targets=LOCAL.targets + FAR.targets).host(NETWORKS) == "10.0.0.5"
