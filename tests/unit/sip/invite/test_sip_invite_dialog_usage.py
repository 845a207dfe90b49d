"""Requests of ours inside a dialog: bounds, late and repeated answers, challenges."""

from __future__ import annotations

from dataclasses import replace

from tests.support.sip_network import Network, Node
from tests.support.sip_peer import ANSWER, NEW_OFFER, Caller, Peer, bench, calling, settle

from ringback.sip.digest import Credentials
from ringback.sip.endpoint import EndDetail, HungUp, InviteId
from ringback.sip.settings import SipSettings


def talking(
    settings: SipSettings | None = None, credentials: tuple[Credentials, ...] = ()
) -> tuple[Network, Node, Peer, InviteId]:
    network, node = bench(settings)
    peer = Peer(network, node)
    invite_id = calling(node, credentials=credentials)
    peer.respond(peer.requests("INVITE")[0], 200, sdp=ANSWER)
    return network, node, peer, invite_id


def test_a_called_party_sends_info_and_reoffers_too() -> None:
    network, node = bench()
    caller = Caller(network, node)
    invite_id = caller.invite()
    assert not node.endpoint.send_info(node.now, invite_id, "application/dtmf", b"1")
    assert not node.endpoint.reoffer(node.now, invite_id, NEW_OFFER)
    node.endpoint.answer(node.now, invite_id, ANSWER)
    network.run(2)
    caller.ack()
    assert node.endpoint.send_info(node.now, invite_id, "application/dtmf", b"1")
    assert node.endpoint.reoffer(node.now, invite_id, None)
    network.run(2)
    caller.respond(caller.requests("INFO")[0], 100)
    caller.respond(caller.requests("INFO")[0], 200)
    caller.respond(caller.requests("INVITE")[0], 200, sdp=NEW_OFFER)
    assert node.endpoint.ack_with(node.now, invite_id, ANSWER)
    network.run(2)
    assert caller.requests("ACK")[0].body == ANSWER
    assert node.names()[-2:] == ["InfoAnswered", "ReofferAnswered"]
    caller.in_dialog("BYE")
    settle(network, node)


def test_an_info_that_nobody_answers_ends_the_call() -> None:
    network, node, _, invite_id = talking()
    node.endpoint.send_info(node.now, invite_id, "application/dtmf", b"1")
    network.run(33_000)
    assert node.names()[-2:] == ["InfoAnswered", "HungUp"]
    assert node.last(HungUp).detail is EndDetail.DIALOG_GONE
    settle(network, node)


def test_the_answer_to_an_info_after_the_end_is_told_to_nobody() -> None:
    network, node, peer, invite_id = talking()
    node.endpoint.send_info(node.now, invite_id, "application/dtmf", b"1")
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    peer.respond(peer.requests("BYE")[0], 200)
    peer.respond(peer.requests("INFO")[0], 200)
    assert node.names() == ["Answered", "InviteEnded"]
    settle(network, node)


def test_a_refused_password_of_a_bye_still_ends_the_call() -> None:
    network, node, peer, invite_id = talking(credentials=(Credentials("bob", "secret"),))
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    for number in range(2):
        challenge = (("Proxy-Authenticate", 'Digest realm="carrier", nonce="n1", qop="auth"'),)
        peer.respond(peer.requests("BYE")[number], 407, headers=challenge)
    assert len(peer.requests("BYE")) == 2
    assert node.names()[-1] == "InviteEnded"
    settle(network, node)


def test_a_full_transaction_table_ends_our_side_of_the_call() -> None:
    network, node, peer, invite_id = talking(replace(SipSettings(), max_client_transactions=1))
    assert node.endpoint.reoffer(node.now, invite_id, NEW_OFFER)
    network.run(2)
    assert node.events[-1].status == 503
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    assert peer.requests("BYE") == []
    assert node.names()[-1] == "InviteEnded"
    settle(network, node)
