"""What goes wrong, as HTTP: status, Plivo's error body, and never a 5xx once something may have happened.

Official clients send a request again when it was answered with a 5xx, also a POST (specification 4.1). So an
unexpected failure of a request that changes things is answered 409, one that only reads 500.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Mapping

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from ringback.api.responses import reply
from ringback.errors import (
    Conflict,
    DocumentError,
    EgressError,
    InvalidParameter,
    LimitReached,
    MediaError,
    NotAllowed,
    NotFound,
    RequestError,
    RingbackError,
)
from ringback.storage.database import StorageUnavailable

_logger = logging.getLogger(__name__)
RETRY_AFTER_S = 5

_RESOURCE = re.compile(r"/v1/Account/[^/]+/([^/]+)/.*")
_ABSENT: Mapping[str, str] = {
    **dict.fromkeys(
        (
            *("Message", "Powerpack", "NumberPool", "10dlc", "Profile", "Media", "TollfreeVerification", "Verify"),
            *("EndUser", "ComplianceApplication", "ComplianceDocument", "ComplianceDocumentType"),
            *("ComplianceRequirement", "Verification"),
        ),
        "is not here: this server has voice only",
    ),
    **dict.fromkeys(("Masking", "VerifiedCallerId"), "is not built yet"),
}
"""Why there is nothing where official SDKs have a resource (docs/support.md)."""
_LIST = re.compile(r"/v1/Account/[^/]+/[^/]+/(?:[^/]+/Stream/)?")


class BodyTooLarge(RequestError):
    """A request body above the bound."""

    default_code = "body-too-large"


class UnsupportedBody(RequestError):
    """A request body in a form that is not read."""

    default_code = "unsupported-body"


class Unprocessable(RequestError):
    """A value that is read and makes no sense, where the published answer is 422."""

    default_code = "unprocessable"


class Unauthorized(RequestError):
    """Credentials are missing, wrong, or not those of the account in the path."""

    default_code = "unauthorized"


_STATUS: tuple[tuple[type[RingbackError], int], ...] = (
    (NotFound, 404),
    (NotAllowed, 403),
    (LimitReached, 429),
    (Conflict, 409),
    (InvalidParameter, 400),
    (Unprocessable, 422),
    (RequestError, 400),
    (EgressError, 400),
    (DocumentError, 400),
    (MediaError, 409),
)


def install(app: FastAPI) -> None:
    """Make every error of `app` an answer of this module."""
    app.add_exception_handler(RingbackError, _answer_known)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    app.add_exception_handler(Exception, _answer_unexpected)


def error_reply(request: Request, status: int, text: str, headers: Mapping[str, str] | None = None) -> Response:
    """Return `{api_id, error}`; on list URLs with empty `objects`, without which the Python SDK cannot read it."""
    payload: dict[str, object] = {"error": text or "error"}
    if request.method == "GET" and _LIST.fullmatch(request.scope["path"]):
        payload["objects"] = []
    return reply(status, payload, headers)


async def answer_failure(request: Request, error: Exception) -> Response:
    """Return the answer to `error`, whatever it is."""
    if isinstance(error, RingbackError):
        return await _answer_known(request, error)
    return await _answer_unexpected(request, error)


async def _answer_known(request: Request, error: Exception) -> Response:
    assert isinstance(error, RingbackError)
    match error:
        case Unauthorized():
            # Plain text on purpose: the Python SDK cannot read a JSON error without `objects` on list URLs, and the
            # cloud is known to send this text (specification 4.2).
            return Response(
                "Could not verify your access level for that URL.\nYou have to login with proper credentials",
                401,
                {"WWW-Authenticate": 'Basic realm="Login Required"'},
                "text/plain",
            )
        case BodyTooLarge():
            return error_reply(request, 413, str(error))
        case UnsupportedBody():
            return error_reply(request, 415, str(error))
        case StorageUnavailable():
            busy = 503 if _only_reads(request) else 429
            return error_reply(request, busy, "the server is busy, try again", {"Retry-After": str(RETRY_AFTER_S)})
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), None)
    if status is None:
        return await _answer_unexpected(request, error)
    seconds = error.fields.get("retry_after_s", RETRY_AFTER_S)
    return error_reply(request, status, str(error), {"Retry-After": str(seconds)} if status == 429 else None)


async def _answer_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    found = _RESOURCE.fullmatch(request.scope["path"])
    resource = found[1] if found else ""
    absent = f"not found: {resource} {_ABSENT[resource]}" if resource in _ABSENT else "not found"
    text = {404: absent, 405: f"method {request.method} is not allowed here"}.get(error.status_code)
    headers = None
    if error.status_code == 405:
        headers = {"Allow": ", ".join(request.app.state.context.methods.of(request.scope["path"]))}
    return error_reply(request, error.status_code, text or str(error.detail), headers)


async def _answer_validation(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return error_reply(request, 400, "; ".join(str(fault.get("msg", "")) for fault in error.errors()))


async def _answer_unexpected(request: Request, error: Exception) -> Response:
    if isinstance(error, ClientDisconnect):
        return error_reply(request, 400, "the request body ended early")
    _logger.error(
        "api request failed",
        exc_info=error,
        extra={"method": request.method, "route": getattr(request.scope.get("route"), "path", "")},
    )
    if _only_reads(request):
        return error_reply(request, 500, "internal error")
    return error_reply(request, 409, "internal error: the request was not completed and may have taken effect")


def _only_reads(request: Request) -> bool:
    return request.method in ("GET", "HEAD", "OPTIONS")
