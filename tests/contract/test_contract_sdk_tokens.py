"""Access tokens and call feedback, as the official Python SDK asks for them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Iterator
from typing import Any

import plivo
import pytest
from plivo.exceptions import AuthenticationError, InvalidRequestError, ResourceNotFoundError, ValidationError
from tests.support.api_server import AUTH_ID, OTHER_ID, TOKEN, ApiServer, running

from ringback import clock


@pytest.fixture(scope="module")
def api() -> Iterator[ApiServer]:
    """One server for all: nothing here changes what another test sees."""
    with running() as server:
        yield server


def claims_of(token: str, secret: str = TOKEN) -> dict[str, Any]:
    """Return the claims of a token that is signed with `secret`."""
    signed, _, signature = token.rpartition(".")
    assert decoded(signature) == hmac.new(secret.encode(), signed.encode(), hashlib.sha256).digest()
    header, claims = (json.loads(decoded(part)) for part in signed.split("."))
    assert header == {"alg": "HS256", "cty": "plivo;v=1", "typ": "JWT"}
    found: dict[str, Any] = claims
    return found


def decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part + "=" * (-len(part) % 4))


def test_a_token_for_a_day(api: ApiServer, client: plivo.RestClient) -> None:
    before = clock.wall_ms() // 1000
    claims = claims_of(client.token.create(AUTH_ID).token)
    assert before <= claims["nbf"] <= clock.wall_ms() // 1000
    assert claims["exp"] == claims["nbf"] + 86_400
    assert (claims["iss"], claims["sub"], claims["app"]) == (AUTH_ID, "", "")
    assert claims["per"] == {"voice": {"incoming_allow": False, "outgoing_allow": True}}


def test_a_token_with_everything(api: ApiServer, client: plivo.RestClient) -> None:
    made = client.token.create(
        AUTH_ID, sub="alice", nbf="1700000000", exp="1700000180", incoming_allow=True, app="1" * 17
    )
    assert claims_of(made.token) == {
        "app": "1" * 17,
        "exp": 1_700_000_180,
        "iss": AUTH_ID,
        "nbf": 1_700_000_000,
        "per": {"voice": {"incoming_allow": True, "outgoing_allow": False}},
        "sub": "alice",
    }


def test_a_subaccounts_token_is_signed_by_its_own(api: ApiServer, client: plivo.RestClient) -> None:
    sub = client.subaccounts.create("customer", enabled=True)
    with api.client(token=sub.auth_token, auth_id=sub.auth_id) as customer:
        made = customer.token.create(sub.auth_id, outgoing_allow=True)
        assert claims_of(made.token, sub.auth_token)["iss"] == sub.auth_id
        with pytest.raises(ValidationError, match="iss"):
            customer.token.create(AUTH_ID)


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ({}, "iss parameter is missing"),
        ({"iss": OTHER_ID}, "iss"),
        ({"iss": AUTH_ID, "per": {"voice": {"incoming_allow": True}}}, "sub"),
        ({"iss": AUTH_ID, "per": ["voice"]}, "per"),
        ({"iss": AUTH_ID, "per": {"voice": "yes"}}, "per"),
        ({"iss": AUTH_ID, "per": {"voice": {"incoming_allow": "perhaps"}}}, "incoming_allow"),
        ({"iss": AUTH_ID, "nbf": "soon"}, "nbf"),
        ({"iss": AUTH_ID, "nbf": 1000, "exp": 1179}, "exp"),
        ({"iss": AUTH_ID, "nbf": 1000, "exp": 87_401}, "exp"),
    ],
)
def test_wrong_tokens_are_refused(api: ApiServer, client: plivo.RestClient, body: object, named: str) -> None:
    reply = api.request("POST", "JWT/Token/", body)
    assert reply.status == 400
    assert named in reply.json["error"]


# ── feedback ────────────────────────────────────────────────────────────────────────────────────────────────────────


def feedback_of(api: ApiServer, call_uuid: str) -> list[dict[str, Any]]:
    lines = api.request("GET", f"/ringback/v1/calls/{call_uuid}/events").body.splitlines()
    events = [json.loads(line) for line in lines]
    return [event["fields"] for event in events if event["kind"] == "feedback"]


def test_feedback_stands_in_the_event_log_of_its_call(api: ApiServer, client: plivo.RestClient) -> None:
    call_uuid = api.calls.add()
    posted = client.call_feedback.create(call_uuid, "4", ["AUDIO_LAG", "echo"], "late")
    assert (posted.message, posted.status) == ("Feedback has been posted", "success")
    client.call_feedback.create(call_uuid, 5)
    assert feedback_of(api, call_uuid) == [
        {"rating": 4.0, "issues": "AUDIO_LAG,ECHO", "notes": "late"},
        {"rating": 5.0, "issues": "", "notes": ""},
    ]


@pytest.mark.parametrize(
    ("body", "status", "named"),
    [
        ({}, 400, "rating parameter is missing"),
        ({"rating": 0.9}, 422, "rating"),
        ({"rating": 5.1}, 422, "rating"),
        ({"rating": "good"}, 422, "rating"),
        ({"rating": True}, 422, "rating"),
        ({"rating": "nan"}, 422, "rating"),
        ({"rating": [4]}, 422, "rating"),
        ({"rating": 4.5}, 422, "issues"),
        ({"rating": 4, "issues": ["SMELL"]}, 422, "issues"),
        ({"rating": 4, "issues": {"ECHO": 1}}, 422, "issues"),
        ({"rating": 5, "notes": "x" * 1001}, 400, "notes"),
    ],
)
def test_wrong_feedback_is_refused(
    api: ApiServer, client: plivo.RestClient, body: object, status: int, named: str
) -> None:
    call_uuid = api.calls.add()
    reply = api.request("POST", f"/v1/Call/{call_uuid}/Feedback/", body)
    assert reply.status == status
    assert named in reply.json["error"]
    assert feedback_of(api, call_uuid) == []


def test_the_sdk_tells_what_is_wrong(api: ApiServer, client: plivo.RestClient) -> None:
    with pytest.raises(InvalidRequestError, match="expected a number from 1 to 5"):
        client.call_feedback.create(api.calls.add(), 6)
    with pytest.raises(ResourceNotFoundError, match="please check the call uuid"):
        client.call_feedback.create("12345678-1234-4234-8234-123456789012", 5)


def test_nobody_judges_calls_of_others(api: ApiServer, client: plivo.RestClient) -> None:
    call_uuid = api.calls.add()
    api.calls.owners[call_uuid] = OTHER_ID
    with pytest.raises(ResourceNotFoundError):
        client.call_feedback.create(call_uuid, 5)
    with api.client(token="wrong") as stranger, pytest.raises(AuthenticationError):
        stranger.call_feedback.create(call_uuid, 5)
    with api.client(auth_id=OTHER_ID) as owner:
        owner.call_feedback.create(call_uuid, 5)
    assert api.request("POST", f"/v1/Call/{call_uuid}/Feedback", {"rating": 5}).status == 404
