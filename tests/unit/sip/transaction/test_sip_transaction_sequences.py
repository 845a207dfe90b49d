"""The corpus of transaction programs, in both forms, and random programs against the same invariants."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.support.sip_sequences import SequenceRunner, decode

from ringback.sip.transaction.client import ClientFailure
from ringback.sip.transaction.server import ServerFailure

FOLDER = Path(__file__).parents[3] / "vectors" / "transaction-sequences"
PROGRAMS: dict[str, list[dict[str, Any]]] = json.loads((FOLDER / "sequences.json").read_text())


def run(name: str) -> SequenceRunner:
    runner = SequenceRunner()
    runner.run(PROGRAMS[name])
    return runner


@pytest.mark.parametrize("name", PROGRAMS)
def test_program_keeps_every_invariant(name: str) -> None:
    run(name).run_out()


@pytest.mark.parametrize("name", PROGRAMS)
def test_raw_program_keeps_every_invariant(name: str) -> None:
    runner = SequenceRunner()
    runner.run(decode((FOLDER / "raw" / name).read_bytes()))
    runner.run_out()


@given(st.lists(st.binary(min_size=4, max_size=4), max_size=60))
@settings(max_examples=150, deadline=None)
def test_random_program_keeps_every_invariant(records: list[bytes]) -> None:
    runner = SequenceRunner()
    # A transaction index beyond those created names nothing: fold it, so that most events hit something.
    program = decode(b"".join(records))
    for event in program:
        event["transaction"] %= 8
    runner.run(program)
    runner.run_out()


def test_a_ringing_invite_survives_timer_b() -> None:
    runner = run("invite-client-waits-in-proceeding-with-no-timeout")
    assert runner.bench.usage.failures == []
    assert runner.bench.usage.responses == [180, 200]


def test_a_client_that_gets_nothing_times_out_after_its_repeats() -> None:
    runner = run("t1-invite-client-retransmits-then-times-out")
    assert len(runner.bench.sent) == 4
    assert runner.bench.usage.failures == [ClientFailure.TIMEOUT]
    runner.bench.assert_empty()


def test_a_server_without_an_ack_tells_its_usage() -> None:
    assert run("invite-server-times-out-waiting-for-an-ack").bench.usage.failures == [ServerFailure.NO_ACK]


def test_a_2xx_is_not_acknowledged_here_and_a_fork_is_passed_on() -> None:
    bench = run("t3-invite-client-2xx-is-not-acked-and-a-fork-answers-twice").bench
    assert bench.usage.responses == [200, 200]
    assert bench.times("ACK") == []


def test_a_transport_error_ends_the_transaction_and_is_told() -> None:
    bench = run("transport-error-terminates-and-tells-the-tu").bench
    assert len(bench.usage.failures) == 1
    bench.assert_empty()


def test_reliable_transports_arm_no_timer_that_repeats() -> None:
    runner = SequenceRunner()
    runner.run(PROGRAMS["t9-reliable-transport-sets-no-retransmission-timers"][:1])
    runner.bench.run_until(31_999)
    assert len(runner.bench.sent) <= 1
