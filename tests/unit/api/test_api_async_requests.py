"""Which requests are never asynchronous, whatever parameters they carry."""

from __future__ import annotations

import pytest
from starlette.types import Message, Receive, Scope, Send

from ringback.api.async_requests import AsyncRequests


@pytest.mark.parametrize(
    "path",
    [
        "/v1/Account/MA/Recording/5f3c.mp3/",
        "/v1/Account/MA/Recording/5f3c.wav/",
        "/v1/Account/MA/Call/u/Record/",
        "/v1/Account/MA/",
        "/ringback/v1/version",
    ],
)
async def test_files_and_record_requests_are_served_at_once(path: str) -> None:
    served: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        served.append(scope)

    async def receive() -> Message:
        raise AssertionError("nobody looks at the body")

    async def send(message: Message) -> None:
        raise AssertionError(message)

    scope: Scope = {"type": "http", "method": "GET", "path": path, "query_string": b"callback_url=https://h.example/x"}
    await AsyncRequests(app)(scope, receive, send)
    assert served == [scope]
