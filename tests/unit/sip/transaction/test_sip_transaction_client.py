"""Client transactions: the times of RFC 3261 section 17.1, and what the usage is told."""

from __future__ import annotations

from tests.support.sip_transactions import TCP, Bench

from ringback.sip.flow import Flow, Transport
from ringback.sip.transaction.client import ClientFailure, timeout_ms_for
from ringback.sip.transaction.tables import State


def test_invite_over_udp_is_repeated_with_doubling_intervals_without_a_cap_until_timer_b() -> None:
    bench = Bench()
    bench.start_client("INVITE")
    bench.run_until(40_000)
    assert bench.times("INVITE") == [0, 500, 1_500, 3_500, 7_500, 15_500, 31_500]
    assert bench.usage.failures == [ClientFailure.TIMEOUT]
    bench.assert_empty()


def test_invite_over_tcp_is_sent_once_and_times_out_too() -> None:
    bench = Bench()
    bench.start_client("INVITE", TCP)
    bench.run_until(31_999)
    assert bench.usage.failures == []
    bench.run_until(32_000)
    assert bench.times("INVITE") == [0]
    assert bench.usage.failures == [ClientFailure.TIMEOUT]
    bench.assert_empty()


def test_a_provisional_response_stops_repeats_and_timer_b() -> None:
    bench = Bench()
    transaction = bench.start_client("INVITE")
    bench.run_until(600)
    bench.respond_to(transaction, 180)
    bench.run_until(600_000)
    assert bench.times("INVITE") == [0, 500]
    assert bench.usage.failures == []
    assert transaction.state is State.PROCEEDING
    bench.respond_to(transaction, 486)
    bench.run_until(700_000)
    bench.assert_empty()


def test_a_failure_is_acknowledged_and_so_is_every_repeat_for_32_seconds() -> None:
    bench = Bench()
    transaction = bench.start_client("INVITE")
    bench.respond_to(transaction, 486)
    bench.run_until(20_000)
    bench.respond_to(transaction, 486)
    assert bench.times("ACK") == [0, 20_000]
    assert bench.usage.responses == [486]
    bench.run_until(31_999)
    assert bench.layer.client_count == 1
    bench.run_until(32_000)
    bench.assert_empty()


def test_timer_d_is_zero_over_tcp() -> None:
    bench = Bench()
    transaction = bench.start_client("INVITE", TCP)
    bench.respond_to(transaction, 404)
    bench.run_until(0)
    bench.assert_empty()


def test_the_ack_of_a_failure_has_the_branch_route_and_number_of_the_invite_and_the_tag_of_the_response() -> None:
    bench = Bench()
    transaction = bench.start_client("INVITE")
    transaction.request.headers.add("route", "<sip:proxy;lr>")
    bench.respond_to(transaction, 500)
    ack = bench.transmits[-1].payload.decode()
    assert ack.startswith("ACK sip:100@192.0.2.9 SIP/2.0\r\n")
    assert "branch=z9hG4bKone" in ack
    assert "Route: <sip:proxy;lr>\r\n" in ack
    assert "To: <sip:100@192.0.2.9>;tag=theirs\r\n" in ack
    assert "CSeq: 1 ACK\r\n" in ack


def test_further_2xx_reach_the_usage_for_64_t1_and_are_not_acknowledged_here() -> None:
    bench = Bench()
    transaction = bench.start_client("INVITE")
    bench.respond_to(transaction, 200)
    bench.run_until(31_000)
    bench.respond_to(transaction, 200)
    bench.respond_to(transaction, 486)
    assert bench.usage.responses == [200, 200]
    assert bench.times("ACK") == []
    bench.run_until(32_000)
    bench.assert_empty()


def test_non_invite_is_repeated_up_to_t2_and_at_t2_in_proceeding() -> None:
    bench = Bench()
    transaction = bench.start_client("BYE")
    bench.run_until(8_000)
    assert bench.times("BYE") == [0, 500, 1_500, 3_500, 7_500]
    bench.respond_to(transaction, 100)
    bench.run_until(21_000)
    assert bench.times("BYE") == [0, 500, 1_500, 3_500, 7_500, 12_000, 16_000, 20_000]
    bench.run_until(32_000)
    assert bench.usage.failures == [ClientFailure.TIMEOUT]
    bench.assert_empty()


def test_non_invite_final_is_reported_once_and_absorbed_for_t4() -> None:
    bench = Bench()
    transaction = bench.start_client("OPTIONS")
    bench.respond_to(transaction, 200)
    bench.respond_to(transaction, 200)
    assert bench.usage.responses == [200]
    bench.run_until(4_999)
    assert bench.layer.client_count == 1
    bench.run_until(5_000)
    bench.assert_empty()


def test_transport_error_ends_a_calling_invite_at_once() -> None:
    bench = Bench()
    transaction = bench.start_client("INVITE")
    bench.layer.fail_transport(bench.now, transaction.key)
    assert bench.usage.failures == [ClientFailure.TRANSPORT]
    assert bench.usage.ended == 1
    bench.assert_empty()


def test_a_late_transport_error_does_not_end_a_ringing_call() -> None:
    bench = Bench()
    transaction = bench.start_client("INVITE")
    bench.respond_to(transaction, 180)
    bench.layer.fail_transport(bench.now, transaction.key)
    assert bench.usage.failures == []
    assert transaction.state is State.PROCEEDING


def test_an_abandoned_transaction_leaves_at_once_and_says_so_once() -> None:
    bench = Bench()
    transaction = bench.start_client("INVITE")
    transaction.abandon(bench.now)
    transaction.abandon(bench.now)
    assert bench.usage.ended == 1
    bench.assert_empty()


def test_failover_shortens_timer_b_for_all_targets_but_the_last() -> None:
    settings = Bench().layer.settings
    assert timeout_ms_for(settings, is_last_target=True) == 32_000
    assert 4_000 <= timeout_ms_for(settings, is_last_target=False) <= 6_000


def test_the_flow_of_the_response_is_kept() -> None:
    bench = Bench()
    transaction = bench.start_client("INVITE")
    assert transaction.flow is None
    bench.respond_to(transaction, 180)
    assert transaction.flow == Flow(Transport.UDP, ("192.0.2.1", 5060), ("192.0.2.9", 5060))
