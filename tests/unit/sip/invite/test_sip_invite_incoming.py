"""Incoming calls: provisional responses, the 200 and its ACK, CANCEL, BYE, and everything that can cross."""

from __future__ import annotations

import pytest
from tests.support.sip_peer import ANSWER, OFFER, Caller, bench, settle

from ringback.sip.endpoint import EndDetail, HungUp, InviteReceived, Transport

REPEATS_MS = [500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]


def test_whole_call() -> None:
    network, node = bench()
    caller = Caller(network, node)
    invite_id = caller.invite()
    received = node.last(InviteReceived)
    assert received.offer == OFFER
    assert received.flow.remote == (caller.host, 5060)
    node.endpoint.progress(node.now, invite_id, 180, headers=(("X-CallUUID", "u1"),))
    node.endpoint.answer(node.now, invite_id, ANSWER)
    network.run(2)
    caller.ack()
    caller.in_dialog("BYE", headers=(("Reason", "Q.850;cause=16"),))
    assert caller.statuses("INVITE") == [180, 200]
    assert caller.responses("INVITE")[0].headers.get("x-calluuid") == "u1"
    assert caller.responses("INVITE")[1].body == ANSWER
    assert caller.statuses("BYE") == [200]
    assert node.names() == ["InviteReceived", "Confirmed", "HungUp", "InviteEnded"]
    hung_up = node.last(HungUp)
    assert hung_up.detail is EndDetail.REMOTE
    assert hung_up.request.headers.get("reason") == "Q.850;cause=16"
    settle(network, node)


def test_100_follows_by_itself_after_200_ms_and_not_before() -> None:
    network, node = bench()
    caller = Caller(network, node)
    invite_id = caller.invite()
    network.run(190)
    assert caller.statuses("INVITE") == []
    network.run(20)
    assert caller.statuses("INVITE") == [100]
    assert caller.responses("INVITE")[0].to.tag is None
    node.endpoint.reject(node.now, invite_id, 486)
    settle(network, node)


@pytest.mark.parametrize("transport", list(Transport))
def test_200_is_repeated_on_every_transport_until_the_ack_is_given_up(transport: Transport) -> None:
    network, node = bench()
    caller = Caller(network, node, transport=transport)
    invite_id = caller.invite()
    started = network.now // 1_000_000
    node.endpoint.answer(node.now, invite_id, ANSWER)
    network.run(33_000)
    assert [at - started - 1 for at in caller.times("INVITE", 200)] == [0, *REPEATS_MS]
    assert node.last(HungUp).detail is EndDetail.NO_ACK
    byes = caller.requests("BYE")
    assert byes
    caller.respond(byes[0], 200)
    assert node.names()[-1] == "InviteEnded"
    settle(network, node)


def test_a_late_ack_stops_the_repeats() -> None:
    network, node = bench()
    caller = Caller(network, node)
    invite_id = caller.invite()
    node.endpoint.answer(node.now, invite_id, ANSWER)
    network.run(20_000)
    caller.ack()
    count = len(caller.times("INVITE", 200))
    network.run(60_000)
    assert len(caller.times("INVITE", 200)) == count
    assert node.names()[-1] == "Confirmed"
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    caller.respond(caller.requests("BYE")[0], 200)
    settle(network, node)


def test_an_ack_with_the_branch_of_its_invite_is_accepted() -> None:
    network, node = bench()
    caller = Caller(network, node)
    invite_id = caller.invite()
    node.endpoint.answer(node.now, invite_id, ANSWER)
    network.run(2)
    assert caller.invite_request is not None
    caller.ack(via=caller.invite_request.headers.get("via"))
    assert node.names()[-1] == "Confirmed"
    caller.in_dialog("BYE")
    settle(network, node)


def test_repeated_acks_confirm_once() -> None:
    network, node = bench()
    caller = Caller(network, node)
    node.endpoint.answer(node.now, caller.invite(), ANSWER)
    network.run(2)
    caller.ack()
    caller.ack()
    assert node.names().count("Confirmed") == 1
    caller.in_dialog("BYE")
    settle(network, node)


def test_cancel_gets_200_and_the_invite_487_with_the_same_tag() -> None:
    network, node = bench()
    caller = Caller(network, node)
    invite_id = caller.invite()
    node.endpoint.progress(node.now, invite_id, 180)
    network.run(2)
    caller.cancel()
    assert caller.statuses("CANCEL") == [200]
    assert caller.statuses("INVITE") == [180, 487]
    tags = {response.to.tag for response in (*caller.responses("INVITE"), *caller.responses("CANCEL"))}
    assert len(tags) == 1
    assert node.names() == ["InviteReceived", "CancelReceived", "InviteEnded"]
    assert not node.endpoint.answer(node.now, invite_id, ANSWER)
    assert not node.endpoint.hangup(node.now, invite_id)
    assert caller.invite_request is not None
    caller.ack(via=caller.invite_request.headers.get("via"))
    settle(network, node)


