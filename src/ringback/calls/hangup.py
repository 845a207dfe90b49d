"""Why calls end: Plivo's hang-up codes, and the map from how a leg ended to what the customer is told.

Spec: wire spec 5.8 (codes and names), 4.6 (sources); the SIP map is sip.md section 11.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, IntEnum
from types import MappingProxyType

from ringback.signalling.events import LegEnd, LegEndKind


class HangupSource(Enum):
    """Who ended the call, in the words of the CDR."""

    CALLER = "Caller"
    CALLEE = "Callee"
    PLATFORM = "Plivo"
    API = "API Request"
    XML = "Answer XML"
    ERROR = "Error"
    UNKNOWN = "Unknown"


class Code(IntEnum):
    """Hang-up cause codes."""

    UNKNOWN = 0
    CANCELED = 1000
    INVALID_DESTINATION = 2000
    DESTINATION_OUT_OF_SERVICE = 2010
    ENDPOINT_NOT_REGISTERED = 2020
    LOOP_DETECTED = 2060
    NO_ANSWER = 3000
    BUSY_LINE = 3010
    REJECTED = 3020
    FORBIDDEN = 3040
    UNALLOCATED_NUMBER = 3050
    REQUEST_TIMEOUT = 3070
    CARRIER_ERROR = 3080
    NETWORK_CONGESTION = 3090
    BUSY_EVERYWHERE = 3100
    DECLINED = 3110
    DOES_NOT_EXIST = 3120
    SPAM_BLOCK = 3130
    NORMAL = 4000
    END_OF_XML = 4010
    MULTIPARTY_ENDED = 4020
    KICKED = 4030
    SIP_AUTH_FAILED = 4210
    NETWORK_ERROR = 5000
    INTERNAL_ERROR = 5010
    ROUTING_ERROR = 5020
    CONCURRENCY_LIMIT = 5030
    SCHEDULED_HANGUP = 6000
    RING_TIMEOUT = 6010
    MEDIA_TIMEOUT = 6020
    ANSWER_URL = 7011
    ACTION_URL = 7012
    TRANSFER_URL = 7013
    REDIRECT_URL = 7014
    INVALID_ACTION_URL = 7022
    INVALID_TRANSFER_URL = 7023
    INVALID_REDIRECT_URL = 7024
    INVALID_ACTION_METHOD = 7032
    INVALID_TRANSFER_METHOD = 7033
    INVALID_REDIRECT_METHOD = 7034
    ANSWER_XML = 8011
    ACTION_XML = 8012
    TRANSFER_XML = 8013
    REDIRECT_XML = 8014
    LOST_RACE = 9000
    MACHINE_DETECTED = 9100
    CONFIRM_FAILED = 9110


NAMES: Mapping[int, str] = MappingProxyType(
    {
        0: "Unknown",
        1000: "Canceled",
        1010: "Canceled (Out Of Credits)",
        1020: "Canceled (Simultaneous dial limit reached)",
        2000: "Invalid Destination Address",
        2010: "Destination Out Of Service",
        2020: "Endpoint Not Registered",
        2030: "Destination Country Barred",
        2040: "Destination Number Barred",
        2050: "Destination Prefix Barred",
        2060: "Loop Detected",
        2070: "Violates Media Anchoring",
        3000: "No Answer",
        3010: "Busy Line",
        3020: "Rejected",
        3030: "Unknown Caller ID",
        3040: "Forbidden",
        3050: "Unallocated number",
        3070: "Request timeout",
        3080: "Internal server error from carrier",
        3090: "Network congestion",
        3100: "Busy everywhere",
        3110: "Declined",
        3120: "User does not exist anywhere",
        3130: "Spam block",
        3140: "DNO Caller ID",
        4000: "Normal Hangup",
        4010: "End Of XML Instructions",
        4020: "Multiparty Call Ended",
        4030: "Kicked Out Of Multiparty Call",
        4210: "sip_auth_failed",
        4240: "sip_auth_failed",
        4250: "sip_auth_timeout",
        5000: "Network Error",
        5010: "Internal Error",
        5020: "Routing Error",
        5030: "Concurrency Limit Breached",
        6000: "Scheduled Hangup",
        6010: "Ring Timeout Reached",
        6020: "Media Timeout",
        7011: "Error Reaching Answer URL",
        7012: "Error Reaching Action URL",
        7013: "Error Reaching Transfer URL",
        7014: "Error Reaching Redirect URL",
        7022: "Invalid Action URL",
        7023: "Invalid Transfer URL",
        7024: "Invalid Redirect URL",
        7032: "Invalid Method for Action URL",
        7033: "Invalid Method for Transfer URL",
        7034: "Invalid Method for Redirect URL",
        8011: "Invalid Answer XML",
        8012: "Invalid Action XML",
        8013: "Invalid Transfer XML",
        8014: "Invalid Redirect XML",
        9000: "Lost Race",
        9100: "Machine Detected",
        9110: "Confirm Key Challenge Failed",
    }
)
"""Every published code and its name (spec 5.8)."""


@dataclass(frozen=True, slots=True)
class Hangup:
    """The one reason a call ended.

    `cause` is the upper-case `HangupCause`; `status` the final `CallStatus` when the call was never answered (an
    answered call is always `completed`).
    """

    code: int
    source: HangupSource
    cause: str = "NORMAL_CLEARING"
    status: str = "failed"
    detail: str = ""

    @property
    def name(self) -> str:
        """Return Plivo's text for the code."""
        return NAMES.get(self.code, "Unknown")


