"""What was agreed when a call was made, or found when it came in."""

from __future__ import annotations

from dataclasses import dataclass

from ringback.accounts.account import Account
from ringback.calls.views import CallDirection, MachineDetection


@dataclass(frozen=True, slots=True, kw_only=True)
class CallTerms:
    """What was agreed when the call was made; absent URLs are empty."""

    account: Account
    direction: CallDirection
    from_number: str
    to_number: str
    initiated_wall_ms: int
    answer_url: str
    answer_method: str = "POST"
    fallback_url: str = ""
    fallback_method: str = "POST"
    ring_url: str = ""
    ring_method: str = "POST"
    hangup_url: str = ""
    hangup_method: str = "POST"
    caller_name: str = ""
    parent_call_uuid: str = ""
    time_limit_s: int = 14_400
    send_digits: str = ""
    send_on_preanswer: bool = False
    hangup_on_ring_s: int | None = None
    forwarded_from: str = ""
    source_ip: str = ""
    trunk: str = ""
    sip_headers: tuple[tuple[str, str], ...] = ()
    custom_headers: tuple[tuple[str, str], ...] = ()
    is_dialled: bool = False
    """Another call's document dialled it (`parent_call_uuid`): it runs no document until it is transferred."""
    machine_detection: MachineDetection | None = None
    hops: int = 0
    """How many calls of this node lead to this one through its own door; bounds documents that dial each other."""
