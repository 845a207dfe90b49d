"""`<Hangup>`: end the call, refuse it, or schedule its end.

Spec: wire spec 6.6.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ringback.callflow.commands import HangUp, ScheduleHangup, SipReject
from ringback.callflow.elements.base import Reader, Steps

_LONGEST_S = 86_400
_REASONS = {reason.value: reason for reason in SipReject}


@dataclass(frozen=True, slots=True)
class Hangup:
    """Ends the call, at once or after `schedule_s` while the following elements run.

    It never answers: as the first element of an unanswered inbound call it refuses the call, as `rejected` when it
    gives no reason. After the answer the reason has no meaning.
    """

    TAG: ClassVar[str] = "Hangup"
    ATTRIBUTES: ClassVar[frozenset[str]] = frozenset({"reason", "schedule"})

    reason: SipReject | None = None
    schedule_s: int = 0

    @classmethod
    def from_xml(cls, read: Reader) -> Hangup:
        """Return the element; an unknown reason is noted and counts as none."""
        text = read.text("reason").lower()
        reason = _REASONS.get(text)
        if text and reason is None:
            read.note(f"reason {text[:40]!r} is unknown and ignored: rejected or busy")
        return cls(reason, read.integer("schedule", 0, least=0, most=_LONGEST_S))

    @property
    def is_answering(self) -> bool:
        """Return no: refusing needs an unanswered call."""
        return False

    def run(self) -> Steps[None]:
        """Ask for the end of the call."""
        if self.schedule_s:
            yield ScheduleHangup(self.schedule_s * 1000)
            return
        yield HangUp(self.reason)
