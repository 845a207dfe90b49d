"""Re-INVITEs inside a call: ours, the peer's, both at once, and everything that can go wrong with them."""

from __future__ import annotations

import pytest
from tests.support.sip_network import Network, Node
from tests.support.sip_peer import ANSWER, NEW_OFFER, OFFER, THEIRS, Caller, Peer, bench, calling, settle

from ringback.sip.digest import Credentials
from ringback.sip.endpoint import (
    EndDetail,
    HungUp,
    InviteId,
    ReofferAnswered,
    ReofferConfirmed,
    Reoffered,
    ReofferRefused,
)
from ringback.sip.invite.reoffer import glare_ms
from ringback.sip.message import SipRequest


def talking_caller() -> tuple[Network, Node, Caller, InviteId]:
    """Return an answered call that the peer placed."""
    network, node = bench()
    caller = Caller(network, node)
    invite_id = caller.invite()
    node.endpoint.answer(node.now, invite_id, ANSWER)
    network.run(2)
    caller.ack()
    return network, node, caller, invite_id


def talking_callee(credentials: tuple[Credentials, ...] = ()) -> tuple[Network, Node, Peer, InviteId]:
    """Return an answered call that we placed."""
    network, node = bench()
    peer = Peer(network, node)
    invite_id = calling(node, credentials=credentials)
    peer.respond(peer.requests("INVITE")[0], 200, sdp=ANSWER)
    return network, node, peer, invite_id


def hang_up(network: Network, node: Node, peer: Peer, invite_id: InviteId) -> None:
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    peer.respond(peer.requests("BYE")[-1], 200)
    settle(network, node)


def reinvite(peer: Peer) -> SipRequest:
    return peer.requests("INVITE")[-1]


def test_the_peer_reoffers_and_we_accept() -> None:
    network, node, caller, invite_id = talking_caller()
    caller.in_dialog("INVITE", body=NEW_OFFER, contact="<sip:moved@10.0.0.9:5070>")
    assert node.last(Reoffered).sdp == NEW_OFFER
    assert node.endpoint.accept_reoffer(node.now, invite_id, ANSWER)
    network.run(2)
    response = caller.responses("INVITE")[-1]
    assert (response.status, response.body) == (200, ANSWER)
    assert response.headers.get("contact")
    caller.ack(cseq=2)
    assert node.last(ReofferConfirmed).sdp is None
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    bye = caller.requests("BYE")[0]
    assert bye.uri_text == "sip:moved@10.0.0.9:5070"
    caller.respond(bye, 200)
    settle(network, node)


def test_our_200_to_a_reinvite_is_repeated_until_its_ack() -> None:
    network, node, caller, invite_id = talking_caller()
    caller.in_dialog("INVITE", body=NEW_OFFER)
    node.endpoint.accept_reoffer(node.now, invite_id, ANSWER)
    network.run(4_000)
    assert len(caller.times("INVITE", 200)) == 1 + 4
    caller.ack(cseq=2)
    network.run(40_000)
    assert len(caller.times("INVITE", 200)) == 1 + 4
    hang_up(network, node, caller, invite_id)


def test_no_ack_for_a_reinvite_ends_the_call() -> None:
    network, node, caller, invite_id = talking_caller()
    caller.in_dialog("INVITE", body=NEW_OFFER)
    node.endpoint.accept_reoffer(node.now, invite_id, ANSWER)
    network.run(33_000)
    assert node.last(HungUp).detail is EndDetail.NO_ACK
    caller.respond(caller.requests("BYE")[0], 200)
    settle(network, node)


def test_a_refused_reoffer_leaves_the_call_as_it_was() -> None:
    network, node, caller, invite_id = talking_caller()
    caller.in_dialog("INVITE", body=NEW_OFFER)
    assert node.endpoint.refuse_reoffer(node.now, invite_id, 488)
    assert not node.endpoint.accept_reoffer(node.now, invite_id, ANSWER)
    network.run(2)
    assert caller.statuses("INVITE")[-1] == 488
    caller.in_dialog("OPTIONS")
    assert caller.statuses("OPTIONS") == [200]
    hang_up(network, node, caller, invite_id)


