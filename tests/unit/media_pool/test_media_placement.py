"""`media.pool.placement`: least sessions, affinity, nothing for nobody."""

from __future__ import annotations

from ringback.ids import WorkerId
from ringback.media.pool.load import LoadState
from ringback.media.pool.placement import Affinities, Candidate, choose_worker

A, B, C = WorkerId("media-0"), WorkerId("media-1"), WorkerId("media-2")


def test_the_worker_with_the_fewest_sessions_wins() -> None:
    candidates = [Candidate(A, 3, True), Candidate(B, 1, True), Candidate(C, 2, True)]
    assert choose_worker(candidates) == B


def test_the_first_of_equals_wins() -> None:
    assert choose_worker([Candidate(B, 1, True), Candidate(A, 1, True)]) == B


def test_a_worker_that_does_not_accept_is_passed_over() -> None:
    assert choose_worker([Candidate(A, 0, False), Candidate(B, 9, True)]) == B
    assert choose_worker([Candidate(A, 0, False)]) is None
    assert choose_worker([]) is None


def test_a_bound_session_goes_to_its_worker_or_nowhere() -> None:
    candidates = [Candidate(A, 0, True), Candidate(B, 9, True), Candidate(C, 1, False)]
    assert choose_worker(candidates, bound_to=B) == B
    assert choose_worker(candidates, bound_to=C) is None


def test_an_affinity_lasts_as_long_as_its_sessions() -> None:
    affinities = Affinities()
    affinities.bind("call", A)
    affinities.bind("call", B)
    assert affinities.holder_of("call") == A
    affinities.release("call")
    assert affinities.holder_of("call") == A
    affinities.release("call")
    assert affinities.holder_of("call") is None
    assert len(affinities) == 0


def test_the_empty_affinity_binds_nothing() -> None:
    affinities = Affinities()
    affinities.bind("", A)
    assert affinities.holder_of("") is None
    affinities.release("")
    assert len(affinities) == 0


def test_a_worker_that_is_less_late_goes_before_one_with_fewer_sessions() -> None:
    candidates = [Candidate(A, 1, True, LoadState.PACED), Candidate(B, 9, True), Candidate(C, 0, True, LoadState.FULL)]
    assert choose_worker(candidates) == B


def test_a_worker_whose_few_sessions_cost_much_is_passed_over() -> None:
    dear = Candidate(A, 50, True, spares=False)
    assert choose_worker([dear, Candidate(B, 90, True)]) == B
    assert choose_worker([dear, Candidate(B, 90, True, spares=False)]) == A


def test_a_full_worker_takes_what_must_go_somewhere() -> None:
    full = [Candidate(A, 9, True, LoadState.FULL), Candidate(B, 8, True, LoadState.FULL)]
    assert choose_worker(full) == B
    assert choose_worker([*full, Candidate(C, 0, True)], bound_to=A) == A
