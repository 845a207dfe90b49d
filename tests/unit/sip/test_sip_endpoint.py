"""Routing of requests: what is answered, with what, what is dropped, and what happens at every bound."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.sip_peer import ANSWER, OFFER, Caller, Peer, bench, calling, settle
from tests.support.sip_transactions import request as plain_request

from ringback.errors import InvalidParameter
from ringback.sip.endpoint import (
    DatagramArrived,
    Endpoint,
    Flow,
    InviteId,
    InviteReceived,
    MessageArrived,
    Transport,
)
from ringback.sip.flow import Listener, Transmit
from ringback.sip.parser import SipParseError, StreamFramer
from ringback.sip.settings import SipSettings
from ringback.sip.trace import SipTrace


def test_options_to_anybody_is_200_and_says_what_works() -> None:
    network, node = bench()
    caller = Caller(network, node)
    caller.uri = "sip:whoever@10.0.0.1"
    caller.send(caller.request("OPTIONS", to_tag=""))
    response = caller.responses("OPTIONS")[0]
    assert response.status == 200
    assert response.headers.all("allow") == ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO")
    assert response.headers.get("accept") == "application/sdp"
    assert "supported" in response.headers
    assert response.to.tag
    assert response.headers.get("server") == "Ringback"
    settle(network, node)


@pytest.mark.parametrize("method", ["REGISTER", "SUBSCRIBE", "PUBLISH", "MESSAGE", "UPDATE", "FOO"])
def test_other_methods_are_405_with_allow(method: str) -> None:
    network, node = bench()
    caller = Caller(network, node)
    caller.send(caller.request(method, to_tag=""))
    assert caller.statuses(method) == [405]
    assert caller.responses(method)[0].headers.get("allow")
    settle(network, node)


@pytest.mark.parametrize("method", ["INVITE", "BYE", "INFO", "OPTIONS", "UPDATE"])
def test_requests_of_unknown_dialogs_are_481(method: str) -> None:
    network, node = bench()
    caller = Caller(network, node)
    caller.send(caller.request(method, to_tag="nobody"))
    assert caller.statuses(method) == [481]
    assert node.events == []
    settle_after_failure(network, node, caller)


@pytest.mark.parametrize("method", ["BYE", "INFO"])
def test_bye_and_info_without_a_dialog_are_481(method: str) -> None:
    network, node = bench()
    caller = Caller(network, node)
    caller.send(caller.request(method, to_tag=""))
    assert caller.statuses(method) == [481]
    settle(network, node)


def test_unknown_extensions_are_420_and_named() -> None:
    network, node = bench()
    caller = Caller(network, node)
    caller.send(caller.request("INVITE", body=OFFER, to_tag="", headers=(("Require", "100rel, foo"),)))
    assert caller.statuses("INVITE") == [420]
    assert caller.responses("INVITE")[0].headers.get("unsupported") == "100rel, foo"
    assert node.events == []


@pytest.mark.parametrize(
    ("headers", "body", "status"),
    [
        ((("content-type", "text/plain"),), b"hello", 415),
        ((("content-encoding", "gzip"), ("content-type", "application/sdp")), b"zipped", 415),
        ((("accept", "text/plain"),), OFFER, 406),
        ((("accept", "nonsense"),), OFFER, 406),
    ],
)
def test_bodies_that_we_cannot_read_or_send(headers: tuple[tuple[str, str], ...], body: bytes, status: int) -> None:
    network, node = bench()
    caller = Caller(network, node)
    caller.send(caller.request("INVITE", body=body, to_tag="", headers=headers))
    assert caller.statuses("INVITE") == [status]
    assert node.events == []


def test_an_accept_that_covers_sdp_is_fine() -> None:
    network, node = bench()
    caller = Caller(network, node)
    caller.invite(headers=(("accept", "text/plain, application/*"),))
    assert node.names() == ["InviteReceived"]


def test_an_unknown_scheme_is_416() -> None:
    network, node = bench()
    caller = Caller(network, node)
    caller.uri = "mailto:somebody@example.com"
    caller.send(caller.request("INVITE", body=OFFER, to_tag=""))
    assert caller.statuses("INVITE") == [416]
    assert node.events == []


def test_tel_uris_ring() -> None:
    network, node = bench()
    caller = Caller(network, node)
    caller.uri = "tel:+15550001000"
    caller.invite()
    assert node.last(InviteReceived).request.uri_text == "tel:+15550001000"


def test_an_invite_without_contact_rings_and_is_hung_up_at_its_from() -> None:
    network, node = bench()
    caller = Caller(network, node)
    caller.send(caller.request("INVITE", body=OFFER, to_tag="", contact=None))
    invite_id = node.last(InviteReceived).invite_id
    node.endpoint.answer(node.now, invite_id, ANSWER)
    network.run(2)
    caller.ack()
    node.endpoint.hangup(node.now, invite_id)
    network.run(2)
    assert caller.requests("BYE")[0].uri_text == f"sip:peer@{caller.host}"


def test_a_copy_over_another_path_is_482_and_rings_once() -> None:
    network, node = bench()
    caller = Caller(network, node)
    invite_id = caller.invite()
    caller.send(caller.request("INVITE", body=OFFER, to_tag=""))
    assert caller.statuses("INVITE") == [482]
    assert node.names() == ["InviteReceived"]
    node.endpoint.reject(node.now, invite_id, 486)


def test_malformed_requests_are_400_with_what_was_found() -> None:
    network, node = bench()
    caller = Caller(network, node)
    text = caller.request("OPTIONS", to_tag="").to_bytes().replace(b"CSeq: 1 OPTIONS", b"CSeq: 1 INVITE")
    caller.send_bytes(text)
    response = caller.received[0][1]
    assert getattr(response, "status", None) == 400
    assert getattr(response, "reason", "").startswith("Bad Request: ")
    assert node.endpoint.counters.malformed == 1
    assert node.endpoint.is_idle


def test_another_version_is_505() -> None:
    network, node = bench()
    caller = Caller(network, node)
    caller.send_bytes(caller.request("OPTIONS", to_tag="").to_bytes().replace(b"SIP/2.0\r\n", b"SIP/7.0\r\n", 1))
    assert [getattr(message, "status", None) for _, message in caller.received] == [505]


@pytest.mark.parametrize("payload", [b"", b"\r\n\r\n", b"\0", b"garbage", b"INVITE sip:a@b SIP/2.0\r\n\r\n"])
def test_garbage_is_dropped_without_a_trace(payload: bytes) -> None:
    network, node = bench()
    caller = Caller(network, node)
    caller.send_bytes(payload)
    assert caller.received == []
    assert node.endpoint.is_idle


def test_stray_responses_and_acks_are_counted_and_dropped() -> None:
    network, node = bench()
    caller = Caller(network, node)
    caller.send(caller.request("ACK", to_tag="nobody"))
    peer = Peer(network, node, "10.0.0.8")
    peer.respond(caller.request("INVITE", to_tag=""), 200, sdp=ANSWER)
    counters = node.endpoint.counters
    assert (counters.stray_acks, counters.stray_responses) == (1, 1)
    assert node.sent == []
    assert node.endpoint.is_idle


def test_while_draining_new_calls_and_options_are_503_and_calls_go_on() -> None:
    network, node = bench()
    caller = Caller(network, node)
    node.endpoint.answer(node.now, caller.invite(), ANSWER)
    network.run(2)
    caller.ack()
    node.endpoint.is_draining = True
    other = Caller(network, node, "10.0.0.8")
    other.call_id = "other"
    other.send(other.request("INVITE", body=OFFER, to_tag=""))
    other.send(other.request("OPTIONS", to_tag=""))
    assert other.statuses("INVITE") == other.statuses("OPTIONS") == [503]
    assert 5 <= int(other.responses("INVITE")[0].headers.get("retry-after") or "0") <= 15
    caller.in_dialog("OPTIONS")
    caller.in_dialog("BYE")
    assert caller.statuses("OPTIONS") == caller.statuses("BYE") == [200]


def test_an_unready_node_says_so_to_options_and_lets_calls_find_out() -> None:
    network, node = bench()
    caller = Caller(network, node)
    node.endpoint.is_unready = True
    caller.send(caller.request("OPTIONS", to_tag=""))
    assert caller.statuses("OPTIONS") == [503]
    node.endpoint.answer(node.now, caller.invite(), ANSWER)
    network.run(2)
    caller.ack()
    caller.in_dialog("OPTIONS")
    assert caller.statuses("OPTIONS") == [503, 200]


def test_calls_beyond_the_bound_are_503_and_those_within_untouched() -> None:
    network, node = bench(replace(SipSettings(), max_invites=1))
    caller, other = Caller(network, node), Caller(network, node, "10.0.0.8")
    other.call_id = "other"
    invite_id = caller.invite()
    other.send(other.request("INVITE", body=OFFER, to_tag=""))
    assert other.statuses("INVITE") == [503]
    assert other.responses("INVITE")[0].headers.get("retry-after")
    assert node.endpoint.counters.overloads == 1
    node.endpoint.answer(node.now, invite_id, ANSWER)
    network.run(2)
    assert caller.statuses("INVITE") == [200]


def test_transactions_beyond_the_bound_are_503_without_state() -> None:
    network, node = bench(replace(SipSettings(), max_server_transactions=1))
    caller = Caller(network, node)
    caller.send(caller.request("OPTIONS", to_tag=""))
    caller.send(caller.request("OPTIONS", to_tag="", cseq=2))
    assert caller.statuses("OPTIONS") == [200, 503]
    assert node.endpoint.transactions.server_count == 1


def untrusted(settings: SipSettings) -> Endpoint:
    tokens = iter(range(10**6))
    endpoint = Endpoint(
        settings, lambda: f"token{next(tokens)}", lambda: 0.5, is_trusted=lambda host: host == "192.0.2.1"
    )
    endpoint.listeners = (Listener(Transport.UDP, "192.0.2.9", 5060, "192.0.2.9", 5060),)
    return endpoint


def statuses(endpoint: Endpoint) -> list[bytes]:
    found = []
    while (output := endpoint.poll_output()) is not None:
        if isinstance(output, Transmit):
            found.append(output.payload[8:11])
    return found


def test_untrusted_sources_are_dropped_beyond_their_rate_and_others_are_not() -> None:
    endpoint = untrusted(replace(SipSettings(), source_rate_per_s=10.0, source_burst=3))
    flow = Flow(Transport.UDP, ("192.0.2.9", 5060), ("203.0.113.5", 5060))

    def knock(now_ms: int, number: int, host: str = "203.0.113.5") -> list[bytes]:
        message = plain_request("OPTIONS", branch=f"z9hG4bK{host}{number}", cseq=number + 1)
        arrival = DatagramArrived(replace(flow, remote=(host, 5060)), message.to_bytes())
        endpoint.handle_input(now_ms * 1_000_000, arrival)  # type: ignore[arg-type]
        return statuses(endpoint)

    assert [knock(0, number) for number in range(4)] == [[b"200"]] * 3 + [[]]
    assert knock(0, 10, "203.0.113.6") == [b"200"]
    assert [knock(0, 20 + number, "192.0.2.1") for number in range(5)] == [[b"200"]] * 5
    assert knock(100, 5) == [b"200"]
    assert knock(100, 6) == []
    assert endpoint.counters.over_rate == 2
    # What was dropped left no state: the same request is answered once its source is within its rate again.
    assert knock(1_000, 3) == [b"200"]


def test_malformed_floods_are_within_the_rate_too() -> None:
    endpoint = untrusted(replace(SipSettings(), source_rate_per_s=1.0, source_burst=2))
    flow = Flow(Transport.UDP, ("192.0.2.9", 5060), ("203.0.113.5", 5060))
    for number in range(5):
        payload = plain_request("OPTIONS", branch=f"z9hG4bK{number}").to_bytes().replace(b"1 OPTIONS", b"1 INVITE")
        endpoint.handle_input(0, DatagramArrived(flow, payload))  # type: ignore[arg-type]
    assert statuses(endpoint) == [b"400"] * 2
    assert endpoint.counters.malformed == 5


def test_scanners_get_silence() -> None:
    endpoint = untrusted(SipSettings())
    flow = Flow(Transport.UDP, ("192.0.2.9", 5060), ("203.0.113.5", 5060))
    message = plain_request("OPTIONS")
    message.headers.add("user-agent", "Friendly-Scanner 1.8")
    endpoint.handle_input(0, DatagramArrived(flow, message.to_bytes()))  # type: ignore[arg-type]
    assert statuses(endpoint) == []
    assert endpoint.counters.scanners == 1
    assert endpoint.is_idle


def test_answers_go_to_the_source_and_name_it() -> None:
    network, node = bench()
    caller = Caller(network, node)
    via = "SIP/2.0/UDP 192.168.1.50:5999;branch=z9hG4bKnat;rport"
    caller.send_bytes(caller.request("OPTIONS", to_tag="", via=via).to_bytes(), port=40_000)
    to = node.sent[0].to
    assert isinstance(to, Flow)
    assert to.remote == ("10.0.0.9", 40_000)
    assert b"received=10.0.0.9" in node.sent[0].payload
    assert b"rport=40000" in node.sent[0].payload


def test_messages_and_errors_of_a_stream_are_taken() -> None:
    network, node = bench()
    caller = Caller(network, node, transport=Transport.TCP)
    flow = Flow(Transport.TCP, ("10.0.0.1", 5060), ("10.0.0.9", 5060), 1)
    broken = caller.request("OPTIONS", to_tag="").to_bytes().replace(b"Content-Length: 0", b"Content-Length: x")
    items = StreamFramer().feed(broken)
    assert isinstance(items[0], SipParseError)
    node.endpoint.handle_input(network.now, MessageArrived(flow, items[0]))
    network.run(2)
    assert caller.statuses("OPTIONS") == [400]
    caller.send(caller.request("OPTIONS", to_tag=""))
    assert caller.statuses("OPTIONS") == [400, 200]


def test_connections_of_dialogs_are_in_use() -> None:
    network, node = bench()
    caller = Caller(network, node, transport=Transport.TCP)
    assert node.endpoint.connections_in_use() == set()
    node.endpoint.answer(node.now, caller.invite(), ANSWER)
    network.run(2)
    assert node.endpoint.connections_in_use() == {1}
    caller.in_dialog("BYE")
    assert node.endpoint.connections_in_use() == set()


def test_verbs_check_status_and_headers() -> None:
    network, node = bench()
    caller = Caller(network, node)
    invite_id = caller.invite()
    endpoint, now = node.endpoint, node.now
    with pytest.raises(InvalidParameter):
        endpoint.progress(now, invite_id, 200)
    with pytest.raises(InvalidParameter):
        endpoint.reject(now, invite_id, 200)
    with pytest.raises(InvalidParameter):
        endpoint.refuse_reoffer(now, invite_id, 199)
    with pytest.raises(InvalidParameter):
        endpoint.answer(now, invite_id, ANSWER, (("X-A", "b\r\nc"),))
    with pytest.raises(InvalidParameter):
        endpoint.hangup(now, invite_id, "Q.850\r\nEvil: 1")
    assert endpoint.answer(now, invite_id, ANSWER)


def test_verbs_on_an_unknown_id_do_nothing() -> None:
    _, node = bench()
    endpoint, now, gone = node.endpoint, node.now, InviteId("gone")
    assert not endpoint.progress(now, gone, 180)
    assert not endpoint.answer(now, gone, ANSWER)
    assert not endpoint.reject(now, gone, 486)
    assert not endpoint.drop(now, gone)
    assert not endpoint.hangup(now, gone)
    assert not endpoint.ack_with(now, gone, ANSWER)
    assert not endpoint.reoffer(now, gone, OFFER)
    assert not endpoint.accept_reoffer(now, gone, OFFER)
    assert not endpoint.refuse_reoffer(now, gone, 488)
    assert not endpoint.send_info(now, gone, "application/dtmf", b"1")


def test_every_message_is_traced_in_order_under_its_call() -> None:
    network, node = bench(is_traced=True)
    caller = Caller(network, node)
    order: list[str] = []
    node.on_event = lambda event: order.append(f"{type(event).__name__} after {len(node.traces)}")
    invite_id = caller.invite()
    node.endpoint.progress(node.now, invite_id, 180)
    node.endpoint.answer(node.now, invite_id, ANSWER)
    network.run(2)
    caller.ack()
    caller.in_dialog("BYE")
    caller.send(caller.request("OPTIONS", to_tag="", cseq=9))
    told = [(trace.direction.value, trace.summary, trace.invite_id) for trace in node.traces]
    assert told == [
        ("in", "INVITE sip:100@10.0.0.1", invite_id),
        ("out", "180 Ringing (INVITE)", invite_id),
        ("out", "200 OK (INVITE)", invite_id),
        ("in", "ACK sip:100@10.0.0.1", invite_id),
        ("in", "BYE sip:100@10.0.0.1", invite_id),
        ("out", "200 OK (BYE)", invite_id),
        ("in", "OPTIONS sip:100@10.0.0.1", None),
        ("out", "200 OK (OPTIONS)", None),
    ]
    # The owner hears of a new call before its first message, so that it can file that under the call.
    assert order[0] == "InviteReceived after 0"
    assert order[1:] == ["Confirmed after 4", "HungUp after 6", "InviteEnded after 6"]
    assert all(trace.call_id == "call-of-peer" for trace in node.traces)


def test_traces_of_both_sides_of_one_call_id_are_kept_apart_by_tag() -> None:
    network, node = bench(is_traced=True)
    peer = Peer(network, node)
    invite_id = calling(node)
    invite = peer.requests("INVITE")[0]
    peer.respond(invite, 180)
    assert [(trace.summary, trace.invite_id) for trace in node.traces] == [
        ("INVITE sip:200@10.0.0.9", invite_id),
        ("180 Ringing (INVITE)", invite_id),
    ]
    assert all(isinstance(trace, SipTrace) for trace in node.traces)


def settle_after_failure(network, node, caller) -> None:  # type: ignore[no-untyped-def]
    network.run_out()
    assert node.endpoint.is_idle
