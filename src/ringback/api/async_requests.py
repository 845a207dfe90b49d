"""Any request that carries `callback_url`: answered at once, its result goes there later (specification 4.4).

It stands before the routes, so that no resource needs to know of it: the request is served again without the two
parameters, and its answer is the result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from urllib.parse import urlencode

import msgspec
from fastapi import Request, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ringback.accounts.account import Account
from ringback.api.auth import account_of_path, admitted
from ringback.api.bodies import parse_body, read_query
from ringback.api.errors import answer_failure
from ringback.api.forms import Form
from ringback.api.replies import read_callback
from ringback.api.services import context_of
from ringback.errors import RingbackError

_NAMES = ("callback_url", "callback_method")
_OWN_MEANING = "/Record/"
"""End of the paths where `callback_url` is told of the finished recording (specification 4.9)."""

_FILE = re.compile(r"/Recording/[^/]+\.[^/]+/")
"""End of the paths of files: as the result of a request one would be held in memory and in the outbox."""


class AsyncRequests:
    """The ASGI layer that turns requests with `callback_url` into asynchronous ones."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or not _may_be_asynchronous(scope["path"]):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        body = _Body(receive, context_of(request).services.settings.body_max_bytes)
        query = _wanted(lambda: read_query(request)) if b"callback_url" in scope["query_string"] else {}
        sent: Mapping[str, object] = {}
        if scope["method"] in ("POST", "DELETE") and b"callback_url" in await body.peek():
            content_type = request.headers.get("content-type", "")
            sent = _wanted(lambda: parse_body(body.data, content_type))
        parameters = {**query, **sent}
        for name in _NAMES:
            # The Python SDK sends it as a list of one when a multiparty call is started.
            if isinstance(value := parameters.get(name), list) and len(value) == 1:
                parameters[name] = value[0]
        if not parameters.get("callback_url"):
            await self._app(scope, body.receive, send)
            return
        response = await self._spawn(request, scope, query, sent, Form(parameters))
        await response(scope, receive, send)

    async def _spawn(
        self, request: Request, scope: Scope, query: Mapping[str, object], sent: Mapping[str, object], form: Form
    ) -> Response:
        try:
            account = await account_of_path(request, scope["path"].split("/")[3])
            target = read_callback(form)
            assert target is not None
            again = _without_callback(scope, query, account)
            return context_of(request).replies.spawn(request, account, target, self._serve(again, _rest(sent)))
        except RingbackError as error:
            return await answer_failure(request, error)

    async def _serve(self, scope: Scope, parameters: Mapping[str, object]) -> Response:
        """Return the answer to a request."""
        waiting: list[Message] = [{"type": "http.request", "body": msgspec.json.encode(parameters)}]
        status, parts = 500, []

        async def receive() -> Message:
            return waiting.pop() if waiting else {"type": "http.disconnect"}

        async def send(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            else:
                parts.append(message.get("body", b""))

        await self._app(scope, receive, send)
        return Response(b"".join(parts), status)


class _Body:
    """A request's body that can be looked at and is then received as if nobody had."""

    def __init__(self, receive: Receive, limit: int) -> None:
        self.data = b""
        self._receive = receive
        self._limit = limit
        self._seen: list[Message] = []

    async def peek(self) -> bytes:
        """Return the body, nothing when it passes the bound: its reader refuses it."""
        is_whole = False
        while not is_whole and len(self.data) <= self._limit:
            message = await self._receive()
            self._seen.append(message)
            self.data += message.get("body", b"")
            is_whole = not message.get("more_body", False)
        return self.data if len(self.data) <= self._limit else b""

    async def receive(self) -> Message:
        """Return the next message: first those that were looked at."""
        return self._seen.pop(0) if self._seen else await self._receive()


def _may_be_asynchronous(path: str) -> bool:
    is_resource = path.startswith("/v1/Account/") and path.count("/") > 4
    return is_resource and not path.endswith(_OWN_MEANING) and _FILE.search(path) is None


def _wanted(read: Callable[[], Mapping[str, object]]) -> Mapping[str, object]:
    """Return parameters, none when they cannot be read: the routes say what is wrong with them."""
    try:
        return read()
    except RingbackError:
        return {}


def _rest(parameters: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in parameters.items() if name not in _NAMES}


def _without_callback(scope: Scope, query: Mapping[str, object], account: Account) -> Scope:
    headers = [(name, value) for name, value in scope["headers"] if name not in (b"content-type", b"content-length")]
    again = {
        **scope,
        "query_string": urlencode(_rest(query)).encode() if query else scope["query_string"],
        "headers": [*headers, (b"content-type", b"application/json")],
    }
    # Counted and let in already.
    return admitted(again, account)
