"""What the hang-up codes of the parties mean for the dial as a whole. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from ringback.calls.hangup import Code, Hangup
from ringback.dials.spec import DialStatus

_STATUS: Mapping[int, DialStatus] = MappingProxyType(
    {
        Code.RING_TIMEOUT: DialStatus.TIMEOUT,
        Code.NO_ANSWER: DialStatus.NO_ANSWER,
        Code.CONFIRM_FAILED: DialStatus.NO_ANSWER,
        Code.BUSY_LINE: DialStatus.BUSY,
        Code.BUSY_EVERYWHERE: DialStatus.BUSY,
        Code.REJECTED: DialStatus.BUSY,
        Code.DECLINED: DialStatus.BUSY,
        Code.CANCELED: DialStatus.CANCEL,
        Code.NORMAL: DialStatus.NO_ANSWER,
    }
)
"""`NORMAL` is a party that hung up during its challenge: it did not take the call."""
_RANK = (
    DialStatus.TIMEOUT,
    DialStatus.NO_ANSWER,
    DialStatus.BUSY,
    DialStatus.CANCEL,
    DialStatus.FAILED,
)
"""Which of several parties speaks for all: the one that came nearest to an answer."""


def status_of(code: int) -> DialStatus:
    """Return the status of a party that was never joined."""
    return _STATUS.get(code, DialStatus.FAILED)


def decisive(ends: Iterable[Hangup]) -> tuple[DialStatus, str]:
    """Return the status of a dial that joined nobody and the cause of the party that speaks for all.

    Without any party it has failed. Refused credentials are told by the name of their code, as published.
    """
    best = min(ends, key=lambda end: _RANK.index(status_of(end.code)), default=None)
    if best is None:
        return DialStatus.FAILED, "INVALID_NUMBER_FORMAT"
    return status_of(best.code), best.name if best.code == Code.SIP_AUTH_FAILED else best.cause
