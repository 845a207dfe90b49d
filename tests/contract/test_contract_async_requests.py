"""Requests with `callback_url`: answered at once, signed for and counted as usual, their result sent later."""

from __future__ import annotations

import json
from collections.abc import Callable
from urllib.parse import urlencode

import plivo
import pytest
from plivo.exceptions import AuthenticationError, ValidationError
from tests.support.api_server import AUTH_ID, TOKEN, ApiServer, running

from ringback.api.services import ApiSettings
from ringback.errors import InvalidParameter

ANSWER_URL = "https://h.example/answer"
DONE = {"callback_url": "https://h.example/done", "callback_method": "GET"}
CALL = {"from": "14151234567", "to": "14157654321", "answer_url": ANSWER_URL}


def results(api: ApiServer) -> list[dict[str, object]]:
    """Return the results that were sent, after every request that is under way."""
    api.in_loop(api.app.state.context.replies.close)
    assert {(url, method) for url, method, _ in api.callbacks.delivered} <= {("https://h.example/done", "GET")}
    return [json.loads(params["response"]) for _, _, params in api.callbacks.delivered]


def test_the_result_carries_the_api_id_of_the_answer(api: ApiServer, client: plivo.RestClient) -> None:
    answer = client.calls.create("14151234567", "14157654321", ANSWER_URL, **DONE)
    assert answer.message == "async api spawned"
    (result,) = results(api)
    assert result == {"api_id": answer.api_id, "message": "call fired", "request_uuid": next(iter(api.calls.live))}
    assert api.calls.made[0].to == "14157654321"


def test_every_kind_of_request_may_be_asynchronous(api: ApiServer, client: plivo.RestClient) -> None:
    call_uuid = api.calls.add()
    asked = [
        api.request("POST", f"Call/{call_uuid}/", {"aleg_url": "https://h.example/new", **DONE}),
        api.request("GET", f"Application/?{urlencode(DONE)}&limit=5"),
        api.request("GET", f"Call/?status=live&{urlencode(DONE)}"),
    ]
    for reply in asked:
        assert (reply.status, reply.json["message"]) == (202, "async api spawned")
    by_id = {result["api_id"]: result for result in results(api)}
    transferred, listed, live = (by_id[reply.json["api_id"]] for reply in asked)
    assert transferred["message"] == "call transfered"
    assert listed["meta"] == {"limit": 5, "next": None, "offset": 0, "previous": None, "total_count": 0}
    assert live["calls"] == [call_uuid]
    deleted = client.applications.delete(client.applications.create("a", answer_url=ANSWER_URL).app_id, **DONE)
    assert deleted.message == "async api spawned"
    assert results(api)[-1] == {"api_id": deleted.api_id}


def test_form_bodies_may_ask_for_it_too(api: ApiServer) -> None:
    body = urlencode({**CALL, **DONE}).encode()
    reply = api.request("POST", "Call/", body, {"Content-Type": "application/x-www-form-urlencoded"})
    assert reply.status == 202
    assert results(api)[0]["message"] == "call fired"


def test_errors_are_results(api: ApiServer, client: plivo.RestClient) -> None:
    def asked(ask: Callable[[], object]) -> object:
        assert ask() is not None
        return results(api)[-1]["error"]

    def create() -> object:
        return client.calls.create("14151234567", "14157654321", ANSWER_URL, **DONE)

    api.calls.failure = ValueError("broken")
    assert str(asked(create)).startswith("internal error")
    api.calls.failure = InvalidParameter("to parameter is invalid: no trunk takes it")
    assert asked(create) == "to parameter is invalid: no trunk takes it"
    assert asked(lambda: api.request("POST", "Call/", DONE)) == "from parameter is missing"
    assert asked(lambda: api.request("GET", f"Nowhere/?{urlencode(DONE)}")) == "not found"


@pytest.mark.parametrize("url", ["nowhere", "ftp://h.example/", 7])
def test_a_wrong_callback_url_is_refused_at_once(api: ApiServer, url: object) -> None:
    reply = api.request("POST", "Call/", {**CALL, "callback_url": url})
    assert reply.status == 400
    assert reply.json["error"].startswith("callback_url parameter is invalid")
    assert api.calls.made == []
    with pytest.raises(ValidationError, match="callback_method parameter is invalid"):
        api.client().calls.create(*CALL.values(), callback_url="https://h.example/", callback_method="PUT")


@pytest.mark.parametrize("absent", [None, ""])
def test_an_absent_callback_url_changes_nothing(api: ApiServer, absent: object) -> None:
    assert api.request("POST", "Call/", {**CALL, "callback_url": absent}).status == 201
    assert api.request("POST", "Call/", {**CALL, "caller_name": "callback_url"}).status == 201


def test_strangers_are_refused_at_once(api: ApiServer) -> None:
    with pytest.raises(AuthenticationError):
        api.client("wrong").calls.create(*CALL.values(), **DONE)
    assert results(api) == []


def test_an_asynchronous_request_counts_once() -> None:
    with running(ApiSettings(requests_per_window=2, window_ms=60_000)) as api:
        for _ in range(2):
            assert api.request("POST", "Call/", {**CALL, **DONE}).status == 202
        assert [result["message"] for result in results(api)] == ["call fired"] * 2
        assert api.request("POST", "Call/", {**CALL, **DONE}).status == 429


def test_a_body_above_the_bound_is_refused(api: ApiServer) -> None:
    reply = api.request("POST", "Call/", {**CALL, **DONE, "pad": "x" * 1_048_576})
    assert reply.status == 413
    assert api.request("GET", "", credentials=f"{AUTH_ID}:{TOKEN}").status == 200
