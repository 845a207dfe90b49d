"""What clients really sent: method, path, parameters and the status of the answer."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl

from starlette.types import ASGIApp, Message, Receive, Scope, Send


@dataclass(frozen=True, slots=True)
class SentRequest:
    """One request as it arrived."""

    method: str
    path: str
    """With the final slash, whether it was sent or not."""
    parameters: Mapping[str, Any]
    """Of query and body together."""
    status: int


class RequestLog:
    """An ASGI layer in front of the application; `requests` has what was asked, in order."""

    def __init__(self, app: ASGIApp) -> None:
        self.requests: list[SentRequest] = []
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and remember it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        messages = [await receive()]
        while messages[-1].get("more_body", False):
            messages.append(await receive())
        body = b"".join(message.get("body", b"") for message in messages)
        query = dict(parse_qsl(scope["query_string"].decode(errors="replace"), keep_blank_values=True))
        path = "/" + "/".join(part for part in scope["path"].split("/") if part) + "/"

        async def replay() -> Message:
            return messages.pop(0) if messages else await receive()

        async def watch(message: Message) -> None:
            if message["type"] == "http.response.start":
                # Before the client has its answer, and looks here.
                sent = SentRequest(scope["method"], path, {**query, **_parameters(body)}, message["status"])
                self.requests.append(sent)
            await send(message)

        await self._app(scope, replay, watch)


def _parameters(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
