"""`media.pool.reconcile`: every session lands in exactly one heap."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ringback.ids import SessionId
from ringback.media.control.events import SessionSnapshot
from ringback.media.control.values import Address
from ringback.media.pool.reconcile import reconcile

ids = st.lists(st.sampled_from([SessionId(name) for name in "abcdefgh"]), unique=True)


def held(session_id: SessionId) -> SessionSnapshot:
    return SessionSnapshot(session_id, Address("127.0.0.1", 20_000))


def test_both_one_and_other() -> None:
    outcome = reconcile([SessionId("a"), SessionId("b")], [held(SessionId("b")), held(SessionId("c"))])
    assert [snapshot.session_id for snapshot in outcome.carried_on] == ["b"]
    assert [snapshot.session_id for snapshot in outcome.unknown] == ["c"]
    assert outcome.lost == ("a",)


@given(ids, ids)
def test_every_session_appears_exactly_once(known: list[SessionId], on_worker: list[SessionId]) -> None:
    outcome = reconcile(known, [held(session_id) for session_id in on_worker])
    everything = [
        *(snapshot.session_id for snapshot in outcome.carried_on),
        *(snapshot.session_id for snapshot in outcome.unknown),
        *outcome.lost,
    ]
    assert sorted(everything) == sorted(set(known) | set(on_worker))
    assert {snapshot.session_id for snapshot in outcome.carried_on} == set(known) & set(on_worker)
