"""Asynchronous requests: answered at once, their result goes to `callback_url` later (specification 4.4)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass

import msgspec
from fastapi import Request, Response

from ringback import ids
from ringback.accounts.account import Account
from ringback.api.errors import answer_failure
from ringback.api.forms import Form
from ringback.api.ports import CallbacksPort
from ringback.api.responses import reply
from ringback.errors import LimitReached, RingbackError

_logger = logging.getLogger(__name__)

_CLOSE_PATIENCE_S = 5.0
"""A request may wait minutes for a file of the customer's; the end of the server must not."""


@dataclass(frozen=True, slots=True)
class CallbackTarget:
    """Where the result of an asynchronous request goes."""

    url: str
    method: str


def read_callback(form: Form) -> CallbackTarget | None:
    """Return where the result shall go, or `None` for an ordinary request."""
    url = form.url("callback_url", about="The request is answered at once, its result goes to this URL.")
    method = form.method("callback_method")
    return CallbackTarget(url, method) if url else None


class AsyncReplies:
    """Runs asynchronous requests, a bounded number at a time."""

    def __init__(self, callbacks: CallbacksPort, limit: int) -> None:
        self._callbacks = callbacks
        self._limit = limit
        self._running: set[asyncio.Task[None]] = set()

    def spawn(
        self, request: Request, account: Account, target: CallbackTarget, work: Coroutine[object, object, Response]
    ) -> Response:
        """Start `work` and return the answer that says so.

        Raises:
            LimitReached: too many asynchronous requests are under way; `work` is not started.
        """
        if len(self._running) >= self._limit:
            work.close()
            raise LimitReached(f"{self._limit} asynchronous requests are under way")
        api_id = ids.new_uuid()
        task = asyncio.create_task(self._run(request, account, target, work, api_id), name="async-api-request")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return reply(202, {"message": "async api spawned", "api_id": api_id})

    async def close(self) -> None:
        """Wait for the requests that are under way; give up those that take longer than the server may to end."""
        if not self._running:
            return
        _, left = await asyncio.wait(self._running, timeout=_CLOSE_PATIENCE_S)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def _run(
        self,
        request: Request,
        account: Account,
        target: CallbackTarget,
        work: Coroutine[object, object, Response],
        api_id: str,
    ) -> None:
        try:
            response = await work
        except Exception as error:
            response = await answer_failure(request, error)
        # One form field holding JSON is all that public sources say of this callback (specification section 8, 51).
        params: Mapping[str, str] = {"response": _result(bytes(response.body), api_id)}
        try:
            await self._callbacks.deliver(account, target.url, target.method, params)
        except RingbackError as error:
            _logger.warning("result of an asynchronous request not delivered", extra={"code": error.code})


def _result(body: bytes, api_id: str) -> str:
    """Return an answer as JSON with the `api_id` of the request that asked for it, so that the two can be matched."""
    try:
        answer = msgspec.json.decode(body) if body else {}
    except msgspec.DecodeError:
        return body.decode(errors="replace")
    return msgspec.json.encode({**answer, "api_id": api_id} if isinstance(answer, dict) else answer).decode()