def test_cancel_after_the_200_has_no_effect() -> None:
    network, node = bench()
    caller = Caller(network, node)
    node.endpoint.answer(node.now, caller.invite(), ANSWER)
    network.run(2)
    caller.cancel()
    assert caller.statuses("CANCEL") == [200]
    caller.ack()
    assert node.names() == ["InviteReceived", "Confirmed"]
    caller.in_dialog("BYE")
    settle(network, node)


def test_cancel_of_nothing_gets_481() -> None:
    network, node = bench()
    caller = Caller(network, node)
    caller.invite_request = caller.request("INVITE", to_tag="")
    caller.cancel()
    assert caller.statuses("CANCEL") == [481]
    network.run_out()
    assert node.endpoint.is_idle


def test_early_bye_gets_200_and_the_invite_487() -> None:
    network, node = bench()
    caller = Caller(network, node)
    node.endpoint.progress(node.now, caller.invite(), 180)
    network.run(2)
    caller.in_dialog("BYE")
    assert caller.statuses("BYE") == [200]
    assert caller.statuses("INVITE") == [180, 487]
    assert node.names() == ["InviteReceived", "CancelReceived", "InviteEnded"]
    settle(network, node)


def test_bye_before_the_ack_stops_the_200_and_ends_the_call() -> None:
    network, node = bench()
    caller = Caller(network, node)
    node.endpoint.answer(node.now, caller.invite(), ANSWER)
    network.run(2)
    caller.in_dialog("BYE")
    network.run(40_000)
    assert caller.statuses("INVITE") == [200]
    assert caller.statuses("BYE") == [200]
    assert node.names() == ["InviteReceived", "HungUp", "InviteEnded"]
    settle(network, node)


def test_ringing_is_repeated_every_minute() -> None:
    network, node = bench()
    caller = Caller(network, node)
    invite_id = caller.invite()
    node.endpoint.progress(node.now, invite_id, 183, ANSWER)
    network.run(125_000)
    assert caller.statuses("INVITE") == [183, 183, 183]
    assert all(response.body == ANSWER for response in caller.responses("INVITE"))
    node.endpoint.reject(node.now, invite_id, 486, "Busy Elsewhere", (("Retry-After", "5"),))
    network.run(2)
    refusal = caller.responses("INVITE")[-1]
    assert (refusal.status, refusal.reason, refusal.headers.get("retry-after")) == (486, "Busy Elsewhere", "5")
    settle(network, node)


def test_delayed_offer_takes_the_answer_from_the_ack() -> None:
    network, node = bench()
    caller = Caller(network, node)
    invite_id = caller.invite(offer=b"")
    assert node.last(InviteReceived).offer is None
    node.endpoint.answer(node.now, invite_id, OFFER)
    network.run(2)
    caller.ack(ANSWER)
    assert node.events[-1].sdp == ANSWER
    caller.in_dialog("BYE")
    settle(network, node)


def test_delayed_offer_without_an_answer_is_hung_up() -> None:
    network, node = bench()
    caller = Caller(network, node)
    node.endpoint.answer(node.now, caller.invite(offer=b""), OFFER)
    network.run(2)
    caller.ack()
    assert node.last(HungUp).detail is EndDetail.NO_ANSWER_IN_ACK
    caller.respond(caller.requests("BYE")[0], 200)
    settle(network, node)


def test_our_bye_waits_for_the_ack_of_our_200() -> None:
    network, node = bench()
    caller = Caller(network, node)
    invite_id = caller.invite()
    node.endpoint.answer(node.now, invite_id, ANSWER)
    assert node.endpoint.hangup(node.now, invite_id, "Q.850;cause=16")
    network.run(3_000)
    assert caller.requests("BYE") == []
    caller.ack()
    assert [bye.headers.get("reason") for bye in caller.requests("BYE")] == ["Q.850;cause=16"]
    caller.respond(caller.requests("BYE")[0], 200)
    assert node.names() == ["InviteReceived", "InviteEnded"]
    settle(network, node)


def test_hangup_before_an_answer_is_480_and_idempotent() -> None:
    network, node = bench()
    caller = Caller(network, node)
    invite_id = caller.invite()
    assert node.endpoint.hangup(node.now, invite_id)
    assert not node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    assert caller.statuses("INVITE") == [480]
    assert node.names() == ["InviteReceived", "InviteEnded"]
    settle(network, node)


def test_a_dropped_invite_is_never_answered_however_often_it_is_repeated() -> None:
    network, node = bench()
    caller = Caller(network, node)
    invite_id = caller.invite()
    assert node.endpoint.drop(node.now, invite_id)
    assert caller.invite_request is not None
    for _ in range(5):
        caller.send(caller.invite_request)
        network.run(1_000)
    assert caller.received == []
    assert node.names() == ["InviteReceived", "InviteEnded"]
    settle(network, node)