def test_a_reinvite_without_offer_gets_ours_and_brings_the_answer_in_its_ack() -> None:
    network, node, caller, invite_id = talking_caller()
    caller.in_dialog("INVITE")
    assert node.last(Reoffered).sdp is None
    node.endpoint.accept_reoffer(node.now, invite_id, OFFER)
    network.run(2)
    caller.ack(ANSWER, cseq=2)
    assert node.last(ReofferConfirmed).sdp == ANSWER
    hang_up(network, node, caller, invite_id)


def test_a_cancelled_reinvite_gets_487_and_the_call_goes_on() -> None:
    network, node, caller, invite_id = talking_caller()
    via = caller.new_via()
    caller.in_dialog("INVITE", body=NEW_OFFER, via=via)
    caller.send(caller.request("CANCEL", cseq=2, via=via, contact=None))
    assert caller.statuses("CANCEL") == [200]
    assert caller.statuses("INVITE")[-1] == 487
    assert not node.endpoint.accept_reoffer(node.now, invite_id, ANSWER)
    hang_up(network, node, caller, invite_id)


def test_a_reinvite_behind_an_unanswered_one_gets_500_with_retry_after() -> None:
    network, node, caller, invite_id = talking_caller()
    caller.in_dialog("INVITE", body=NEW_OFFER)
    caller.in_dialog("INVITE", body=NEW_OFFER)
    refusal = caller.responses("INVITE")[-1]
    assert refusal.status == 500
    assert 0 <= int(refusal.headers.get("retry-after") or "-1") <= 10
    node.endpoint.refuse_reoffer(node.now, invite_id, 488)
    hang_up(network, node, caller, invite_id)


def test_a_reinvite_with_a_foreign_body_gets_415() -> None:
    network, node, caller, invite_id = talking_caller()
    caller.in_dialog("INVITE", body=b"<x/>", headers=(("content-type", "text/xml"),))
    assert caller.statuses("INVITE")[-1] == 415
    hang_up(network, node, caller, invite_id)


def test_hanging_up_during_a_received_reinvite_answers_it_487() -> None:
    network, node, caller, invite_id = talking_caller()
    caller.in_dialog("INVITE", body=NEW_OFFER)
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    assert caller.statuses("INVITE")[-1] == 487
    caller.respond(caller.requests("BYE")[0], 200)
    settle(network, node)


def test_we_reoffer_and_the_peer_accepts() -> None:
    network, node, peer, invite_id = talking_callee()
    assert node.endpoint.reoffer(node.now, invite_id, NEW_OFFER)
    assert not node.endpoint.reoffer(node.now, invite_id, NEW_OFFER)
    network.run(2)
    sent = reinvite(peer)
    assert (sent.body, sent.to.tag, sent.cseq.number) == (NEW_OFFER, "peer", 2)
    assert sent.headers.get("contact") == "<sip:me@10.0.0.1:5060>"
    peer.respond(sent, 200, sdp=ANSWER, contact=f"<sip:moved@{THEIRS}:5090>")
    assert node.last(ReofferAnswered).sdp == ANSWER
    assert peer.requests("ACK")[-1].uri_text == f"sip:moved@{THEIRS}:5090"
    peer.respond(sent, 200, sdp=ANSWER)
    assert [ack.cseq.number for ack in peer.requests("ACK")] == [1, 2, 2]
    hang_up(network, node, peer, invite_id)


def test_a_refusal_of_ours_is_told_and_the_call_goes_on() -> None:
    network, node, peer, invite_id = talking_callee()
    node.endpoint.reoffer(node.now, invite_id, NEW_OFFER)
    network.run(2)
    peer.respond(reinvite(peer), 488)
    refused = node.last(ReofferRefused)
    assert (refused.status, refused.reason) == (488, "Not Acceptable Here")
    assert node.endpoint.reoffer(node.now, invite_id, OFFER)
    network.run(2)
    peer.respond(reinvite(peer), 200, sdp=ANSWER)
    hang_up(network, node, peer, invite_id)