_NORMAL = ("NORMAL_CLEARING", "completed")
_OUT_OF_ORDER = ("NETWORK_OUT_OF_ORDER", "failed")

_CAUSE_AND_STATUS: Mapping[int, tuple[str, str]] = MappingProxyType(
    {
        1000: ("ORIGINATOR_CANCEL", "cancel"),
        2000: ("INVALID_NUMBER_FORMAT", "failed"),
        2010: ("DESTINATION_OUT_OF_ORDER", "failed"),
        2020: ("SERVICE_UNAVAILABLE", "failed"),
        2060: ("EXCHANGE_ROUTING_ERROR", "failed"),
        3000: ("NO_ANSWER", "no-answer"),
        3010: ("USER_BUSY", "busy"),
        3020: ("CALL_REJECTED", "busy"),
        3040: ("CALL_REJECTED", "failed"),
        3050: ("UNALLOCATED_NUMBER", "failed"),
        3070: ("RECOVERY_ON_TIMER_EXPIRE", "failed"),
        3080: _OUT_OF_ORDER,
        3090: _OUT_OF_ORDER,
        3100: ("USER_BUSY", "busy"),
        3110: ("CALL_REJECTED", "busy"),
        3120: ("UNALLOCATED_NUMBER", "failed"),
        3130: ("CALL_REJECTED", "failed"),
        4210: ("CALL_REJECTED", "failed"),
        5000: _OUT_OF_ORDER,
        5010: _OUT_OF_ORDER,
        5020: ("NO_ROUTE_DESTINATION", "failed"),
        5030: ("SERVICE_UNAVAILABLE", "failed"),
        6000: ("ALLOTTED_TIMEOUT", "completed"),
        6010: ("NO_ANSWER", "no-answer"),
        6020: _OUT_OF_ORDER,
        9000: ("ORIGINATOR_CANCEL", "cancel"),
    }
)


def hangup(code: int, source: HangupSource, detail: str = "") -> Hangup:
    """Return the hang-up of `code` with its cause and status."""
    cause, status = _CAUSE_AND_STATUS.get(code, _NORMAL)
    return Hangup(code, source, cause, status, detail)


_BY_SIP_STATUS: Mapping[int, int] = MappingProxyType(
    {
        401: 4210,
        403: 3040,
        404: 3050,
        407: 4210,
        408: 3070,
        410: 3050,
        415: 5020,
        416: 2000,
        480: 3000,
        482: 2060,
        483: 2060,
        484: 2000,
        485: 2000,
        486: 3010,
        487: 1000,
        488: 5020,
        500: 3080,
        501: 3080,
        502: 3080,
        503: 3090,
        504: 3070,
        600: 3100,
        603: 3110,
        604: 3120,
        606: 5020,
        607: 3130,
        608: 3130,
    }
)
_NO_COMMON_CODEC = frozenset({415, 488, 606})
_BY_Q850 = MappingProxyType(
    {
        1: 3050,
        22: 3050,
        17: 3010,
        18: 3000,
        19: 3000,
        21: 3020,
        27: 2010,
        28: 2000,
        34: 3090,
        38: 3090,
        41: 3090,
        42: 3090,
        44: 3090,
        102: 3070,
    }
)
_REFINED_BY_Q850 = frozenset({480, 500, 503})


