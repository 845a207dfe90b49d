"""The application: routes, errors, and both spellings of every path."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import APIRouter, FastAPI
from fastapi.routing import APIRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from ringback import clock
from ringback.api import (
    accounts,
    applications,
    call_actions,
    call_record,
    call_streams,
    calls,
    conferences,
    endpoints,
    errors,
    feedback,
    multiparty_calls,
    multiparty_participants,
    multiparty_recordings,
    multiparty_sounds,
    numbers,
    openapi,
    phone_numbers,
    pricing,
    recordings,
    requests,
    subaccounts,
    tokens,
    transcriptions,
)
from ringback.api.admin import events, health, webhooks
from ringback.api.async_requests import AsyncRequests
from ringback.api.limits import FailureLimit, RequestLimit
from ringback.api.methods import KnownMethods
from ringback.api.replies import AsyncReplies
from ringback.api.services import Context, Services

OPENAPI_PATH = "/ringback/v1/openapi.json"
ACCOUNT_PATH = "/v1/Account/{auth_id}"
RESOURCES = (
    accounts,
    subaccounts,
    calls,
    call_actions,
    call_record,
    call_streams,
    recordings,
    transcriptions,
    requests,
    applications,
    numbers,
    phone_numbers,
    endpoints,
    tokens,
    pricing,
    conferences,
    multiparty_calls,
    multiparty_participants,
    multiparty_recordings,
    multiparty_sounds,
)
"""Modules with the routes below `ACCOUNT_PATH`, one a resource."""


def build_api(services: Services) -> FastAPI:
    """Return the application that serves Plivo's REST API and our own resources.

    State: it belongs to the running loop; its shutdown waits some seconds for asynchronous requests.
    """
    settings = services.settings
    own_routers = [("", feedback.router), ("", events.router), ("", webhooks.router), ("", health.router)]
    context = Context(
        services=services,
        request_limit=RequestLimit(settings.requests_per_window, settings.window_ms, clock.now),
        failure_limit=FailureLimit(settings.auth_failures_per_minute, clock.now),
        replies=AsyncReplies(services.callbacks, settings.async_replies_max),
        methods=KnownMethods([*((ACCOUNT_PATH, resource.router) for resource in RESOURCES), *own_routers]),
    )

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        yield
        await context.replies.close()

    app = FastAPI(
        title="Ringback",
        summary="Calls and audio streams for voice agents: Plivo's REST API, self-hosted.",
        version=settings.version,
        openapi_url=OPENAPI_PATH,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        lifespan=lifespan,
        generate_unique_id_function=_operation_id,
    )
    app.state.context = context
    account = APIRouter(prefix=ACCOUNT_PATH)
    for resource in RESOURCES:
        account.include_router(resource.router)
    app.include_router(account)
    for _, router in own_routers:
        app.include_router(router)
    errors.install(app)
    openapi.install(app)
    app.add_middleware(AsyncRequests)
    app.add_middleware(OneSpelling)
    return app


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


def _operation_id(route: APIRoute) -> str:
    return route.name
