"""Two endpoints on a bad network: whatever is lost, both agree that the call is over, and nothing is left."""

from __future__ import annotations

from collections import Counter

import pytest
from tests.support.sip_network import Network, Node, Weather, target

from ringback.machine import MS
from ringback.sip.address import name_addr
from ringback.sip.endpoint import (
    Answered,
    CancelReceived,
    Confirmed,
    HungUp,
    InviteEnded,
    InviteEvent,
    InviteId,
    InviteReceived,
    OutboundInvite,
    Refused,
    Reoffered,
    Transport,
)

OFFER, ANSWER = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\n", b"v=0\r\no=- 2 1 IN IP4 10.0.0.2\r\n"


class Party:
    """An owner that decides by lot, and keeps account of what it was told."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.open: dict[InviteId, list[str]] = {}
        self.stories: Counter[str] = Counter()
        self.answered_at: dict[str, int] = {}
        self.over_at: dict[str, int] = {}
        node.on_event = self.take
        node.is_keeping = False

    def call(self, host: str, transport: Transport) -> None:
        node, chance = self.node, self.node.network.chance
        invite_id = node.endpoint.invite(
            node.now,
            OutboundInvite(
                request_uri=f"sip:100@{host}",
                from_=name_addr(f"sip:a@{node.host}"),
                to=name_addr(f"sip:100@{host}"),
                targets=(target(host, transport),),
                sdp=OFFER if chance.random() < 0.8 else None,
            ),
        )
        self.open[invite_id] = []
        if chance.random() < 0.3:
            self._later(chance.uniform(0, 6_000), lambda: node.endpoint.hangup(node.now, invite_id))

    def take(self, event: InviteEvent) -> None:
        node, chance, invite_id = self.node, self.node.network.chance, event.invite_id
        endpoint = node.endpoint
        if isinstance(event, InviteReceived):
            assert invite_id not in self.open
            self.open[invite_id] = []
            self._receive(event)
        story = self.open[invite_id]
        assert "InviteEnded" not in story
        story.append(type(event).__name__)
        match event:
            case Answered() if event.sdp is not None:
                if event.sdp.startswith(b"v=0\r\no=- 3"):
                    self._later(chance.uniform(0, 300), lambda: endpoint.ack_with(node.now, invite_id, ANSWER))
                self._talk(invite_id)
            case Answered():
                self._talk(invite_id)
            case Confirmed():
                self._talk(invite_id)
            case Reoffered():
                if chance.random() < 0.8:
                    reply = ANSWER if event.sdp is not None else OFFER
                    self._later(chance.uniform(0, 200), lambda: endpoint.accept_reoffer(node.now, invite_id, reply))
                else:
                    self._later(1, lambda: endpoint.refuse_reoffer(node.now, invite_id, 488))
            case HungUp() | Refused() | CancelReceived():
                self.over_at[invite_id] = node.now
            case InviteEnded():
                story = self.open.pop(invite_id)
                assert story.count("HungUp") + story.count("Refused") + story.count("CancelReceived") <= 1
                self.stories[" ".join(story)] += 1
            case _:
                pass

    def _receive(self, event: InviteReceived) -> None:
        node, chance, invite_id = self.node, self.node.network.chance, event.invite_id
        endpoint = node.endpoint
        lot = chance.random()
        if lot < 0.1:
            endpoint.reject(node.now, invite_id, 486)
            return
        if lot < 0.2:
            self._later(chance.uniform(0, 3_000), lambda: endpoint.hangup(node.now, invite_id))
            return
        self._later(chance.uniform(0, 500), lambda: endpoint.progress(node.now, invite_id, 180))
        body = ANSWER if event.offer is not None else b"v=0\r\no=- 3 1 IN IP4 10.0.0.2\r\n"
        self._later(chance.uniform(300, 4_000), lambda: endpoint.answer(node.now, invite_id, body))

    def _talk(self, invite_id: InviteId) -> None:
        node, chance = self.node, self.node.network.chance
        endpoint = node.endpoint
        if chance.random() < 0.4:
            self._later(chance.uniform(0, 2_000), lambda: endpoint.reoffer(node.now, invite_id, OFFER))
        if chance.random() < 0.2:
            self._later(
                chance.uniform(0, 2_000),
                lambda: endpoint.send_info(node.now, invite_id, "application/dtmf-relay", b"Signal=1\r\n"),
            )
        self._later(chance.uniform(500, 8_000), lambda: endpoint.hangup(node.now, invite_id, "Q.850;cause=16"))

    def _later(self, delay_ms: float, action: object) -> None:
        self.node.network.at(delay_ms, action)  # type: ignore[arg-type]


WEATHERS = {
    "fine": Weather(delay_ms=(1, 5)),
    "loss": Weather(loss=0.15, delay_ms=(1, 40)),
    "chaos": Weather(loss=0.3, duplication=0.2, delay_ms=(1, 900)),
}


@pytest.mark.parametrize("name", WEATHERS)
@pytest.mark.parametrize("seed", range(3))
def test_both_sides_agree_that_every_call_is_over(name: str, seed: int) -> None:
    network = Network(seed=seed, weather=WEATHERS[name])
    caller, callee = Party(network.node("10.0.0.1")), Party(network.node("10.0.0.2"))
    for number in range(150):
        transport = Transport.UDP if number % 4 else Transport.TCP
        network.at(number * 20, lambda transport=transport: caller.call("10.0.0.2", transport))  # type: ignore[misc]
    network.run_out()
    assert caller.open == {}
    assert callee.open == {}
    assert sum(caller.stories.values()) == 150
    for party in (caller, callee):
        assert party.node.endpoint.is_idle
    # Nothing may outlive the last timers: the longest chain is ACK wait, BYE time-out and the lingering INVITE.
    assert network.now < 200_000 * MS


def test_total_loss_of_one_direction_ends_calls_on_both_sides() -> None:
    network = Network(seed=9)
    caller, callee = Party(network.node("10.0.0.1")), Party(network.node("10.0.0.2"))
    network.dropped = lambda payload: payload.startswith((b"ACK", b"BYE"))
    for number in range(20):
        network.at(number * 20, lambda: caller.call("10.0.0.2", Transport.UDP))
    network.run_out()
    assert caller.open == {}
    assert callee.open == {}
    assert caller.node.endpoint.is_idle
    assert callee.node.endpoint.is_idle