def code_of_refusal(sip_status: int, reason_header: str) -> int:
    """Return the hang-up code of a final SIP refusal; Q.850 in `reason_header` refines statuses that gateways
    collapse causes into (480, 500, 503 and 4xx without a row of their own).

    Spec: sip.md section 11.
    """
    known = _BY_SIP_STATUS.get(sip_status)
    if sip_status in _REFINED_BY_Q850 or (known is None and 400 <= sip_status < 500):
        refined = _BY_Q850.get(q850_cause(reason_header) or -1)
        if refined is not None:
            return refined
    if known is not None:
        return known
    if 500 <= sip_status < 600:
        return Code.CARRIER_ERROR
    if 600 <= sip_status < 700:
        return Code.DECLINED
    return Code.ROUTING_ERROR


def q850_cause(reason_header: str) -> int | None:
    """Return the cause of a `Reason: Q.850;cause=N` value, or `None`."""
    for value in reason_header.split(","):
        protocol, _, parameters = value.strip().partition(";")
        if protocol.strip().lower() != "q.850":
            continue
        for parameter in parameters.split(";"):
            name, _, text = parameter.partition("=")
            if name.strip().lower() == "cause" and text.strip().isdigit():
                return int(text.strip())
    return None


_REJECT_STATUS = MappingProxyType({"rejected": (603, "Decline"), "busy": (486, "Busy Here")})
_UNREACHABLE_CODES = range(7011, 7035)
_INVALID_XML_CODES = range(8011, 8015)


def refusal(cause_code: int, sip_reject: str) -> tuple[int, str]:
    """Return the SIP status and reason that refuse a caller: what `<Hangup reason>` asks for, or by the cause."""
    if sip_reject in _REJECT_STATUS:
        return _REJECT_STATUS[sip_reject]
    if cause_code in _UNREACHABLE_CODES or cause_code in _INVALID_XML_CODES:
        return 503, "Service Unavailable"
    return 480, "Temporarily Unavailable"


def hangup_of_leg(end: LegEnd, *, inbound: bool, answered: bool) -> Hangup:
    """Return why the call ended, as told by how its A leg ended on its own.

    A hang-up that the platform asked for (API, XML, a limit) is known before and does not come here.
    """
    far_party = HangupSource.CALLER if inbound else HangupSource.CALLEE
    match end.kind:
        case LegEndKind.REMOTE_HANGUP:
            return hangup(Code.NORMAL if answered else Code.CANCELED, far_party, end.detail)
        case LegEndKind.CANCELLED_BY_CALLER:
            return hangup(Code.CANCELED, HangupSource.CALLER, end.detail)
        case LegEndKind.REFUSED:
            code = code_of_refusal(end.sip_status, end.reason_header)
            found = hangup(code, HangupSource.CALLEE, f"{end.sip_status} {end.sip_reason}".strip())
            if end.sip_status in _NO_COMMON_CODEC:
                return Hangup(code, found.source, "BEARERCAPABILITY_NOTAVAIL", found.status, found.detail)
            return found
        case LegEndKind.RING_TIMEOUT:
            return hangup(Code.RING_TIMEOUT, HangupSource.PLATFORM, end.detail)
        case LegEndKind.REQUEST_TIMEOUT:
            return hangup(Code.REQUEST_TIMEOUT, HangupSource.CALLEE, end.detail)
        case LegEndKind.NO_ACK | LegEndKind.TRANSPORT:
            return hangup(Code.NETWORK_ERROR, HangupSource.ERROR, end.detail)
        case LegEndKind.NOT_REGISTERED:
            return hangup(Code.ENDPOINT_NOT_REGISTERED, HangupSource.PLATFORM, end.detail)
        case LegEndKind.MEDIA_TIMEOUT:
            return hangup(Code.MEDIA_TIMEOUT, HangupSource.PLATFORM, end.detail)
        case LegEndKind.NO_COMMON_CODEC:
            return Hangup(Code.ROUTING_ERROR, HangupSource.ERROR, "BEARERCAPABILITY_NOTAVAIL", "failed", end.detail)
        case LegEndKind.WORKER_LOST | LegEndKind.MEDIA_FAILED | LegEndKind.LOCAL_HANGUP | LegEndKind.REJECTED:
            return hangup(Code.INTERNAL_ERROR, HangupSource.ERROR, end.detail)
