"""What the callbacks of a call say of it."""

from __future__ import annotations

from ringback.billing.cdr import billed_duration_s
from ringback.billing.rating import amount, money
from ringback.calls.hangup import Hangup
from ringback.calls.settings import CallSettings
from ringback.calls.terms import CallTerms
from ringback.calls.views import CallDirection
from ringback.ids import CallUuid
from ringback.webhooks.payloads import CallFacts, HangupFacts


def call_facts(call_uuid: CallUuid, terms: CallTerms, settings: CallSettings) -> CallFacts:
    """Return what every callback of the call says."""
    return CallFacts(
        call_uuid=call_uuid,
        from_number=terms.from_number,
        to_number=terms.to_number,
        direction=terms.direction.value,
        parent_auth_id=terms.account.main_auth_id,
        session_start_wall_ms=terms.initiated_wall_ms,
        bill_rate=money(settings.rates.call_per_minute),
        has_plus=settings.has_plus,
        request_uuid="" if terms.direction is CallDirection.INBOUND else call_uuid,
        caller_name=terms.caller_name,
        forwarded_from=terms.forwarded_from,
        source_ip=terms.source_ip,
        sip_headers=terms.sip_headers,
        custom_headers=terms.custom_headers,
        a_leg_uuid=terms.parent_call_uuid if terms.is_dialled else "",
    )


def hangup_facts(
    ending: Hangup,
    status: str,
    settings: CallSettings,
    *,
    seconds: int,
    start_wall_ms: int,
    answer_wall_ms: int | None,
    end_wall_ms: int,
) -> HangupFacts:
    """Return what the hang-up callback says beside that; `seconds` are those since the answer."""
    return HangupFacts(
        cause=ending.cause,
        cause_name=ending.name,
        cause_code=int(ending.code),
        source=ending.source.value,
        call_status=status,
        duration_s=seconds,
        bill_duration_s=billed_duration_s(seconds),
        start_wall_ms=start_wall_ms,
        end_wall_ms=end_wall_ms,
        answer_wall_ms=answer_wall_ms,
        total_cost=money(amount(seconds, settings.rates.call_per_minute)),
    )
