"""Outgoing calls: the ACK, forks, CANCEL, challenges, targets, delayed offers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.sip_network import target
from tests.support.sip_peer import ANSWER, OFFER, THEIRS, Peer, bench, calling, settle

from ringback.errors import LimitReached
from ringback.sip.digest import Credentials
from ringback.sip.endpoint import Answered, EndDetail, HungUp, Progressed, Refused, Transport
from ringback.sip.errors import UnsafeHeader
from ringback.sip.flow import Flow
from ringback.sip.invite.outgoing import MAX_EARLY_DIALOGS
from ringback.sip.message import SipRequest, response_to
from ringback.sip.settings import SipSettings

MORE_CREDENTIALS = (Credentials("bob", "secret"),)


def challenge(nonce: str, realm: str = "carrier", stale: bool = False) -> str:
    return f'Digest realm="{realm}", nonce="{nonce}", algorithm=MD5, qop="auth"' + (", stale=true" if stale else "")


def acknowledged(peer: Peer, number: int = 0) -> SipRequest:
    return peer.requests("ACK")[number]


def test_the_invite_says_who_we_are() -> None:
    network, node = bench()
    peer = Peer(network, node)
    calling(node, headers=(("X-PH-Order", "42"),))
    invite = peer.requests("INVITE")[0]
    assert invite.uri_text == f"sip:200@{THEIRS}"
    assert invite.via.has_magic_branch
    assert invite.via.has_rport
    assert str(invite.from_).startswith('"Me" <sip:me@10.0.0.1>;tag=')
    assert invite.to.tag is None
    assert invite.headers.get("contact") == "<sip:me@10.0.0.1:5060>"
    assert invite.headers.get("allow") == "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"
    assert invite.headers.get("user-agent") == "Ringback"
    assert invite.headers.get("x-ph-order") == "42"
    assert (invite.cseq.number, invite.max_forwards, invite.body) == (1, 70, OFFER)
    assert "10.0.0.1" not in invite.call_id
    peer.respond(invite, 486)
    settle(network, node)


def test_whole_call_with_early_media() -> None:
    network, node = bench()
    peer = Peer(network, node)
    invite_id = calling(node)
    invite = peer.requests("INVITE")[0]
    peer.respond(invite, 100)
    peer.respond(invite, 183, sdp=ANSWER)
    peer.respond(invite, 180)
    peer.respond(invite, 200, sdp=ANSWER)
    assert node.names() == ["Progressed", "Progressed", "Answered"]
    first = node.events[0]
    assert isinstance(first, Progressed)
    assert (first.status, first.sdp) == (183, ANSWER)
    assert node.last(Answered).sdp == ANSWER
    assert len(peer.requests("ACK")) == 1
    node.endpoint.hangup(node.now, invite_id, "Q.850;cause=16")
    network.run(2)
    bye = peer.requests("BYE")[0]
    assert bye.cseq.number == 2
    assert bye.headers.get("reason") == "Q.850;cause=16"
    peer.respond(bye, 200)
    assert node.names()[-1] == "InviteEnded"
    settle(network, node)


def test_ack_goes_to_the_contact_over_the_reversed_route_with_its_own_branch_each_time() -> None:
    network, node = bench()
    peer = Peer(network, node)
    calling(node)
    invite = peer.requests("INVITE")[0]
    routes = (("Record-Route", "<sip:10.0.0.9;lr=on>, <sip:core.example;lr>"),)
    contact = f"<sip:desk@{THEIRS}:5080>"
    peer.respond(invite, 200, sdp=ANSWER, headers=routes, contact=contact)
    ack = acknowledged(peer)
    assert ack.uri_text == f"sip:desk@{THEIRS}:5080"
    assert ack.headers.all("route") == ("<sip:core.example;lr>", "<sip:10.0.0.9;lr=on>")
    assert ack.via.branch != invite.via.branch
    assert (ack.cseq.number, ack.to.tag, ack.body) == (1, "peer", b"")
    peer.respond(invite, 200, sdp=ANSWER, headers=routes, contact=contact)
    assert [sent.to_bytes() for sent in peer.requests("ACK")] == [ack.to_bytes()] * 2
    assert node.names() == ["Answered"]


def test_a_strict_first_route_becomes_the_request_uri() -> None:
    network, node = bench()
    peer = Peer(network, node)
    calling(node)
    invite = peer.requests("INVITE")[0]
    peer.respond(invite, 200, sdp=ANSWER, headers=(("Record-Route", f"<sip:far.example>, <sip:{THEIRS}>"),))
    ack = acknowledged(peer)
    assert ack.uri_text == f"sip:{THEIRS}"
    assert ack.headers.all("route") == ("<sip:far.example>", f"<sip:peer@{THEIRS}:5060>")


def test_a_preloaded_route_is_sent_and_goes_into_the_cancel() -> None:
    network, node = bench()
    peer = Peer(network, node)
    invite_id = calling(node, route=("<sip:proxy.example;lr>",))
    invite = peer.requests("INVITE")[0]
    assert invite.headers.all("route") == ("<sip:proxy.example;lr>",)
    peer.respond(invite, 180)
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    assert peer.requests("CANCEL")[0].headers.all("route") == ("<sip:proxy.example;lr>",)
    peer.respond(invite, 487)
    settle(network, node)


def test_every_fork_is_acknowledged_and_the_losers_hung_up() -> None:
    network, node = bench()
    peer = Peer(network, node)
    invite_id = calling(node)
    invite = peer.requests("INVITE")[0]
    peer.respond(invite, 180, tag="one")
    peer.respond(invite, 183, tag="two", sdp=ANSWER)
    assert node.endpoint.dialog_count == 2
    peer.respond(invite, 200, tag="two", sdp=ANSWER)
    peer.respond(invite, 200, tag="three", sdp=ANSWER)
    peer.respond(invite, 200, tag="three", sdp=ANSWER)
    assert [ack.to.tag for ack in peer.requests("ACK")] == ["two", "three", "three"]
    byes = peer.requests("BYE")
    assert [bye.to.tag for bye in byes] == ["three"]
    assert byes[0].headers.get("reason") == 'SIP;cause=200;text="Call completed elsewhere"'
    peer.respond(byes[0], 200)
    assert node.endpoint.dialog_count == 1
    assert [event.response.to.tag for event in node.events if isinstance(event, Progressed)] == ["one", "two"]
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    peer.respond(peer.requests("BYE")[1], 200)
    network.run(20_000)
    peer.respond(invite, 200, tag="four", sdp=ANSWER)
    assert peer.requests("ACK")[-1].to.tag == "four"
    peer.respond(peer.requests("BYE")[-1], 200)
    assert node.names().count("InviteEnded") == 1
    settle(network, node)


def test_requests_inside_an_early_dialog_are_answered() -> None:
    network, node = bench()
    peer = Peer(network, node)
    calling(node)
    invite = peer.requests("INVITE")[0]
    peer.respond(invite, 180)
    for number, (method, expected) in enumerate(
        (("OPTIONS", 200), ("INFO", 200), ("INVITE", 491), ("UPDATE", 405), ("BYE", 200)), start=1
    ):
        lines = [
            ("via", peer.new_via()),
            ("from", f"{invite.headers.get('to')};tag=peer"),
            ("to", invite.headers.get("from") or ""),
            ("call-id", invite.call_id),
            ("cseq", f"{number} {method}"),
            ("max-forwards", "70"),
        ]
        peer.send(SipRequest(method, "sip:me@10.0.0.1", lines))
        if method != "INVITE":
            assert peer.statuses(method) == [expected]
        else:
            assert peer.statuses(method)[-1] == expected
    peer.respond(invite, 486)
    assert node.names() == ["Progressed", "Refused", "InviteEnded"]
    settle(network, node)


def test_cancel_is_held_until_the_first_provisional_response() -> None:
    network, node = bench()
    peer = Peer(network, node)
    invite_id = calling(node)
    assert node.endpoint.hangup(node.now, invite_id, "SIP;cause=200")
    network.run(5_000)
    assert peer.requests("CANCEL") == []
    invite = peer.requests("INVITE")[0]
    peer.respond(invite, 100)
    cancel = peer.requests("CANCEL")[0]
    assert cancel.via == invite.via
    assert cancel.uri_text == invite.uri_text
    assert (cancel.cseq.number, cancel.cseq.method) == (invite.cseq.number, "CANCEL")
    assert cancel.to.tag is None
    assert cancel.from_ == invite.from_
    assert cancel.headers.get("reason") == "SIP;cause=200"
    peer.respond(cancel, 200)
    peer.respond(invite, 487)
    refused = node.last(Refused)
    assert (refused.status, refused.local, refused.detail) == (487, False, EndDetail.CANCELLED)
    assert peer.times("ACK")
    assert node.names() == ["Refused", "InviteEnded"]
    settle(network, node)


def test_a_200_that_crosses_the_cancel_is_acknowledged_and_hung_up() -> None:
    network, node = bench()
    peer = Peer(network, node)
    invite_id = calling(node)
    invite = peer.requests("INVITE")[0]
    peer.respond(invite, 180)
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    peer.respond(invite, 200, sdp=ANSWER)
    assert len(peer.requests("ACK")) == len(peer.requests("BYE")) == 1
    refused = node.last(Refused)
    assert (refused.status, refused.local, refused.detail) == (487, True, EndDetail.CANCELLED)
    peer.respond(peer.requests("CANCEL")[0], 481)
    peer.respond(peer.requests("BYE")[0], 200)
    assert node.names() == ["Progressed", "Refused", "InviteEnded"]
    settle(network, node)


def test_a_peer_that_ignores_cancel_is_given_up_after_64_t1() -> None:
    network, node = bench()
    peer = Peer(network, node)
    invite_id = calling(node)
    peer.respond(peer.requests("INVITE")[0], 180)
    node.endpoint.hangup(node.now, invite_id)
    network.run(31_900)
    assert node.names() == ["Progressed"]
    network.run(200)
    assert node.names() == ["Progressed", "Refused", "InviteEnded"]
    assert node.last(Refused).response is None
    settle(network, node)


@pytest.mark.parametrize("status", [404, 486, 603, 302])
def test_a_refusal_is_acknowledged_and_told(status: int) -> None:
    network, node = bench()
    peer = Peer(network, node)
    calling(node, targets=(target(THEIRS), target("10.0.0.8")))
    peer.respond(peer.requests("INVITE")[0], status, headers=(("Reason", "Q.850;cause=17"),))
    refused = node.last(Refused)
    assert (refused.status, refused.local, refused.detail) == (status, False, EndDetail.REMOTE)
    assert refused.response.headers.get("reason") == "Q.850;cause=17"
    assert len(peer.requests("ACK")) == 1
    settle(network, node)


def test_401_then_407_in_one_call() -> None:
    network, node = bench()
    peer = Peer(network, node)
    invite_id = calling(node, credentials=MORE_CREDENTIALS)
    first = peer.requests("INVITE")[0]
    peer.respond(first, 407, headers=(("Proxy-Authenticate", challenge("n1")),))
    second = peer.requests("INVITE")[1]
    assert "proxy-authorization" in second.headers
    assert second.via.branch != first.via.branch
    assert (second.call_id, second.from_.tag) == (first.call_id, first.from_.tag)
    assert second.cseq.number == first.cseq.number + 1
    peer.respond(second, 401, headers=(("WWW-Authenticate", challenge("n2", "far")),))
    third = peer.requests("INVITE")[2]
    assert "authorization" in third.headers
    assert "proxy-authorization" in third.headers
    peer.respond(third, 200, sdp=ANSWER)
    ack = peer.requests("ACK")[-1]
    assert ack.headers.get("authorization") == third.headers.get("authorization")
    assert ack.headers.get("proxy-authorization") == third.headers.get("proxy-authorization")
    assert ack.cseq.number == third.cseq.number
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    bye = peer.requests("BYE")[0]
    peer.respond(bye, 407, headers=(("Proxy-Authenticate", challenge("n3", stale=True)),))
    again = peer.requests("BYE")[1]
    assert 'nonce="n3"' in (again.headers.get("proxy-authorization") or "")
    assert again.cseq.number == bye.cseq.number + 1
    peer.respond(again, 200)
    assert node.names() == ["Answered", "InviteEnded"]
    settle(network, node)


def test_the_same_nonce_refused_twice_stops() -> None:
    network, node = bench()
    peer = Peer(network, node)
    calling(node, credentials=MORE_CREDENTIALS)
    for number in range(2):
        peer.respond(peer.requests("INVITE")[number], 407, headers=(("Proxy-Authenticate", challenge("n1")),))
    assert len(peer.requests("INVITE")) == 2
    refused = node.last(Refused)
    assert (refused.status, refused.detail) == (407, EndDetail.CREDENTIALS)
    settle(network, node)


def test_a_challenge_without_credentials_is_refused() -> None:
    network, node = bench()
    peer = Peer(network, node)
    calling(node)
    peer.respond(peer.requests("INVITE")[0], 401, headers=(("WWW-Authenticate", challenge("n1")),))
    assert node.last(Refused).detail is EndDetail.CREDENTIALS
    settle(network, node)


def test_503_goes_to_the_next_target_with_a_new_branch() -> None:
    network, node = bench()
    first, second = Peer(network, node), Peer(network, node, "10.0.0.8")
    calling(node, targets=(target(THEIRS), target("10.0.0.8")))
    refused = first.requests("INVITE")[0]
    first.respond(refused, 503)
    network.run(2)
    invite = second.requests("INVITE")[0]
    assert invite.via.branch != refused.via.branch
    second.respond(invite, 503)
    assert node.names() == ["Refused", "InviteEnded"]
    assert node.last(Refused).status == 503
    settle(network, node)


def test_a_silent_target_is_left_after_5_seconds_and_the_last_one_gets_32() -> None:
    network, node = bench()
    first, second = Peer(network, node), Peer(network, node, "10.0.0.8")
    calling(node, targets=(target(THEIRS), target("10.0.0.8")))
    network.run(60_000)
    assert 4_000 <= second.times("INVITE")[0] <= 6_000
    assert len(first.times("INVITE")) == 4
    assert second.times("INVITE")[-1] > 30_000
    refused = node.last(Refused)
    assert (refused.status, refused.local, refused.detail) == (408, True, EndDetail.TIMEOUT)
    settle(network, node)


def test_a_ringing_target_is_not_left() -> None:
    network, node = bench()
    first = Peer(network, node)
    invite_id = calling(node, targets=(target(THEIRS), target("10.0.0.8")))
    first.respond(first.requests("INVITE")[0], 180)
    network.run(300_000)
    assert node.names() == ["Progressed"]
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    first.respond(first.requests("INVITE")[0], 487)
    settle(network, node)


def test_a_transport_error_goes_on_at_once_and_the_last_one_is_told() -> None:
    network, node = bench()
    nobody = target("10.9.9.9", Transport.TCP)
    calling(node, targets=(nobody, nobody))
    network.run(10)
    refused = node.last(Refused)
    assert (refused.status, refused.local, refused.detail) == (503, True, EndDetail.TRANSPORT)
    settle(network, node)


def test_no_target_at_all_is_a_transport_failure() -> None:
    network, node = bench()
    calling(node, targets=())
    calling(node, targets=(target("2001:db8::1"),))
    assert node.names() == ["Refused", "InviteEnded"] * 2
    assert node.last(Refused).detail is EndDetail.TRANSPORT
    settle(network, node)


def test_a_large_request_goes_by_tcp_where_offered_and_falls_back_to_udp() -> None:
    large = (("X-PH-Long", "x" * 1_300),)
    both = (target(THEIRS), target(THEIRS, Transport.TCP))
    network, node = bench()
    peer = Peer(network, node)
    calling(node, targets=both, headers=large)
    assert peer.requests("INVITE")[0].via.transport == "TCP"
    network, node = bench()
    peer = Peer(network, node)
    calling(node, targets=both)
    assert peer.requests("INVITE")[0].via.transport == "UDP"
    network, node = bench()
    calling(node, targets=(target("10.9.9.9"), target("10.9.9.9", Transport.TCP)), headers=large)
    network.run(10)
    assert [sent.to.transport for sent in node.sent] == [Transport.TCP, Transport.UDP]


def test_delayed_offer_is_answered_in_the_ack() -> None:
    network, node = bench()
    peer = Peer(network, node)
    invite_id = calling(node, sdp=None)
    invite = peer.requests("INVITE")[0]
    assert "content-type" not in invite.headers
    peer.respond(invite, 200, sdp=OFFER)
    peer.respond(invite, 200, sdp=OFFER)
    assert node.last(Answered).sdp == OFFER
    assert peer.requests("ACK") == []
    assert node.endpoint.ack_with(node.now, invite_id, ANSWER)
    assert not node.endpoint.ack_with(node.now, invite_id, ANSWER)
    network.run(2)
    assert [ack.body for ack in peer.requests("ACK")] == [ANSWER]
    peer.respond(invite, 200, sdp=OFFER)
    assert [ack.body for ack in peer.requests("ACK")] == [ANSWER, ANSWER]
    settle_by_bye(network, node, peer, invite_id)


def test_an_owner_that_never_answers_an_offer_loses_the_call() -> None:
    network, node = bench()
    peer = Peer(network, node)
    calling(node, sdp=None)
    peer.respond(peer.requests("INVITE")[0], 200, sdp=OFFER)
    network.run(33_000)
    assert node.last(HungUp).detail is EndDetail.NO_ANSWER_FROM_OWNER
    assert len(peer.requests("ACK")) == 1
    peer.respond(peer.requests("BYE")[0], 200)
    settle(network, node)


def test_hangup_while_an_answer_is_due_acknowledges_first() -> None:
    network, node = bench()
    peer = Peer(network, node)
    invite_id = calling(node, sdp=None)
    peer.respond(peer.requests("INVITE")[0], 200, sdp=OFFER)
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    assert len(peer.requests("ACK")) == len(peer.requests("BYE")) == 1
    peer.respond(peer.requests("BYE")[0], 200)
    assert node.names() == ["Answered", "InviteEnded"]
    settle(network, node)


def test_a_200_without_contact_is_acknowledged_to_the_request_uri() -> None:
    network, node = bench()
    peer = Peer(network, node)
    invite_id = calling(node)
    peer.respond(peer.requests("INVITE")[0], 200, sdp=ANSWER, contact="")
    assert acknowledged(peer).uri_text == f"sip:200@{THEIRS}"
    settle_by_bye(network, node, peer, invite_id)


@pytest.mark.parametrize("header", [("X-Bad", "a\r\nEvil: 1"), ("Via", "SIP/2.0/UDP x"), ("a b", "c")])
def test_unsafe_headers_are_refused_before_anything_is_sent(header: tuple[str, str]) -> None:
    _, node = bench()
    with pytest.raises(UnsafeHeader):
        calling(node, headers=(header,))
    assert node.endpoint.is_idle
    assert node.sent == []


def test_calls_beyond_the_bound_are_refused() -> None:
    _, node = bench(replace(SipSettings(), max_invites=2))
    for _ in range(2):
        calling(node)
    with pytest.raises(LimitReached):
        calling(node)
    assert node.endpoint.call_count == 2


def test_a_full_transaction_table_ends_the_attempt_locally() -> None:
    network, node = bench(replace(SipSettings(), max_client_transactions=1))
    Peer(network, node)
    calling(node)
    calling(node)
    refused = node.last(Refused)
    assert (refused.status, refused.detail) == (503, EndDetail.LIMIT)
    assert node.endpoint.call_count == 1


def test_verbs_of_the_called_side_do_nothing() -> None:
    network, node = bench()
    Peer(network, node)
    invite_id = calling(node)
    endpoint = node.endpoint
    assert not endpoint.progress(node.now, invite_id, 180)
    assert not endpoint.answer(node.now, invite_id, ANSWER)
    assert not endpoint.reject(node.now, invite_id, 486)
    assert not endpoint.drop(node.now, invite_id)
    assert not endpoint.reoffer(node.now, invite_id, OFFER)
    assert not endpoint.accept_reoffer(node.now, invite_id, OFFER)
    assert not endpoint.refuse_reoffer(node.now, invite_id, 488)
    assert not endpoint.ack_with(node.now, invite_id, ANSWER)
    assert not endpoint.send_info(node.now, invite_id, "application/dtmf", b"1")


def settle_by_bye(network, node, peer, invite_id) -> None:  # type: ignore[no-untyped-def]
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    peer.respond(peer.requests("BYE")[0], 200)
    settle(network, node)


def test_a_cancel_that_finds_the_table_full_ends_after_64_t1() -> None:
    network, node = bench(replace(SipSettings(), max_client_transactions=1))
    peer = Peer(network, node)
    invite_id = calling(node)
    peer.respond(peer.requests("INVITE")[0], 180)
    node.endpoint.hangup(node.now, invite_id)
    network.run(32_100)
    assert peer.requests("CANCEL") == []
    assert node.last(Refused).detail is EndDetail.CANCELLED
    settle(network, node)


def test_no_more_forks_than_the_bound_are_told_apart_and_hung_up() -> None:
    network, node = bench()
    peer = Peer(network, node)
    invite_id = calling(node)
    invite = peer.requests("INVITE")[0]
    for number in range(MAX_EARLY_DIALOGS + 1):
        peer.respond(invite, 180, tag=f"early{number}")
    assert node.endpoint.dialog_count == MAX_EARLY_DIALOGS
    for number in range(MAX_EARLY_DIALOGS + 1):
        peer.respond(invite, 200, tag=f"late{number}", sdp=ANSWER)
    assert len(peer.requests("ACK")) == MAX_EARLY_DIALOGS
    assert len(peer.requests("BYE")) == MAX_EARLY_DIALOGS - 1
    assert node.endpoint.dialog_count == 1
    settle_by_bye(network, node, peer, invite_id)


def test_a_dialog_that_cannot_be_founded_is_a_bad_gateway() -> None:
    network, node = bench()
    peer = Peer(network, node)
    calling(node)
    routes = tuple(("record-route", f"<sip:p{number}.example;lr>") for number in range(33))
    # The parser refuses so many routes already; this is the second line of defence.
    response = response_to(peer.requests("INVITE")[0], 200, to_tag="far", headers=routes)
    flow = Flow(Transport.UDP, ("10.0.0.1", 5060), (THEIRS, 5060))
    ringing = response_to(peer.requests("INVITE")[0], 180, to_tag="far", headers=routes)
    assert node.endpoint.transactions.receive_response(node.now, ringing, flow)
    assert node.endpoint.dialog_count == 0
    assert node.endpoint.transactions.receive_response(node.now, response, flow)
    assert node.endpoint.transactions.receive_response(node.now, response, flow)
    network.run(2)
    assert node.last(Refused).status == 502
    assert peer.requests("ACK") == []
    settle(network, node)


def test_requests_of_a_lost_fork_and_out_of_order_ones_are_refused() -> None:
    network, node = bench()
    peer = Peer(network, node)
    invite_id = calling(node)
    invite = peer.requests("INVITE")[0]
    peer.respond(invite, 180, tag="one")

    def options(tag: str, cseq: int) -> None:
        lines = [
            ("via", peer.new_via()),
            ("from", f"{invite.headers.get('to')};tag={tag}"),
            ("to", invite.headers.get("from") or ""),
            ("call-id", invite.call_id),
            ("cseq", f"{cseq} OPTIONS"),
            ("max-forwards", "70"),
        ]
        peer.send(SipRequest("OPTIONS", "sip:me@10.0.0.1", lines))

    options("one", 7)
    options("one", 7)
    peer.respond(invite, 200, tag="two", sdp=ANSWER)
    options("one", 8)
    options("two", 1)
    assert peer.statuses("OPTIONS") == [200, 500, 481, 200]
    settle_by_bye(network, node, peer, invite_id)


def test_the_order_of_requests_goes_on_from_the_early_dialog() -> None:
    network, node = bench()
    peer = Peer(network, node)
    invite_id = calling(node)
    invite = peer.requests("INVITE")[0]
    peer.respond(invite, 180)
    lines = [
        ("from", f"{invite.headers.get('to')};tag=peer"),
        ("to", invite.headers.get("from") or ""),
        ("call-id", invite.call_id),
        ("cseq", "7 OPTIONS"),
        ("max-forwards", "70"),
    ]
    peer.send(SipRequest("OPTIONS", "sip:me@10.0.0.1", [("via", peer.new_via()), *lines]))
    peer.respond(invite, 200, sdp=ANSWER)
    peer.send(SipRequest("OPTIONS", "sip:me@10.0.0.1", [("via", peer.new_via()), *lines]))
    assert peer.statuses("OPTIONS") == [200, 500]
    settle_by_bye(network, node, peer, invite_id)


def test_the_peer_renegotiates_a_call_that_we_placed() -> None:
    network, node = bench()
    peer = Peer(network, node)
    invite_id = calling(node)
    invite = peer.requests("INVITE")[0]
    peer.respond(invite, 200, sdp=ANSWER)

    def of_peer(method: str, via: str | None = None) -> SipRequest:
        lines = [
            ("via", via or peer.new_via()),
            ("from", f"{invite.headers.get('to')};tag=peer"),
            ("to", invite.headers.get("from") or ""),
            ("call-id", invite.call_id),
            ("cseq", f"1 {method}"),
            ("max-forwards", "70"),
            ("contact", f"<sip:peer@{THEIRS}:5060>"),
        ]
        return SipRequest(method, "sip:me@10.0.0.1", lines)

    peer.send(of_peer("INVITE"))
    assert node.endpoint.accept_reoffer(node.now, invite_id, OFFER)
    assert not node.endpoint.refuse_reoffer(node.now, invite_id, 488)
    network.run(2)
    peer.send(of_peer("ACK"))
    assert node.names()[-2:] == ["Reoffered", "ReofferConfirmed"]
    settle_by_bye(network, node, peer, invite_id)
