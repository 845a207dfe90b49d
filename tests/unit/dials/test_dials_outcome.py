from __future__ import annotations

import pytest

from ringback.calls.hangup import NAMES, HangupSource, hangup
from ringback.dials.outcome import decisive, status_of
from ringback.dials.spec import DialStatus


@pytest.mark.parametrize(
    ("codes", "status", "cause"),
    [
        ([6010], DialStatus.TIMEOUT, "NO_ANSWER"),
        ([3000], DialStatus.NO_ANSWER, "NO_ANSWER"),
        ([9110], DialStatus.NO_ANSWER, "NORMAL_CLEARING"),
        ([4000], DialStatus.NO_ANSWER, "NORMAL_CLEARING"),
        ([3010], DialStatus.BUSY, "USER_BUSY"),
        ([3110], DialStatus.BUSY, "CALL_REJECTED"),
        ([1000], DialStatus.CANCEL, "ORIGINATOR_CANCEL"),
        ([3050], DialStatus.FAILED, "UNALLOCATED_NUMBER"),
        ([3050, 3010, 6010, 1000], DialStatus.TIMEOUT, "NO_ANSWER"),
        ([3050, 3010], DialStatus.BUSY, "USER_BUSY"),
        ([4210], DialStatus.FAILED, "sip_auth_failed"),
        ([4210, 3010], DialStatus.BUSY, "USER_BUSY"),
        ([], DialStatus.FAILED, "INVALID_NUMBER_FORMAT"),
    ],
)
def test_party_that_came_nearest_to_an_answer_speaks_for_all(codes: list[int], status: DialStatus, cause: str) -> None:
    assert decisive(hangup(code, HangupSource.CALLEE) for code in codes) == (status, cause)


def test_every_code_has_a_status() -> None:
    for code in NAMES:
        assert status_of(code) in DialStatus
