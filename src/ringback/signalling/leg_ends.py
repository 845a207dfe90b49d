"""Between SIP and `LegEnd`: what a final response, a BYE or a lost dialog means, and what we tell the peer. Pure."""

from __future__ import annotations

from typing import Final

from ringback.signalling.events import LegEnd, LegEndKind
from ringback.sip.endpoint import EndDetail, HungUp, Refused
from ringback.sip.headers.reason import Reason
from ringback.sip.message import SipRequest, SipResponse

_STATUS_OF_CAUSE: Final = {1: 404, 17: 486, 18: 408, 21: 603, 34: 503, 38: 503, 41: 503, 42: 503, 44: 503}
"""Final response for a hang-up before the answer, by Q.850 cause (after RFC 3398 §7.2.4.1); others: 480."""
_CAUSE_OF_END: Final = {
    LegEndKind.RING_TIMEOUT: Reason("Q.850", 19, "Ring timeout"),
    LegEndKind.NO_COMMON_CODEC: Reason("Q.850", 65, "No common codec"),
    LegEndKind.WORKER_LOST: Reason("Q.850", 41, "Media lost"),
    LegEndKind.MEDIA_FAILED: Reason("Q.850", 41, "Media failed"),
}
_NORMAL: Final = Reason("Q.850", 16)
_REFUSALS: Final = {
    EndDetail.TIMEOUT: (LegEndKind.REQUEST_TIMEOUT, "no gateway answered in time"),
    EndDetail.TRANSPORT: (LegEndKind.TRANSPORT, "no gateway could be reached"),
    EndDetail.LIMIT: (LegEndKind.TRANSPORT, "a limit of the SIP endpoint is reached"),
    EndDetail.CREDENTIALS: (LegEndKind.REFUSED, "the peer wants other credentials"),
}
"""How a call that will not be answered ended, where the peer's final response does not say it all."""
_DIALOG_ENDS: Final = {
    EndDetail.REMOTE: (LegEndKind.REMOTE_HANGUP, ""),
    EndDetail.NO_ACK: (LegEndKind.NO_ACK, "the caller never acknowledged our answer"),
    EndDetail.NO_ANSWER_IN_ACK: (LegEndKind.NO_ACK, "the caller's ACK brought no answer to our offer"),
}


def status_of_cause(q850: int) -> int:
    """Return the final response for a hang-up before the answer."""
    return _STATUS_OF_CAUSE.get(q850, 480)


def reason_of_end(end: LegEnd | None) -> Reason:
    """Return what BYE or CANCEL says about an end of our making."""
    return _CAUSE_OF_END.get(end.kind, _NORMAL) if end is not None else _NORMAL


def end_of_refusal(event: Refused) -> LegEnd:
    kind, detail = _REFUSALS.get(event.detail, (LegEndKind.REFUSED, ""))
    return LegEnd(kind, event.status, event.reason, reason_header(event.response), detail)


def end_of_dialog(event: HungUp) -> LegEnd:
    kind, detail = _DIALOG_ENDS.get(event.detail, (LegEndKind.TRANSPORT, f"the dialog was lost: {event.detail.value}"))
    return LegEnd(kind, reason_header=reason_header(event.request), detail=detail)


def reason_header(message: SipRequest | SipResponse | None) -> str:
    return "" if message is None else ", ".join(message.headers.lines("reason"))


def warning_header(detail: str) -> tuple[str, str]:
    """Return the Warning header that tells a peer why its SDP was refused (RFC 3261 §20.43)."""
    text = "".join(each for each in detail if each.isprintable() and each not in '"\\')
    return "Warning", f'399 ringback "{text[:300]}"'
