"""Server transactions: the times of RFC 3261 section 17.2, repeats and ACKs."""

from __future__ import annotations

from tests.support.sip_transactions import TCP, Bench, request

from ringback.sip.transaction.server import ServerFailure, Unattended
from ringback.sip.transaction.tables import State


def test_100_is_sent_after_200_ms_of_silence_of_the_application() -> None:
    bench = Bench()
    transaction = bench.start_server("INVITE")
    bench.run_until(199)
    assert bench.sent == []
    bench.run_until(200)
    assert bench.sent == [(200, "SIP/2.0 100 Trying")]
    transaction.abandon(bench.now)
    bench.assert_empty()


def test_no_100_when_the_application_was_faster() -> None:
    bench = Bench()
    transaction = bench.start_server("INVITE")
    bench.answer(transaction, 180)
    bench.run_until(10_000)
    assert bench.sent == [(0, "SIP/2.0 180 Ringing")]
    transaction.abandon(bench.now)


def test_a_repeated_invite_gets_the_last_provisional_response_again() -> None:
    bench = Bench()
    transaction = bench.start_server("INVITE")
    assert bench.repeat("INVITE")
    assert bench.sent == []
    bench.answer(transaction, 180)
    bench.answer(transaction, 183)
    assert bench.repeat("INVITE")
    assert [line for _, line in bench.sent] == ["SIP/2.0 180 Ringing"] + ["SIP/2.0 183 Session Progress"] * 2
    transaction.abandon(bench.now)


def test_a_failure_is_repeated_until_its_ack_and_gives_up_after_64_t1() -> None:
    bench = Bench()
    bench.answer(bench.start_server("INVITE"), 486)
    bench.run_until(33_000)
    assert bench.times("SIP/2.0 486") == [0, 500, 1_500, 3_500, 7_500, 11_500, 15_500, 19_500, 23_500, 27_500, 31_500]
    assert bench.usage.failures == [ServerFailure.NO_ACK]
    bench.assert_empty()


def test_a_failure_over_tcp_is_not_repeated_but_waits_for_its_ack() -> None:
    bench = Bench()
    bench.answer(bench.start_server("INVITE", TCP), 486)
    bench.run_until(32_000)
    assert bench.times("SIP/2.0 486") == [0]
    assert bench.usage.failures == [ServerFailure.NO_ACK]
    bench.assert_empty()


def test_the_ack_stops_the_repeats_and_further_acks_are_absorbed_for_t4() -> None:
    bench = Bench()
    transaction = bench.start_server("INVITE")
    bench.answer(transaction, 486)
    bench.run_until(600)
    assert bench.repeat("ACK")
    assert bench.repeat("ACK")
    assert transaction.state is State.CONFIRMED
    bench.run_until(5_599)
    assert bench.layer.server_count == 1
    bench.run_until(5_600)
    assert bench.times("SIP/2.0 486") == [0, 500]
    assert bench.usage.acks == 0
    bench.assert_empty()


def test_after_a_2xx_repeats_of_the_invite_are_absorbed_and_acks_passed_on() -> None:
    bench = Bench()
    transaction = bench.start_server("INVITE")
    bench.answer(transaction, 200)
    assert bench.repeat("INVITE")
    assert bench.repeat("ACK")
    bench.answer(transaction, 200)
    bench.answer(transaction, 486)
    assert bench.times("SIP/2.0 200") == [0, 0]
    assert bench.times("SIP/2.0 486") == []
    assert bench.usage.acks == 1
    bench.run_until(32_000)
    bench.assert_empty()


def test_non_invite_final_is_repeated_on_request_for_64_t1() -> None:
    bench = Bench()
    transaction = bench.start_server("OPTIONS")
    assert bench.repeat("OPTIONS")
    assert bench.sent == []
    bench.answer(transaction, 200)
    assert bench.repeat("OPTIONS")
    bench.run_until(31_999)
    assert bench.repeat("OPTIONS")
    assert len(bench.sent) == 3
    bench.run_until(32_000)
    assert not bench.repeat("OPTIONS")
    bench.assert_empty()


def test_timer_j_is_zero_over_tcp() -> None:
    bench = Bench()
    bench.answer(bench.start_server("OPTIONS", TCP), 200)
    bench.run_until(0)
    bench.assert_empty()


def test_an_ignored_invite_is_never_answered_and_its_repeats_are_absorbed() -> None:
    bench = Bench()
    transaction = bench.start_server("INVITE")
    transaction.ignore(bench.now)
    bench.run_until(10_000)
    assert bench.repeat("INVITE")
    assert bench.sent == []
    bench.run_until(32_000)
    bench.assert_empty()


def test_answers_follow_a_peer_that_moves() -> None:
    bench = Bench()
    transaction = bench.start_server("INVITE")
    moved = TCP
    transaction.receive(bench.now, request("INVITE"), moved)
    bench.answer(transaction, 180)
    assert bench.transmits[-1].to == moved
    transaction.abandon(bench.now)


def test_transport_error_of_a_final_failure_is_told_and_ends_the_transaction() -> None:
    bench = Bench()
    transaction = bench.start_server("INVITE")
    bench.answer(transaction, 486)
    bench.layer.fail_transport(bench.now, transaction.key)
    assert bench.usage.failures == [ServerFailure.TRANSPORT]
    bench.assert_empty()


def test_an_unattended_transaction_needs_nobody() -> None:
    bench = Bench()
    transaction = bench.layer.start_server(bench.now, request("INVITE"), TCP, Unattended())
    bench.answer(transaction, 200)
    assert bench.repeat("ACK")
    transaction.user.cancelled(bench.now, transaction, request("CANCEL"))
    bench.layer.fail_transport(bench.now, transaction.key)
    bench.run_until(32_000)
    bench.assert_empty()
