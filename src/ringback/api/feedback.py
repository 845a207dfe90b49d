"""`/v1/Call/{call_uuid}/Feedback/`: what people thought of a call (specification 7.9).

Official SDKs send this to a host of its own, so its path names no account.
"""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from ringback.api.auth import CallingAccount
from ringback.api.bodies import read_body
from ringback.api.errors import Unprocessable
from ringback.api.forms import Form, described_body, shown
from ringback.api.responses import reply
from ringback.api.services import ServicesOf
from ringback.errors import InvalidParameter, NotFound
from ringback.ids import CallUuid

router = APIRouter(tags=["Calls"])

RATING_BEST = 5.0
ISSUES = (
    *("AUDIO_LAG", "BROKEN_AUDIO", "CALL_DROPPED", "CALLERID_ISSUE", "DIGITS_NOT_CAPTURED", "ECHO"),
    *("HIGH_CONNECT_TIME", "LOW_AUDIO_LEVEL", "ONE_WAY_AUDIO", "OTHERS", "ROBOTIC_AUDIO"),
)
_SPELLINGS = {"CALLERID_ISSUES": "CALLERID_ISSUE", "CALL_DROPPPED": "CALL_DROPPED"}
"""How the published error texts spell some of them."""
_ISSUES_SCHEMA = {"type": "array", "items": {"type": "string", "enum": list(ISSUES)}}


@dataclass(frozen=True, slots=True)
class Feedback:
    """One person's judgement of a call."""

    rating: float
    issues: tuple[str, ...]
    notes: str


def read_feedback(form: Form) -> Feedback:
    """Return the judgement that a request holds.

    Raises:
        InvalidParameter: the notes are too long or no text.
        Unprocessable: the rating is no number from 1 to 5, or below 5 without published issues.
    """
    rating = _rating(form.raw("rating", {"type": "number", "minimum": 1, "maximum": 5}, required=True))
    given = form.raw("issues", _ISSUES_SCHEMA, "What was wrong; required with a rating below 5.")
    entries = given.split(",") if isinstance(given, str) else given if isinstance(given, list) else []
    named = [str(each).strip().upper() for each in entries]
    issues = tuple(dict.fromkeys(_SPELLINGS.get(name, name) for name in named if name))
    if wrong := [name for name in issues if name not in ISSUES]:
        raise Unprocessable(f"issues parameter is invalid: {shown(wrong[0])}, expected some of {', '.join(ISSUES)}")
    if rating < RATING_BEST and not issues:
        raise Unprocessable(f"issues parameter is missing: a rating below 5 needs some of {', '.join(ISSUES)}")
    return Feedback(rating, issues, form.text("notes", max_chars=1_000))


def _rating(value: object) -> float:
    if value is None or value == "":
        raise InvalidParameter("rating parameter is missing", field="rating")
    try:
        # Texts too: the published example sends one.
        rating = float(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else 0.0
    except (ValueError, OverflowError):
        rating = 0.0
    if not 1 <= rating <= RATING_BEST:
        raise Unprocessable(f"rating parameter is invalid: {shown(str(value))}, expected a number from 1 to 5")
    return rating


@router.post(
    "/v1/Call/{call_uuid}/Feedback/",
    summary="Judge a call",
    status_code=201,
    openapi_extra=described_body(read_feedback, {"rating": 4, "issues": ["AUDIO_LAG"], "notes": "a bit late"}),
)
async def judge_call(request: Request, account: CallingAccount, services: ServicesOf, call_uuid: str) -> Response:
    """Note a judgement in the call's event log."""
    feedback = read_feedback(Form(await read_body(request)))
    uuid = CallUuid(call_uuid)
    if not await services.calls.has_call(await services.calls.owner_of(account, uuid), uuid):
        raise NotFound("call not found: please check the call uuid")
    fields = {"rating": feedback.rating, "issues": ",".join(feedback.issues), "notes": feedback.notes}
    services.events.record(call_uuid, "feedback", fields)
    return reply(201, {"message": "Feedback has been posted", "status": "success"})
