"""A call to several phones: who wins, who is cancelled, what is told when nobody answers, that nothing is left."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from tests.support.sip_network import Network, Node, Weather, target

from ringback.machine import SECOND
from ringback.sip.address import name_addr
from ringback.sip.endpoint import (
    Answered,
    CancelReceived,
    EndDetail,
    Fork,
    HungUp,
    InviteEvent,
    InviteId,
    InviteReceived,
    OutboundInvite,
    Progressed,
    Refused,
)

OFFER, ANSWER = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\n", b"v=0\r\no=- 2 1 IN IP4 10.0.0.2\r\n"
ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'


class Ringing:
    """A caller and phones that ring; phones are told what to do."""

    def __init__(self, phones: int = 3, weather: Weather | None = None, seed: int = 0) -> None:
        self.network = Network(seed, weather or Weather())
        self.caller = self.network.node("10.0.0.1", is_traced=True)
        self.phones = [self.network.node(f"10.0.0.{index + 2}") for index in range(phones)]
        for phone in self.phones:
            phone.on_event = self._ring(phone)

    def _ring(self, phone: Node) -> Callable[[InviteEvent], None]:
        def ring(event: InviteEvent) -> None:
            if isinstance(event, InviteReceived):
                phone.endpoint.progress(phone.now, event.invite_id, 180)

        return ring

    def call(self, *silent: str, sdp: bytes | None = OFFER) -> InviteId:
        forks = tuple(
            Fork(f"sip:phone@{host}", (target(host),), ("<sip:edge;lr>",) if host == "10.0.0.2" else ())
            for host in (*(phone.host for phone in self.phones), *silent)
        )
        invite_id = self.caller.endpoint.invite(
            self.caller.now,
            OutboundInvite(
                request_uri="sip:alice@10.0.0.1",
                from_=name_addr("sip:15557654321@10.0.0.1"),
                to=name_addr("sip:alice@10.0.0.1"),
                targets=(),
                sdp=sdp,
                forks=forks,
            ),
        )
        self.network.run(100)
        return invite_id

    def at(self, phone: int) -> InviteReceived:
        """Return the INVITE that a phone got."""
        event = self.phones[phone].last(InviteReceived)
        assert isinstance(event, InviteReceived)
        return event

    def answer(self, phone: int) -> None:
        node = self.phones[phone]
        node.endpoint.answer(node.now, self.at(phone).invite_id, ANSWER)

    def refuse(self, phone: int, status: int) -> None:
        node = self.phones[phone]
        node.endpoint.reject(node.now, self.at(phone).invite_id, status)

    def told(self, kind: type[InviteEvent]) -> list[InviteEvent]:
        return [event for event in self.caller.events if isinstance(event, kind)]

    def over(self) -> None:
        """Let everything end, and check that nothing is left and that the end was told once."""
        self.network.run_out()
        assert self.caller.names()[-1] == "InviteEnded"
        assert self.caller.names().count("InviteEnded") == 1
        for node in (self.caller, *self.phones):
            assert node.endpoint.is_idle, node.host


def test_every_phone_rings_with_its_own_address_and_call_id() -> None:
    world = Ringing()
    world.call()
    requests = [world.at(phone).request for phone in range(3)]
    assert [request.uri_text for request in requests] == [f"sip:phone@10.0.0.{n}" for n in (2, 3, 4)]
    assert len({request.call_id for request in requests}) == 3
    assert {str(request.to) for request in requests} == {"<sip:alice@10.0.0.1>"}
    assert [request.headers.get("route") for request in requests] == ["<sip:edge;lr>", None, None]
    assert len(world.told(Progressed)) == 3
    assert len({trace.invite_id for trace in world.caller.traces}) == 1


def test_the_first_to_answer_wins_and_the_others_stop_ringing() -> None:
    world = Ringing()
    invite_id = world.call()
    world.answer(1)
    world.network.run(50)
    (answered,) = world.told(Answered)
    assert isinstance(answered, Answered)
    assert (answered.invite_id, answered.fork, answered.sdp) == (invite_id, 1, ANSWER)
    for phone in (0, 2):
        cancel = world.phones[phone].last(CancelReceived)
        assert cancel.request.headers.get("reason") == ELSEWHERE
    assert world.told(Refused) == []
    assert world.caller.endpoint.send_info(world.caller.now, invite_id, "application/dtmf", b"5")
    assert world.caller.endpoint.hangup(world.caller.now, invite_id, "Q.850;cause=16")
    world.network.run(50)
    assert world.phones[1].last(HungUp).request.headers.get("reason") == "Q.850;cause=16"
    world.over()


def test_of_two_that_answer_at_once_one_is_hung_up() -> None:
    world = Ringing(2)
    invite_id = world.call()
    world.answer(0)
    world.answer(1)
    world.network.run(50)
    assert len(world.told(Answered)) == 1
    hung_up = [phone for phone in world.phones if "HungUp" in phone.names()]
    assert len(hung_up) == 1
    assert hung_up[0].last(HungUp).request.headers.get("reason") == ELSEWHERE
    world.caller.endpoint.hangup(world.caller.now, invite_id)
    world.over()


def test_the_winner_hangs_up() -> None:
    world = Ringing(2)
    world.call()
    world.answer(0)
    world.network.run(50)
    world.phones[0].endpoint.hangup(world.phones[0].now, world.at(0).invite_id)
    world.network.run(50)
    assert len(world.told(HungUp)) == 1
    world.over()


@pytest.mark.parametrize(
    ("statuses", "told"),
    [((486, 480, 404), 486), ((500, 486, 503), 486), ((503, 503, 503), 503), ((480, 302, 404), 302)],
)
def test_when_all_refuse_the_best_answer_is_told_once(statuses: tuple[int, ...], told: int) -> None:
    world = Ringing()
    world.call()
    for phone, status in enumerate(statuses):
        world.refuse(phone, status)
    world.network.run(50)
    (refused,) = world.told(Refused)
    assert isinstance(refused, Refused)
    assert (refused.status, refused.detail) == (told, EndDetail.REMOTE)
    world.over()


def test_one_who_declines_for_all_ends_the_ringing() -> None:
    world = Ringing()
    world.call()
    world.refuse(1, 603)
    world.network.run(50)
    assert [event.status for event in world.told(Refused) if isinstance(event, Refused)] == [603]
    assert all("CancelReceived" in world.phones[phone].names() for phone in (0, 2))
    world.over()


def test_the_owner_gives_up_and_every_phone_stops() -> None:
    world = Ringing()
    invite_id = world.call()
    assert world.caller.endpoint.hangup(world.caller.now, invite_id, "SIP;cause=487")
    world.network.run(50)
    assert all("CancelReceived" in phone.names() for phone in world.phones)
    (refused,) = world.told(Refused)
    assert isinstance(refused, Refused)
    assert refused.detail is EndDetail.CANCELLED
    world.over()


def test_a_phone_that_says_nothing_does_not_hold_up_the_refusal_of_the_others() -> None:
    world = Ringing(1)
    world.call("10.0.0.99")
    since = world.network.now
    world.refuse(0, 486)
    while not world.told(Refused):
        world.network.run(100)
    assert world.network.now - since < 6 * SECOND
    (refused,) = world.told(Refused)
    assert isinstance(refused, Refused)
    assert refused.status == 486
    world.over()


def test_nobody_can_be_reached() -> None:
    world = Ringing(0)
    world.call("10.0.0.98", "10.0.0.99")
    world.network.run_out()
    (refused,) = world.told(Refused)
    assert isinstance(refused, Refused)
    assert (refused.status, refused.detail, refused.local) == (408, EndDetail.TIMEOUT, True)
    world.over()


def test_early_media_of_one_phone_at_a_time() -> None:
    world = Ringing(2)
    invite_id = world.call()
    for phone in (1, 0, 1):
        node = world.phones[phone]
        node.endpoint.progress(node.now, world.at(phone).invite_id, 183, ANSWER)
        world.network.run(20)
    progress = [event for event in world.told(Progressed) if isinstance(event, Progressed) and event.status == 183]
    assert [event.sdp for event in progress] == [ANSWER, None, ANSWER]
    world.caller.endpoint.hangup(world.caller.now, invite_id)
    world.over()


def test_a_delayed_offer_is_answered_to_the_winner() -> None:
    world = Ringing(2)
    invite_id = world.call(sdp=None)
    world.answer(1)
    world.network.run(50)
    assert world.caller.endpoint.ack_with(world.caller.now, invite_id, OFFER)
    world.network.run(50)
    assert "Confirmed" in world.phones[1].names()
    world.caller.endpoint.hangup(world.caller.now, invite_id)
    world.over()


def test_verbs_of_answered_calls_do_nothing_before_the_answer() -> None:
    world = Ringing(2)
    invite_id, endpoint, now = world.call(), world.caller.endpoint, world.caller.now
    assert not endpoint.ack_with(now, invite_id, OFFER)
    assert not endpoint.reoffer(now, invite_id, OFFER)
    assert not endpoint.accept_reoffer(now, invite_id, OFFER)
    assert not endpoint.refuse_reoffer(now, invite_id, 488)
    assert not endpoint.send_info(now, invite_id, "application/dtmf", b"5")
    assert not endpoint.progress(now, invite_id, 180)
    assert not endpoint.answer(now, invite_id, OFFER)
    assert not endpoint.reject(now, invite_id, 486)
    assert not endpoint.drop(now, invite_id)
    endpoint.hangup(now, invite_id)
    world.over()


def test_renegotiation_reaches_the_winner_alone() -> None:
    world = Ringing(2)
    invite_id = world.call()
    world.answer(0)
    world.network.run(50)
    phone = world.phones[0]
    assert phone.endpoint.reoffer(phone.now, world.at(0).invite_id, OFFER)
    world.network.run(50)
    assert world.caller.endpoint.accept_reoffer(world.caller.now, invite_id, ANSWER)
    world.network.run(50)
    assert "ReofferAnswered" in phone.names()
    assert world.caller.endpoint.reoffer(world.caller.now, invite_id, OFFER)
    world.network.run(50)
    assert "Reoffered" in phone.names()
    phone.endpoint.refuse_reoffer(phone.now, world.at(0).invite_id, 488)
    world.network.run(50)
    world.caller.endpoint.hangup(world.caller.now, invite_id)
    world.over()


@pytest.mark.parametrize("seed", range(20))
def test_on_a_bad_network_at_most_one_phone_talks_and_nothing_is_left(seed: int) -> None:
    world = Ringing(3, replace(Weather(), loss=0.2, duplication=0.1, delay_ms=(1, 300)), seed)
    invite_id = world.call()
    for phone in (0, 1, 2):
        rings = any(isinstance(event, InviteReceived) for event in world.phones[phone].events)
        if rings and world.network.chance.random() < 0.8:
            world.network.at(world.network.chance.uniform(0, 400), lambda phone=phone: world.answer(phone))
    world.network.run(40_000)
    talking = [phone for phone in world.phones if "Confirmed" in phone.names() and "HungUp" not in phone.names()]
    assert len(talking) == len(world.told(Answered)) <= 1
    world.caller.endpoint.hangup(world.caller.now, invite_id)
    world.over()