def test_a_repeated_invite_never_makes_a_second_call() -> None:
    network, node = bench()
    caller = Caller(network, node)
    invite_id = caller.invite()
    invite = caller.invite_request
    assert invite is not None
    caller.send(invite)
    node.endpoint.progress(node.now, invite_id, 180)
    caller.send(invite)
    node.endpoint.answer(node.now, invite_id, ANSWER)
    caller.send(invite)
    caller.ack()
    caller.send(invite)
    caller.in_dialog("BYE")
    caller.send(invite)
    assert node.names().count("InviteReceived") == 1
    settle(network, node)


def test_requests_go_over_the_recorded_route_to_the_contact() -> None:
    network, node = bench()
    caller = Caller(network, node)
    routes = (
        ("Record-Route", "<sip:10.0.0.9;lr=on>, <sip:edge.example;lr>"),
        ("Record-Route", "<sip:core.example;lr>"),
    )
    invite_id = caller.invite(headers=routes)
    node.endpoint.answer(node.now, invite_id, ANSWER)
    network.run(2)
    caller.ack()
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    bye = caller.requests("BYE")[0]
    assert bye.uri_text == "sip:peer@10.0.0.9:5060"
    expected = ("<sip:10.0.0.9;lr=on>", "<sip:edge.example;lr>", "<sip:core.example;lr>")
    assert bye.headers.all("route") == expected
    assert caller.responses("INVITE")[0].headers.all("record-route") == expected
    assert (bye.from_.tag, bye.to.tag) == (caller.tag, "peer-tag")
    caller.respond(bye, 200)
    settle(network, node)


def test_contact_names_address_port_and_transport_of_the_listener_without_display_name() -> None:
    for transport, expected in (
        (Transport.UDP, "<sip:100@10.0.0.1:5060>"),
        (Transport.TCP, "<sip:100@10.0.0.1:5060;transport=tcp>"),
    ):
        network, node = bench()
        caller = Caller(network, node, transport=transport)
        invite_id = caller.invite()
        node.endpoint.progress(node.now, invite_id, 180)
        network.run(2)
        assert caller.responses("INVITE")[0].headers.get("contact") == expected
        node.endpoint.reject(node.now, invite_id, 486)
        settle(network, node)


def test_requests_in_the_dialog_are_answered_by_their_kind() -> None:
    network, node = bench()
    caller = Caller(network, node)
    node.endpoint.answer(node.now, caller.invite(), ANSWER)
    network.run(2)
    caller.in_dialog("INVITE", body=OFFER)
    assert caller.statuses("INVITE")[-1] == 491
    caller.ack()
    caller.in_dialog("OPTIONS")
    caller.in_dialog("INFO", b"Signal=5\r\n", (("content-type", "application/dtmf-relay"),))
    caller.in_dialog("INFO", b"<x/>", (("content-type", "application/xml"),))
    caller.in_dialog("INFO")
    caller.in_dialog("UPDATE")
    caller.in_dialog("NOTIFY")
    assert caller.statuses("OPTIONS") == [200]
    assert caller.statuses("INFO") == [200, 415, 200]
    assert caller.responses("INFO")[1].headers.get("accept") == "application/dtmf-relay, application/dtmf"
    assert caller.statuses("UPDATE") == caller.statuses("NOTIFY") == [405]
    infos = [event for event in node.events if type(event).__name__ == "InfoReceived"]
    assert [(info.content_type, info.body) for info in infos] == [("application/dtmf-relay", b"Signal=5\r\n")]
    caller.in_dialog("BYE")
    settle(network, node)


def test_a_request_out_of_order_gets_500_and_changes_nothing() -> None:
    network, node = bench()
    caller = Caller(network, node)
    node.endpoint.answer(node.now, caller.invite(), ANSWER)
    network.run(2)
    caller.ack()
    caller.in_dialog("OPTIONS")
    caller.send(caller.request("BYE", cseq=1))
    assert caller.statuses("BYE") == [500]
    assert node.names()[-1] == "Confirmed"
    caller.in_dialog("BYE")
    settle(network, node)


def test_crossing_byes_are_both_answered() -> None:
    network, node = bench()
    caller = Caller(network, node)
    invite_id = caller.invite()
    node.endpoint.answer(node.now, invite_id, ANSWER)
    network.run(2)
    caller.ack()
    node.endpoint.hangup(node.now, invite_id)
    caller.in_dialog("BYE")
    assert caller.statuses("BYE") == [200]
    caller.respond(caller.requests("BYE")[0], 481)
    assert node.names() == ["InviteReceived", "Confirmed", "InviteEnded"]
    settle(network, node)


def test_a_bye_that_nobody_answers_ends_after_timer_f() -> None:
    network, node = bench()
    caller = Caller(network, node)
    invite_id = caller.invite()
    node.endpoint.answer(node.now, invite_id, ANSWER)
    network.run(2)
    caller.ack()
    node.endpoint.hangup(node.now, invite_id)
    network.run(31_000)
    assert node.names()[-1] == "Confirmed"
    network.run(2_000)
    assert node.names()[-1] == "InviteEnded"
    assert len(caller.requests("BYE")) > 5
    settle(network, node)
