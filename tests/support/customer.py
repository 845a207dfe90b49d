"""A customer of the platform: a web application with documents and callbacks, numbers wired to it, the official SDK.

Knows the platform by its public wire only.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from plivo.exceptions import ResourceNotFoundError

from ringback.phones.platform_api import PlatformApi
from ringback.testing.answer_server import AnswerServer, AppReply, AppRequest
from ringback.testing.platform import Platform
from tests.support.openapi_judge import judge_sdk
from tests.support.waiting import PATIENCE_S, until

T = TypeVar("T")
Document = str | bytes | AppReply | Callable[[AppRequest], Awaitable[AppReply | None]]
"""What answers a path; a coroutine function may take its time, and answer nothing worth reading."""
_NOTHING = AppReply(b"", 200, "text/plain")
_numbers = itertools.count(15_551_000_001)


def response(*elements: str) -> str:
    """Return a document of these elements."""
    return "<Response>" + "".join(elements) + "</Response>"


def stream(url: str, **attributes: str) -> str:
    """Return a `<Stream>` that is two-way and keeps the call alive unless `attributes` say otherwise."""
    settings = {"bidirectional": "true", "keepCallAlive": "true", **attributes}
    text = " ".join(f'{name}="{value}"' for name, value in settings.items())
    return f"<Stream {text}>\n  {url.replace('&', '&amp;')}\n</Stream>"


@dataclass
class Customer:
    """The customer's side of a test.

    `requests` holds all that the platform asked for, in order. A path without a document answers 200 with an empty
    body, as most customers' callback handlers do.
    """

    platform: Platform
    requests: list[AppRequest] = field(default_factory=list)
    documents: dict[str, list[Document]] = field(default_factory=dict)
    _server: AnswerServer | None = None
    _client: Any = None

    @property
    def api(self) -> PlatformApi:
        """Return the plain HTTP API."""
        return self.platform.api

    def url(self, path: str) -> str:
        """Return the URL of a path of the application."""
        assert self._server is not None
        return self._server.url + path

    def serve(self, path: str, *documents: Document) -> str:
        """Answer `path` with these documents in turn, the last one for ever; return its URL."""
        self.documents[path] = list(documents)
        return self.url(path)

    async def number(self, answer_url: str, **application: Any) -> str:
        """Return a fresh number that the official SDK has wired to an application with this answer URL."""
        number = str(next(_numbers))

        def wire(sdk: Any) -> None:
            app = sdk.applications.create(f"app-{number}", answer_url=answer_url, **application)
            sdk.numbers.create(number, "test", "US", app_id=app["app_id"])

        await self.sdk(wire)
        return number

    async def sdk(self, work: Callable[[Any], T]) -> T:
        """Return what `work` does with the official SDK, which blocks, in a thread."""
        return await asyncio.to_thread(work, self._client)

    def seen(self, path: str, **params: str) -> list[AppRequest]:
        """Return the requests to `path` whose parameters include `params`."""
        return [
            request for request in self.requests if request.path == path and params.items() <= request.params.items()
        ]

    async def until(self, path: str, count: int = 1, timeout_s: float = PATIENCE_S, **params: str) -> list[AppRequest]:
        """Return the requests to `path` with `params` as soon as there are `count`."""
        what = f"{count} requests to {path} with {params}"
        await until(lambda: len(self.seen(path, **params)) >= count, what, timeout_s)
        return self.seen(path, **params)

    async def hangup_params(
        self, path: str = "/hangup", call_uuid: str = "", timeout_s: float = PATIENCE_S
    ) -> dict[str, str]:
        """Return the parameters of the first hang-up callback at `path`."""
        wanted = {"CallUUID": call_uuid} if call_uuid else {}
        return (await self.until(path, timeout_s=timeout_s, **wanted))[0].params

    async def cdr(self, call_uuid: str) -> Any:
        """Return the call's detail record as the official SDK reads it, as soon as there is one."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + PATIENCE_S
        while True:
            try:
                return await self.sdk(lambda sdk: sdk.calls.get(call_uuid))
            except ResourceNotFoundError:
                if loop.time() > deadline:
                    raise
                await asyncio.sleep(0.05)

    async def events(self, call_uuid: str, kind: str = "", **fields: object) -> list[dict[str, Any]]:
        """Return the facts of a call's event log so far, of one kind and with these fields."""
        rows = await asyncio.to_thread(self.api.events, call_uuid)
        return [
            row
            for row in rows
            if kind in ("", row["kind"]) and all(row["fields"].get(name) == value for name, value in fields.items())
        ]

    async def until_event(
        self, call_uuid: str, kind: str, after: int = 0, timeout_s: float = PATIENCE_S, **fields: object
    ) -> dict[str, Any]:
        """Return the first fact of a call's event log with an id above `after`, of this kind and with these fields."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while loop.time() < deadline:
            rows = await asyncio.to_thread(self.api.events, call_uuid, after, 1000)
            for row in rows:
                after = row["id"]
                if row["kind"] == kind and all(row["fields"].get(name) == value for name, value in fields.items()):
                    return row
        raise AssertionError(f"waited {timeout_s} s for a fact {kind} with {fields}")

    async def until_events(
        self, call_uuid: str, kind: str, count: int = 0, timeout_s: float = PATIENCE_S, **fields: object
    ) -> list[dict[str, Any]]:
        """Return the facts of a call's event log of this kind and with these fields as soon as there are `count`."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + timeout_s
        while True:
            rows = await asyncio.to_thread(self.api.events, call_uuid, 0, 1000)
            found = [
                row
                for row in rows
                if row["kind"] == kind and all(row["fields"].get(name) == value for name, value in fields.items())
            ]
            if len(found) >= count:
                return found
            if loop.time() > deadline:
                raise AssertionError(f"waited {timeout_s} s for {count} facts {kind} with {fields}")

    async def _respond(self, request: AppRequest) -> AppReply:
        self.requests.append(request)
        waiting = self.documents.get(request.path)
        if not waiting:
            return _NOTHING
        document = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if callable(document):
            return await document(request) or _NOTHING
        if isinstance(document, AppReply):
            return document
        return AppReply(document.encode() if isinstance(document, str) else document)


@asynccontextmanager
async def customer_of(platform: Platform) -> AsyncIterator[Customer]:
    """Run a customer's application for the time of the block."""
    customer = Customer(platform)
    server = AnswerServer(customer._respond)
    await server.start()
    customer._server, customer._client = server, platform.sdk()
    faults = judge_sdk(customer._client, platform.url)
    try:
        yield customer
        assert not faults, faults[:5]
    finally:
        customer._client.session.close()
        await server.close()
