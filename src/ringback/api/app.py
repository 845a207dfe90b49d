"""The application: routes, errors, and both spellings of every path."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import cache

import msgspec
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from ringback import clock
from ringback.api import accounts, applications, call_streams, calls, errors, numbers, requests
from ringback.api.admin import events, health
from ringback.api.limits import FailureLimit, RequestLimit
from ringback.api.openapi import describe
from ringback.api.replies import AsyncReplies
from ringback.api.routing import Operation, build_routes
from ringback.api.services import Context, Services

OPENAPI_PATH = "/ringback/v1/openapi.json"
ACCOUNT_PATH = "/v1/Account/{auth_id}"
RESOURCES = (accounts, calls, call_streams, requests, applications, numbers)
"""Modules with a router of operations below `ACCOUNT_PATH`, one a resource."""


def build_api(services: Services) -> Starlette:
    """Return the application that serves Plivo's REST API and our own resources.

    State: it belongs to the running loop; its shutdown waits for asynchronous requests that are under way.
    """
    settings = services.settings
    context = Context(
        services=services,
        request_limit=RequestLimit(settings.requests_per_window, settings.window_ms, clock.now),
        failure_limit=FailureLimit(settings.auth_failures_per_minute, clock.now),
        replies=AsyncReplies(services.callbacks, settings.async_replies_max),
    )

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await context.replies.close()

    operations = _operations()
    app = Starlette(routes=[*build_routes(operations), _openapi_route(operations, settings.version)], lifespan=lifespan)
    app.router.redirect_slashes = False
    app.state.context = context
    errors.install(app)
    app.add_middleware(OneSpelling)
    return app


def _operations() -> list[Operation]:
    """Return everything that is served, with full paths."""
    of_account = [
        replace(operation, path=ACCOUNT_PATH + operation.path)
        for resource in RESOURCES
        for operation in resource.router.operations
    ]
    return [*of_account, *events.router.operations, *health.router.operations]


def _openapi_route(operations: Sequence[Operation], version: str) -> Route:
    @cache
    def document() -> bytes:
        return msgspec.json.encode(
            describe(operations, title=_TITLE, summary=_SUMMARY, version=version, errors=_ERRORS)
        )

    async def openapi(_request: Request) -> Response:
        return Response(document(), media_type="application/json")

    return Route(OPENAPI_PATH, openapi)


class OneSpelling:
    """Gives every path the spelling of its route: with a final slash below `/v1/`, without one elsewhere.

    Answering the other spelling with a redirect would turn POST and DELETE into GET in many clients.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] == "http":
            path = scope["path"]
            wanted = f"{path.rstrip('/')}/" if path.startswith("/v1/") else path.rstrip("/") or "/"
            if wanted != path:
                scope = {**scope, "path": wanted}
        await self._app(scope, receive, send)


_TITLE = "Ringback"
_SUMMARY = "Calls and audio streams for voice agents: Plivo's REST API, self-hosted."
_ERROR = {"application/json": {"example": {"api_id": "97ceeb52-58b6-11e1-86da-77300b68f8bb", "error": "not found"}}}
_ERRORS = {
    "400": {"description": "A parameter is missing or wrong", "content": _ERROR},
    "401": {"description": "Credentials are missing or wrong", "content": {"text/plain": {}}},
    "404": {"description": "No such resource in this account", "content": _ERROR},
    "429": {"description": "Too many requests; see Retry-After", "content": _ERROR},
}