def test_491_is_repeated_after_the_back_off_of_the_call_id_owner() -> None:
    network, node, peer, invite_id = talking_callee()
    node.endpoint.reoffer(node.now, invite_id, NEW_OFFER)
    network.run(2)
    peer.respond(reinvite(peer), 491)
    started = network.now // 1_000_000
    network.run(2_090)
    assert len(peer.requests("INVITE")) == 2
    network.run(2_000)
    assert 2_100 <= peer.times("INVITE")[-1] - started <= 4_010
    sent = reinvite(peer)
    assert (sent.body, sent.cseq.number) == (NEW_OFFER, 3)
    peer.respond(sent, 200, sdp=ANSWER)
    assert node.names()[-1] == "ReofferAnswered"
    hang_up(network, node, peer, invite_id)


def test_a_reinvite_of_the_peer_during_ours_gets_491() -> None:
    network, node, caller, invite_id = talking_caller()
    node.endpoint.reoffer(node.now, invite_id, NEW_OFFER)
    network.run(2)
    caller.in_dialog("INVITE", body=NEW_OFFER)
    assert caller.statuses("INVITE")[-1] == 491
    caller.respond(reinvite(caller), 200, sdp=ANSWER)
    assert node.names()[-1] == "ReofferAnswered"
    hang_up(network, node, caller, invite_id)


def test_a_reinvite_of_the_peer_during_our_back_off_takes_over() -> None:
    network, node, caller, invite_id = talking_caller()
    node.endpoint.reoffer(node.now, invite_id, NEW_OFFER)
    network.run(2)
    caller.respond(reinvite(caller), 491)
    caller.in_dialog("INVITE", body=NEW_OFFER)
    assert node.last(ReofferRefused).status == 491
    assert node.last(Reoffered).sdp == NEW_OFFER
    node.endpoint.accept_reoffer(node.now, invite_id, ANSWER)
    network.run(2)
    caller.ack(cseq=2)
    network.run(5_000)
    assert len(caller.requests("INVITE")) == 1
    hang_up(network, node, caller, invite_id)


@pytest.mark.parametrize("status", [408, 481])
def test_a_peer_that_lost_the_dialog_ends_the_call(status: int) -> None:
    network, node, peer, invite_id = talking_callee()
    node.endpoint.reoffer(node.now, invite_id, NEW_OFFER)
    network.run(2)
    peer.respond(reinvite(peer), status)
    assert node.names()[-2:] == ["ReofferRefused", "HungUp"]
    assert node.last(HungUp).detail is EndDetail.DIALOG_GONE
    peer.respond(peer.requests("BYE")[0], 481)
    settle(network, node)


def test_a_silent_peer_ends_the_call_after_timer_b() -> None:
    network, node, _, invite_id = talking_callee()
    node.endpoint.reoffer(node.now, invite_id, NEW_OFFER)
    network.run(33_000)
    assert node.last(HungUp).detail is EndDetail.DIALOG_GONE
    settle(network, node)


def test_our_reinvite_without_offer_is_answered_in_the_ack() -> None:
    network, node, peer, invite_id = talking_callee()
    node.endpoint.reoffer(node.now, invite_id, None)
    network.run(2)
    assert reinvite(peer).body == b""
    peer.respond(reinvite(peer), 200, sdp=NEW_OFFER)
    assert node.last(ReofferAnswered).sdp == NEW_OFFER
    assert len(peer.requests("ACK")) == 1
    assert node.endpoint.ack_with(node.now, invite_id, ANSWER)
    network.run(2)
    assert peer.requests("ACK")[-1].body == ANSWER
    hang_up(network, node, peer, invite_id)


def test_an_owner_that_never_answers_a_reoffer_loses_the_call() -> None:
    network, node, peer, invite_id = talking_callee()
    node.endpoint.reoffer(node.now, invite_id, None)
    network.run(2)
    peer.respond(reinvite(peer), 200, sdp=NEW_OFFER)
    network.run(33_000)
    assert node.last(HungUp).detail is EndDetail.NO_ANSWER_FROM_OWNER
    settle(network, node)


