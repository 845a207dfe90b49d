"""The table: matching by RFC 3261 and RFC 2543 keys, copies over two paths, bounds."""

from __future__ import annotations

import pytest
from tests.support.sip_transactions import UDP, Bench, Usage, request, small_tables

from ringback.sip.message import response_to
from ringback.sip.transaction.keys import server_key
from ringback.sip.transaction.layer import TransactionTableFull


def test_a_response_finds_its_request_by_branch_and_method() -> None:
    bench = Bench()
    transaction = bench.start_client("INVITE")
    cancel = response_to(request("CANCEL"), 200)
    assert not bench.layer.receive_response(bench.now, cancel, UDP)
    other = response_to(request("INVITE", branch="z9hG4bKtwo"), 200)
    assert not bench.layer.receive_response(bench.now, other, UDP)
    bench.respond_to(transaction, 180)
    assert bench.usage.responses == [180]


def test_an_ack_finds_the_invite_and_a_cancel_has_its_own_transaction() -> None:
    bench = Bench()
    invite = bench.start_server("INVITE")
    assert not bench.repeat("CANCEL")
    assert bench.layer.cancelled_by(request("CANCEL")) is invite
    assert bench.layer.cancelled_by(request("CANCEL", branch="z9hG4bKother")) is None
    bench.answer(invite, 486)
    assert bench.repeat("ACK")


def test_the_same_branch_from_another_host_is_another_transaction() -> None:
    bench = Bench()
    bench.start_server("INVITE")
    assert not bench.layer.receive_request(bench.now, request("INVITE", host="192.0.2.77"), UDP)


@pytest.mark.parametrize("branch", ["", "1", "z9hG4bK"])
def test_peers_of_rfc_2543_are_matched_by_call_id_cseq_from_tag_and_uri(branch: str) -> None:
    bench = Bench()
    original = request("INVITE", branch=branch)
    transaction = bench.layer.start_server(bench.now, original, UDP, bench.usage)
    assert bench.layer.receive_request(bench.now, request("INVITE", branch=branch), UDP)
    for changed in (
        request("INVITE", branch=branch, call_id="call-2"),
        request("INVITE", branch=branch, cseq=2),
        request("INVITE", branch=branch, from_tag="other"),
        request("INVITE", branch=branch, uri="sip:101@192.0.2.9"),
    ):
        assert not bench.layer.receive_request(bench.now, changed, UDP)
    bench.answer(transaction, 486)
    assert bench.layer.receive_request(bench.now, request("ACK", branch=branch, to_tag="ours"), UDP)


def test_a_copy_over_another_path_is_merged_until_the_first_is_gone() -> None:
    bench = Bench()
    first = bench.start_server("OPTIONS")
    copy = request("OPTIONS", branch="z9hG4bKtwo")
    assert bench.layer.is_merged(copy)
    assert not bench.layer.is_merged(request("OPTIONS"))
    assert not bench.layer.is_merged(request("OPTIONS", branch="z9hG4bKtwo", to_tag="in-dialog"))
    assert not bench.layer.is_merged(request("OPTIONS", branch="z9hG4bKtwo", cseq=2))
    second = bench.layer.start_server(bench.now, copy, UDP, Usage())
    second.abandon(bench.now)
    assert bench.layer.is_merged(copy)
    first.abandon(bench.now)
    assert not bench.layer.is_merged(copy)
    bench.assert_empty()


def test_server_table_takes_n_and_refuses_n_plus_1() -> None:
    bench = Bench(small_tables(3))
    for number in range(3):
        bench.layer.start_server(bench.now, request("OPTIONS", branch=f"z9hG4bK{number}"), UDP, bench.usage)
    with pytest.raises(TransactionTableFull):
        bench.layer.start_server(bench.now, request("OPTIONS", branch="z9hG4bK3"), UDP, bench.usage)
    assert bench.layer.server_count == 3


def test_client_table_takes_n_and_refuses_n_plus_1() -> None:
    bench = Bench(small_tables(2))
    for number in range(2):
        bench.layer.start_client(bench.now, request("OPTIONS", branch=f"z9hG4bK{number}"), UDP, bench.usage)
    with pytest.raises(TransactionTableFull):
        bench.layer.start_client(bench.now, request("OPTIONS", branch="z9hG4bK2"), UDP, bench.usage)
    assert bench.layer.client_count == 2


def test_a_failure_of_an_unknown_sender_is_ignored() -> None:
    bench = Bench()
    bench.layer.fail_transport(bench.now, server_key(request("INVITE")))
    bench.layer.fail_transport(bench.now, ("something", "else"))
    bench.assert_empty()
