from itertools import product

from ringback.media.control.values import StreamEnd
from ringback.streams.state import IGNORED, TABLE, State, Trigger, status_reason, trigger_of


def test_every_pair_is_a_transition_or_ignored_with_a_reason():
    for pair in product(State, Trigger):
        assert (pair in TABLE) != (pair in IGNORED), pair
    assert all(IGNORED.values())


def test_only_lost_or_refused_connections_fail_a_stream():
    failing = {end for end in StreamEnd if trigger_of(end) is Trigger.FAIL}
    assert failing == {StreamEnd.CONNECT_FAILED, StreamEnd.CONNECTION_LOST, StreamEnd.INVALID_CONTENT_TYPE}


def test_every_end_has_a_reason_for_the_callback():
    assert {end: status_reason(end) for end in StreamEnd}[StreamEnd.TIMEOUT] == "timeout"
    assert all(status_reason(end) for end in StreamEnd)


def test_callbacks_follow_the_documented_names():
    assert TABLE[State.INITIATED, Trigger.OPEN].callback == "StartStream"
    assert TABLE[State.IN_PROGRESS, Trigger.END].callback == "StopStream"
    assert TABLE[State.INITIATED, Trigger.FAIL].callback == "DroppedStream"
    assert TABLE[State.IN_PROGRESS, Trigger.DROP] == (State.INITIATED, "DroppedStream")
