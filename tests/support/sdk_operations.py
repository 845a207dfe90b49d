"""The one list of what the official SDKs are asked to do: every method for calls, with every parameter.

Both SDKs run it (`tests/contract/test_contract_sdk_parity.py`), and tests compare it with the methods that the SDKs
have: a method that is not here, or a parameter that is not given, fails.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping

from tests.support.sdk_operation import Operation
from tests.support.sdk_operations_of_calls import CALL_OPERATIONS
from tests.support.sdk_operations_of_resources import RESOURCE_OPERATIONS
from tests.support.sdk_operations_of_rooms import ROOM_OPERATIONS

OPERATIONS: tuple[Operation, ...] = (*CALL_OPERATIONS, *RESOURCE_OPERATIONS, *ROOM_OPERATIONS)

EXCUSED: Mapping[str, str] = {
    "transcriptions.get_transcription.type": "what it changes is published nowhere: ignored",
    "calls.list.call_direction__lt": "a slip of the SDK: directions have no order",
    "calls.list.call_direction__lte": "the same",
    "calls.list.call_direction__gt": "the same",
    "calls.list.call_direction__gte": "the same",
    "callFeedback.create": "sends no body, whatever it is given (4.79): 400",
    "multiPartyCalls.makeMpcId": "asks nothing",
    "calls.start_stream.cx_bot": "the cloud's own, ignored (docs/support.md)",
    "calls.list.status": "asks for live calls: live_calls.list_ids",
    "calls.list.cursor": "test_contract_sdk_calls, with the page it leads to",
    "recordings.list.cursor": "test_contract_sdk_recordings",
}
"""Methods and parameters that are not in the list, and why."""


@functools.cache
def python_methods() -> frozenset[str]:
    """Return every method of the list in Python's spelling."""
    return frozenset(operation.python for operation in OPERATIONS)


@functools.cache
def node_methods() -> frozenset[str]:
    """Return every method of the list in Node's spelling."""
    return frozenset(operation.node for operation in OPERATIONS if operation.node)
