"""`media.control.ledger`: gapless numbers, acknowledgement, bounds at N and N+1, honest losses."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from ringback.ids import SessionId
from ringback.media.control.events import AnyEvent, DigitReceived, EventsLost
from ringback.media.control.ledger import Ledger
from ringback.media.control.wire import LENGTH_BYTES, Unreadable, decode_event


def digit(text: str = "5") -> DigitReceived:
    return DigitReceived(session_id=SessionId("s"), digit=text)


def take_all(ledger: Ledger, limit: int = 64) -> list[AnyEvent]:
    events: list[AnyEvent] = []
    while frames := ledger.take_unsent(limit):
        for frame in frames:
            event = decode_event(frame[LENGTH_BYTES:])
            assert not isinstance(event, Unreadable)
            events.append(event)
    return events


def test_events_are_numbered_and_labelled_in_order() -> None:
    ledger = Ledger()
    assert [ledger.append(digit(text), wall_ms=9) for text in "123"] == [1, 2, 3]
    events = take_all(ledger, limit=2)
    assert [(event.seq, event.wall_ms) for event in events] == [(1, 9), (2, 9), (3, 9)]
    assert [event.digit for event in events if isinstance(event, DigitReceived)] == ["1", "2", "3"]
    assert not ledger.has_unsent


def test_unacknowledged_events_are_sent_again_after_a_rewind() -> None:
    ledger = Ledger()
    for text in "1234":
        ledger.append(digit(text))
    take_all(ledger)
    ledger.acknowledge(2)
    assert (ledger.first_seq, ledger.last_seq, len(ledger)) == (3, 4, 2)
    ledger.rewind()
    assert [event.seq for event in take_all(ledger)] == [3, 4]


def test_acknowledging_what_was_never_sent_forgets_nothing_of_it() -> None:
    ledger = Ledger()
    for text in "123":
        ledger.append(digit(text))
    ledger.take_unsent(1)
    ledger.acknowledge(99)
    assert [event.seq for event in take_all(ledger)] == [2, 3]
    ledger.acknowledge(-5)
    assert len(ledger) == 2


def test_full_at_the_item_limit_and_the_next_event_forgets_the_oldest() -> None:
    ledger = Ledger(max_items=3)
    for text in "12":
        ledger.append(digit(text))
    assert not ledger.is_full
    ledger.append(digit("3"))
    assert ledger.is_full
    assert not any(isinstance(event, EventsLost) for event in take_all(ledger))

    ledger.append(digit("4"))
    ledger.append(digit("5"))
    ledger.rewind()
    lost, *kept = take_all(ledger)
    assert isinstance(lost, EventsLost)
    assert (lost.first_seq, lost.last_seq) == (1, 2)
    assert [event.seq for event in kept] == [3, 4, 5]
    assert take_all(ledger) == []


def test_full_at_the_byte_limit() -> None:
    size = Ledger()
    size.append(digit())
    ledger = Ledger(max_bytes=3 * size.size_bytes)
    for _ in range(3):
        ledger.append(digit())
    assert ledger.is_full
    assert len(ledger) == 3
    ledger.append(digit())
    assert len(ledger) == 3
    assert ledger.size_bytes <= 3 * size.size_bytes
    assert ledger.first_seq == 2


def test_room_returns_with_acknowledgement() -> None:
    ledger = Ledger(max_items=2)
    ledger.append(digit())
    ledger.append(digit())
    take_all(ledger)
    ledger.acknowledge(1)
    assert not ledger.is_full
    ledger.acknowledge(2)
    assert (len(ledger), ledger.size_bytes, ledger.first_seq) == (0, 0, 3)


@given(
    st.lists(
        st.one_of(
            st.just(("append", 0)),
            st.tuples(st.just("ack"), st.integers(0, 60)),
            st.tuples(st.just("take"), st.integers(1, 5)),
            st.just(("rewind", 0)),
        ),
        max_size=120,
    )
)
def test_every_event_is_delivered_or_reported_lost(operations: list[tuple[str, int]]) -> None:
    ledger = Ledger(max_items=8)
    appended = 0
    accounted: set[int] = set()
    for name, number in operations:
        if name == "append":
            ledger.append(digit())
            appended += 1
        elif name == "ack":
            ledger.acknowledge(number)
        elif name == "rewind":
            ledger.rewind()
        else:
            for frame in ledger.take_unsent(number):
                event = decode_event(frame[LENGTH_BYTES:])
                if isinstance(event, EventsLost):
                    accounted.update(range(event.first_seq, event.last_seq + 1))
                else:
                    assert isinstance(event, DigitReceived)
                    accounted.add(event.seq)
        assert len(ledger) <= 8
        assert ledger.last_seq == appended
    for event in take_all(ledger):
        if isinstance(event, EventsLost):
            accounted.update(range(event.first_seq, event.last_seq + 1))
        else:
            accounted.add(event.seq)
    assert accounted == set(range(1, appended + 1))