def test_a_challenged_reinvite_is_repeated_with_credentials() -> None:
    network, node, peer, invite_id = talking_callee((Credentials("bob", "secret"),))
    node.endpoint.reoffer(node.now, invite_id, NEW_OFFER)
    network.run(2)
    challenge = 'Digest realm="carrier", nonce="n1", qop="auth"'
    peer.respond(reinvite(peer), 407, headers=(("Proxy-Authenticate", challenge),))
    sent = reinvite(peer)
    assert "nc=00000001" in (sent.headers.get("proxy-authorization") or "")
    assert sent.cseq.number == 3
    peer.respond(sent, 200, sdp=ANSWER)
    ack = peer.requests("ACK")[-1]
    assert ack.headers.get("proxy-authorization") == sent.headers.get("proxy-authorization")
    hang_up(network, node, peer, invite_id)


def test_a_200_that_comes_after_our_bye_is_still_acknowledged() -> None:
    network, node, peer, invite_id = talking_callee()
    node.endpoint.reoffer(node.now, invite_id, NEW_OFFER)
    network.run(2)
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    sent = reinvite(peer)
    peer.respond(peer.requests("BYE")[0], 200)
    peer.respond(sent, 200, sdp=ANSWER)
    assert peer.requests("ACK")[-1].cseq.number == sent.cseq.number
    settle(network, node)


def test_info_is_sent_and_its_answer_told() -> None:
    network, node, peer, invite_id = talking_callee()
    assert node.endpoint.send_info(node.now, invite_id, "application/dtmf-relay", b"Signal=1\r\n")
    network.run(2)
    info = peer.requests("INFO")[0]
    assert (info.body, info.headers.get("content-type")) == (b"Signal=1\r\n", "application/dtmf-relay")
    peer.respond(info, 200)
    assert node.events[-1].status == 200
    node.endpoint.send_info(node.now, invite_id, "application/dtmf-relay", b"Signal=2\r\n")
    network.run(2)
    peer.respond(peer.requests("INFO")[-1], 481)
    assert node.last(HungUp).detail is EndDetail.DIALOG_GONE
    settle(network, node)


def test_back_off_is_drawn_in_steps_of_10_ms_by_who_owns_the_call_id() -> None:
    assert (glare_ms(True, 0.0), glare_ms(True, 0.999_999)) == (2_100, 4_000)
    assert (glare_ms(False, 0.0), glare_ms(False, 0.999_999)) == (0, 2_000)
    assert glare_ms(False, 0.5) % 10 == 0


def test_an_ack_with_the_branch_of_its_reinvite_is_accepted() -> None:
    network, node, caller, invite_id = talking_caller()
    via = caller.new_via()
    caller.in_dialog("INVITE", body=NEW_OFFER, via=via)
    node.endpoint.accept_reoffer(node.now, invite_id, ANSWER)
    network.run(2)
    caller.ack(cseq=2, via=via)
    assert node.names()[-1] == "ReofferConfirmed"
    caller.ack(cseq=2, via=via)
    caller.ack(cseq=9)
    assert node.names().count("ReofferConfirmed") == 1
    hang_up(network, node, caller, invite_id)


def test_a_reinvite_while_our_bye_is_out_is_refused() -> None:
    network, node, caller, invite_id = talking_caller()
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    caller.in_dialog("INVITE", body=NEW_OFFER)
    assert caller.statuses("INVITE")[-1] == 491
    caller.respond(caller.requests("BYE")[0], 200)
    settle(network, node)


def test_late_answers_to_our_reinvite_change_nothing() -> None:
    network, node, peer, invite_id = talking_callee()
    node.endpoint.reoffer(node.now, invite_id, NEW_OFFER)
    network.run(2)
    sent = reinvite(peer)
    peer.respond(sent, 100)
    peer.respond(sent, 488)
    node.endpoint.reoffer(node.now, invite_id, OFFER)
    network.run(2)
    peer.respond(sent, 200, sdp=ANSWER)
    assert node.names()[-1] == "ReofferRefused"
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    peer.respond(peer.requests("BYE")[0], 200)
    peer.respond(reinvite(peer), 488)
    assert node.names().count("ReofferRefused") == 1
    settle(network, node)


def test_silence_to_a_reinvite_after_our_bye_is_told_to_nobody() -> None:
    network, node, peer, invite_id = talking_callee()
    node.endpoint.reoffer(node.now, invite_id, NEW_OFFER)
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    peer.respond(peer.requests("BYE")[0], 200)
    network.run(40_000)
    assert node.names() == ["Answered", "InviteEnded"]
    settle(network, node)
