"""A call's terms as the row that is stored before its first effect."""

from __future__ import annotations

from ringback.calls.live import CallTerms
from ringback.calls.models import CallRow
from ringback.calls.state import State
from ringback.ids import CallUuid


def call_row(call_uuid: CallUuid, terms: CallTerms, state: State) -> CallRow:
    """Return the row of a new call."""
    return CallRow(
        call_uuid=call_uuid,
        account_id=terms.account.auth_id,
        direction=terms.direction.value,
        from_number=terms.from_number[:255],
        to_number=terms.to_number[:255],
        caller_name=terms.caller_name[:255],
        parent_call_uuid=terms.parent_call_uuid[:36],
        state=state.value,
        answer_url=terms.answer_url,
        hangup_url=terms.hangup_url,
        hangup_method=terms.hangup_method,
        trunk=terms.trunk,
        source_ip=terms.source_ip,
        initiated_wall_ms=terms.initiated_wall_ms,
    )


def call_facts(terms: CallTerms, state: State, **fields: object) -> dict[str, object]:
    """Return what the event log says of a call that has come into this state."""
    return {
        "state": state.value,
        "direction": terms.direction.value,
        "from": terms.from_number,
        "to": terms.to_number,
        **fields,
    }
