"""The OpenAPI document: what the resources declare, and what every operation may answer."""

from __future__ import annotations

from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from ringback.api.shapes import ERROR, SHAPES, SPAWNED

_ACCOUNT_PATHS = "/v1/Account/"
_AUTHENTICATED_PATHS = ("/v1/Account/", "/v1/Call/", "/ringback/v1/calls", "/ringback/v1/webhooks")
_MEDIA_TYPES = {"list_events": "application/x-ndjson", "metrics": "text/plain"}
_ERROR_CONTENT = {"application/json": {"schema": ERROR}}


def install(app: FastAPI) -> None:
    """Make `app` give this document."""

    def document() -> dict[str, Any]:
        if app.openapi_schema is None:
            app.openapi_schema = describe(app)
        return app.openapi_schema

    # As FastAPI documents it: the method is replaced on the object.
    app.openapi = document  # type: ignore[method-assign]


def describe(app: FastAPI) -> dict[str, Any]:
    """Return the document of an application."""
    found = get_openapi(title=app.title, summary=app.summary, version=app.version, routes=app.routes)
    found["components"] = {"securitySchemes": {"credentials": {"type": "http", "scheme": "basic"}}}
    for path, operations in found["paths"].items():
        for method, operation in operations.items():
            _complete(path, method, operation)
    return found


def _complete(path: str, method: str, operation: dict[str, Any]) -> None:
    responses = operation["responses"]
    # FastAPI expects its own validation errors; ours are 400.
    responses.pop("422", None)
    name = operation["operationId"]
    success = next(iter(responses))
    if name in _MEDIA_TYPES:
        responses[success]["content"] = {_MEDIA_TYPES[name]: {}}
    elif name in SHAPES:
        responses[success]["content"] = {"application/json": {"schema": SHAPES[name]}}
    if name == "readiness":
        responses["503"] = {"description": "No calls are taken", "content": {"application/json": {}}}
    if path.startswith(_AUTHENTICATED_PATHS):
        operation["security"] = [{"credentials": []}]
        responses["401"] = {"description": "Credentials are missing or wrong", "content": {"text/plain": {}}}
        responses["4XX"] = {"description": "Refused; `error` says why", "content": _ERROR_CONTENT}
        if method == "get":
            responses["5XX"] = {"description": "Not done; reading may be tried again", "content": _ERROR_CONTENT}
    if path.startswith(_ACCOUNT_PATHS) and not path.endswith("/Record/"):
        _add_asynchronous(method, operation)


def _add_asynchronous(method: str, operation: dict[str, Any]) -> None:
    """Say that a request with `callback_url` is answered at once (specification 4.4)."""
    responses = operation["responses"]
    is_own = "202" in responses
    accepted = responses.setdefault("202", {"description": "With `callback_url`: the result is sent there"})
    schema = {"anyOf": [SHAPES.get(operation["operationId"], {}), SPAWNED]} if is_own else SPAWNED
    accepted["content"] = {"application/json": {"schema": schema}}
    if method == "get" or "requestBody" not in operation:
        named = {parameter["name"] for parameter in operation.setdefault("parameters", [])}
        for parameter in _CALLBACK_PARAMETERS:
            if parameter["name"] not in named:
                operation["parameters"].append(parameter)
        return
    for content in operation["requestBody"]["content"].values():
        # The resources share their schemas between forms and JSON.
        content["schema"] = {**content["schema"], "properties": {**content["schema"]["properties"], **_CALLBACK}}


_CALLBACK: dict[str, Any] = {
    "callback_url": {
        "type": "string",
        "format": "uri",
        "maxLength": 2048,
        "description": "The request is answered at once, its result goes to this URL.",
    },
    "callback_method": {"type": "string", "enum": ["GET", "POST"], "default": "POST"},
}
_CALLBACK_PARAMETERS = [
    {"name": name, "in": "query", "required": False, "schema": schema} for name, schema in _CALLBACK.items()
]
