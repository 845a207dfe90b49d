"""Asynchronous requests are bounded, and their results are sent whatever becomes of them."""

from __future__ import annotations

import asyncio
import json

import pytest
from fastapi import Request, Response
from tests.support.fake_ports import FakeCallbacks

from ringback.accounts.account import Account
from ringback.api.forms import Form
from ringback.api.replies import AsyncReplies, CallbackTarget, read_callback
from ringback.api.responses import reply
from ringback.errors import Conflict, LimitReached, NotFound
from ringback.ids import AccountId

ACCOUNT = Account(AccountId("MA"), "t")
TARGET = CallbackTarget("https://h.example/done", "POST")


def request() -> Request:
    return Request({"type": "http", "method": "POST", "path": "/v1/Account/MA/Call/", "headers": []})


async def answer(text: str, wait: asyncio.Event | None = None) -> Response:
    if wait:
        await wait.wait()
    return reply(201, {"message": text})


async def fail() -> Response:
    raise NotFound("nobody there")


async def test_result_is_sent_as_one_field() -> None:
    callbacks = FakeCallbacks()
    replies = AsyncReplies(callbacks, 1)
    response = replies.spawn(request(), ACCOUNT, TARGET, answer("call fired"))
    assert json.loads(bytes(response.body))["message"] == "async api spawned"
    await replies.close()
    ((url, method, params),) = callbacks.delivered
    assert (url, method, list(params)) == (TARGET.url, "POST", ["response"])
    assert json.loads(params["response"])["message"] == "call fired"


async def test_error_is_sent_too() -> None:
    callbacks = FakeCallbacks()
    replies = AsyncReplies(callbacks, 1)
    replies.spawn(request(), ACCOUNT, TARGET, fail())
    await replies.close()
    assert json.loads(callbacks.delivered[0][2]["response"])["error"] == "nobody there"


async def test_the_next_one_above_the_bound_is_refused_and_never_run() -> None:
    callbacks = FakeCallbacks()
    replies = AsyncReplies(callbacks, 2)
    gate = asyncio.Event()
    for _ in range(2):
        replies.spawn(request(), ACCOUNT, TARGET, answer("x", gate))
    with pytest.raises(LimitReached, match="2 asynchronous requests"):
        replies.spawn(request(), ACCOUNT, TARGET, answer("refused"))
    gate.set()
    await replies.close()
    assert len(callbacks.delivered) == 2
    replies.spawn(request(), ACCOUNT, TARGET, answer("again"))
    await replies.close()
    assert len(callbacks.delivered) == 3


async def test_a_request_without_end_does_not_hold_the_end_of_the_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ringback.api.replies._CLOSE_PATIENCE_S", 0.01)
    callbacks = FakeCallbacks()
    replies = AsyncReplies(callbacks, 2)
    replies.spawn(request(), ACCOUNT, TARGET, answer("never", asyncio.Event()))
    replies.spawn(request(), ACCOUNT, TARGET, answer("at once"))
    async with asyncio.timeout(20):
        await replies.close()
    assert [json.loads(params["response"])["message"] for _, _, params in callbacks.delivered] == ["at once"]


async def test_undeliverable_result_ends_quietly() -> None:
    class Refusing(FakeCallbacks):
        async def deliver(self, *_args: object) -> None:
            raise Conflict("outbox is full")

    replies = AsyncReplies(Refusing(), 1)
    replies.spawn(request(), ACCOUNT, TARGET, answer("x"))
    await replies.close()


def test_target_is_read_from_the_parameters() -> None:
    assert read_callback(Form({})) is None
    assert read_callback(Form({"callback_method": "GET"})) is None
    assert read_callback(Form({"callback_url": TARGET.url, "callback_method": "get"})) == CallbackTarget(
        TARGET.url, "GET"
    )
