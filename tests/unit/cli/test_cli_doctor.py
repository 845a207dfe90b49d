"""`cli.doctor`: what a running server's metrics say about its load."""

from __future__ import annotations

import pytest

from ringback.cli.doctor import load_of
from ringback.telemetry.metrics import Metrics


def metrics_of(**states: str) -> str:
    metrics = Metrics("1")
    for worker, now in states.items():
        for state in ("open", "strained", "paced", "full"):
            metrics.media_worker_load_state.labels(worker=worker, state=state).set(state == now)
    return metrics.render().decode()


def test_workers_that_take_calls_are_good() -> None:
    finding = load_of(metrics_of(media0="open", media1="strained"))
    assert (finding.state, finding.fact) == ("good", "2 media workers take new calls")


@pytest.mark.parametrize("state", ["paced", "full"])
def test_workers_that_are_late_are_named(state: str) -> None:
    finding = load_of(metrics_of(media0="open", media1=state))
    assert (finding.state, finding.fact) == ("note", f"media workers are late: media1 is {state}")
    assert "docs/overload.md" in finding.fix


def test_a_server_that_says_nothing_is_noted() -> None:
    assert load_of("").state == "note"
