"""How many documents a call may ask for."""

from __future__ import annotations

from ringback.callflow.budget import Budget
from ringback.callflow.commands import DocumentKind
from ringback.callflow.port import FlowSettings
from ringback.machine import SECOND, Instant

SETTINGS = FlowSettings()


def test_twentieth_redirect_in_a_minute_passes_and_the_next_is_a_loop() -> None:
    budget = Budget(SETTINGS)
    kinds = [DocumentKind.REDIRECT, DocumentKind.TRANSFER] * 10
    assert [budget.take(Instant(index), kind) for index, kind in enumerate(kinds)] == [""] * 20
    assert budget.take(Instant(20), DocumentKind.REDIRECT) == "loop"


def test_minute_slides() -> None:
    budget = Budget(SETTINGS)
    for index in range(20):
        assert budget.take(Instant(index), DocumentKind.REDIRECT) == ""
    assert budget.take(Instant(60 * SECOND), DocumentKind.REDIRECT) == ""
    assert budget.take(Instant(60 * SECOND), DocumentKind.REDIRECT) == "loop"


def test_two_hundredth_replacement_passes_and_the_next_is_a_loop() -> None:
    budget = Budget(SETTINGS)
    taken = [budget.take(Instant(index * 10 * SECOND), DocumentKind.REDIRECT) for index in range(201)]
    assert taken == [""] * 200 + ["loop"]


def test_seventieth_transfer_passes_and_the_next_is_a_loop() -> None:
    budget = Budget(SETTINGS)
    taken = [budget.take(Instant(index * 10 * SECOND), DocumentKind.TRANSFER) for index in range(71)]
    assert taken == [""] * 70 + ["loop"]


def test_actions_count_as_fetches_only() -> None:
    budget = Budget(SETTINGS)
    taken = [budget.take(Instant(index), DocumentKind.ACTION) for index in range(51)]
    assert taken == [""] * 50 + ["fetches"]
