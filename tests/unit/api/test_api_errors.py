"""Each branch of the error tree has its status, and nothing that may have acted is answered 5xx."""

from __future__ import annotations

import json

import pytest
from fastapi import Request
from starlette.requests import ClientDisconnect

from ringback.api.errors import BodyTooLarge, Unauthorized, UnsupportedBody, answer_failure
from ringback.errors import (
    Bug,
    Conflict,
    DocumentError,
    EgressError,
    InvalidParameter,
    LimitReached,
    MediaError,
    NotAllowed,
    NotFound,
    ProtocolError,
    RequestError,
)
from ringback.storage.database import StorageUnavailable


def request(method: str, path: str = "/v1/Account/MA/Call/x/") -> Request:
    return Request({"type": "http", "method": method, "path": path, "headers": []})


@pytest.mark.parametrize(
    ("error", "reading", "changing"),
    [
        (NotFound("x"), 404, 404),
        (InvalidParameter("x"), 400, 400),
        (NotAllowed("x"), 403, 403),
        (Conflict("x"), 409, 409),
        (LimitReached("x"), 429, 429),
        (RequestError("x"), 400, 400),
        (EgressError("x"), 400, 400),
        (DocumentError("x"), 400, 400),
        (MediaError("x"), 409, 409),
        (BodyTooLarge("x"), 413, 413),
        (UnsupportedBody("x"), 415, 415),
        (Unauthorized("x"), 401, 401),
        (StorageUnavailable("x"), 503, 429),
        (ProtocolError("x"), 500, 409),
        (Bug("x"), 500, 409),
        (ZeroDivisionError(), 500, 409),
        (ClientDisconnect(), 400, 400),
    ],
)
async def test_status_of_each_error(error: Exception, reading: int, changing: int) -> None:
    assert (await answer_failure(request("GET"), error)).status_code == reading
    for method in ("POST", "DELETE"):
        assert (await answer_failure(request(method), error)).status_code == changing


async def test_message_and_hint_are_shown_but_never_internals() -> None:
    shown = await answer_failure(request("POST"), InvalidParameter("a is wrong", hint="use b"))
    assert json.loads(bytes(shown.body))["error"] == "a is wrong (use b)"
    hidden = await answer_failure(request("GET"), ValueError("secret detail"))
    assert json.loads(bytes(hidden.body))["error"] == "internal error"


async def test_error_text_is_never_empty() -> None:
    assert json.loads(bytes((await answer_failure(request("GET"), NotFound(""))).body))["error"]


async def test_retry_after_of_the_error_or_five_seconds() -> None:
    assert (await answer_failure(request("GET"), LimitReached("x"))).headers["retry-after"] == "5"
    assert (await answer_failure(request("GET"), LimitReached("x", retry_after_s=17))).headers["retry-after"] == "17"
    assert (await answer_failure(request("POST"), StorageUnavailable("x"))).headers["retry-after"] == "5"


@pytest.mark.parametrize(
    ("path", "is_list"),
    [
        ("/v1/Account/MA/Call/", True),
        ("/v1/Account/MA/Recording/", True),
        ("/v1/Account/MA/Call/uuid/Stream/", True),
        ("/v1/Account/MA/", False),
        ("/v1/Account/MA/Call/uuid/", False),
        ("/v1/Account/MA/Call/uuid/Stream/id/", False),
        ("/healthz", False),
    ],
)
async def test_list_urls_carry_objects(path: str, is_list: bool) -> None:
    payload = json.loads(bytes((await answer_failure(request("GET", path), NotFound("x"))).body))
    assert ("objects" in payload) is is_list
    payload = json.loads(bytes((await answer_failure(request("POST", path), NotFound("x"))).body))
    assert "objects" not in payload
