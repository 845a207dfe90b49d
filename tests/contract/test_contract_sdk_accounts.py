"""Every call that the official Python SDK makes about subaccounts, endpoints and prices."""

from __future__ import annotations

import re
from dataclasses import replace
from datetime import UTC, datetime

import plivo
import pytest
from plivo.exceptions import (
    AuthenticationError,
    ForbiddenError,
    PlivoRestError,
    ResourceNotFoundError,
    ValidationError,
)
from tests.support.api_server import AUTH_ID, ApiServer, running

from ringback import clock
from ringback.accounts.store import find_account
from ringback.api.services import ApiSettings
from ringback.endpoints.secrets import secrets_of
from ringback.endpoints.store import find_endpoint, find_login, replace_bindings
from ringback.sip.flow import Transport
from ringback.sip.registrar import Binding

ANSWER_URL = "https://h.example/answer"


def fields(found: object) -> dict[str, object]:
    return {name: value for name, value in vars(found).items() if name not in ("client", "_name", "api_id")}


# ── subaccounts ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_subaccount_from_creation_to_deletion(api: ApiServer, client: plivo.RestClient) -> None:
    created = client.subaccounts.create("Customer 7", enabled=True)
    assert created.message == "created"
    assert re.fullmatch(r"SA[A-Z0-9]{18}", created.auth_id)
    found = client.subaccounts.get(created.auth_id)
    assert re.fullmatch(r"\d{4}-\d\d-\d\d", found.created)
    assert fields(found) == {
        "account": f"/v1/Account/{AUTH_ID}/",
        "auth_id": created.auth_id,
        "auth_token": created.auth_token,
        "created": found.created,
        "enabled": True,
        "modified": None,
        "name": "Customer 7",
        "new_auth_token": created.auth_token,
        "resource_uri": f"/v1/Account/{AUTH_ID}/Subaccount/{created.auth_id}/",
    }
    assert client.subaccounts.update(created.auth_id, "Customer 8", True).message == "changed"
    changed = client.subaccounts.get(created.auth_id)
    assert (changed.name, changed.enabled, changed.modified) == ("Customer 8", True, found.created)
    assert [entry.name for entry in client.subaccounts.list()] == ["Customer 8"]
    client.subaccounts.delete(created.auth_id)
    assert list(client.subaccounts.list()) == []
    for ask in (
        lambda: client.subaccounts.get(created.auth_id),
        lambda: client.subaccounts.update(created.auth_id, "x"),
        lambda: client.subaccounts.delete(created.auth_id),
    ):
        with pytest.raises(ResourceNotFoundError, match="subaccount not found"):
            ask()


def test_subaccounts_are_listed_in_pages_newest_first(api: ApiServer, client: plivo.RestClient) -> None:
    for index in range(3):
        client.subaccounts.create(f"s{index}")
    page = client.subaccounts.list(limit=2)
    assert len(page["objects"]) == 2
    assert page.meta.total_count == 3
    assert {entry.name for entry in client.subaccounts} == {"s0", "s1", "s2"}


def test_a_subaccount_works_with_its_own_credentials_until_it_is_switched_off(
    api: ApiServer, client: plivo.RestClient
) -> None:
    made = client.subaccounts.create("Customer", enabled=True)
    with api.client(made.auth_token, made.auth_id) as sub:
        assert sub.account.get().auth_id == made.auth_id
        app = sub.applications.create("mine", answer_url=ANSWER_URL)
        assert sub.applications.get(app.app_id).sub_account == f"/v1/Account/{AUTH_ID}/Subaccount/{made.auth_id}/"
        with pytest.raises(ForbiddenError, match="a subaccount has no subaccounts"):
            sub.subaccounts.create("grandchild")
        with pytest.raises(ForbiddenError):
            sub.subaccounts.list()
        client.subaccounts.update(made.auth_id, "Customer", False)
        with pytest.raises(AuthenticationError):
            sub.account.get()
    # The main account goes on serving it, by its path and by the filter.
    reply = api.request("GET", f"/v1/Account/{made.auth_id}/Application/{app.app_id}/")
    assert reply.json["app_name"] == "mine"
    assert [entry.app_name for entry in client.applications.list(subaccount=made.auth_id)] == ["mine"]
    assert list(client.applications.list()) == []


def test_a_new_subaccount_is_disabled_unless_asked_otherwise(api: ApiServer, client: plivo.RestClient) -> None:
    made = client.subaccounts.create("Customer")
    with api.client(made.auth_token, made.auth_id) as sub, pytest.raises(AuthenticationError):
        sub.account.get()


def test_resources_are_made_for_a_subaccount_and_given_to_it(api: ApiServer, client: plivo.RestClient) -> None:
    made = client.subaccounts.create("Customer", enabled=True)
    app = client.applications.create("theirs", answer_url=ANSWER_URL, subaccount=made.auth_id)
    client.numbers.create("14151234567", "acme", "US", app_id=app.app_id, subaccount=made.auth_id)
    client.numbers.create("14151234568", "acme", "US")
    client.numbers.update("14151234568", subaccount=made.auth_id)
    with pytest.raises(ResourceNotFoundError):
        client.numbers.get("14151234568")
    listed = client.numbers.list(subaccount=made.auth_id)
    assert [entry.number for entry in listed] == ["14151234568", "14151234567"]
    assert listed["objects"][0].sub_account.endswith(f"/Subaccount/{made.auth_id}/")
    with pytest.raises(ValidationError, match="subaccount parameter is invalid: no subaccount"):
        client.applications.create("theirs", subaccount="SA000000000000000000")
    assert list(client.numbers.list(subaccount="SA000000000000000000")) == []


@pytest.mark.parametrize("cascade", [False, True])
def test_what_a_deleted_subaccount_had_goes_to_the_main_account_or_with_it(
    api: ApiServer, client: plivo.RestClient, cascade: bool
) -> None:
    made = client.subaccounts.create("Customer", enabled=True)
    app = client.applications.create("theirs", answer_url=ANSWER_URL, subaccount=made.auth_id, default_number_app=True)
    client.numbers.create("14151234567", "acme", "US", app_id=app.app_id, subaccount=made.auth_id)
    with api.client(made.auth_token, made.auth_id) as sub:
        endpoint = sub.endpoints.create("alice", "password", "Alice", app.app_id)
        client.subaccounts.delete(made.auth_id, cascade)
        with pytest.raises(AuthenticationError):
            sub.account.get()
    assert api.request("GET", f"/v1/Account/{made.auth_id}/").status == 401
    if cascade:
        assert (list(client.applications), list(client.numbers), list(client.endpoints)) == ([], [], [])
    else:
        assert client.numbers.get("14151234567").application.split("/")[-2] == app.app_id
        assert client.endpoints.get(endpoint.endpoint_id).alias == "Alice"
        assert client.applications.get(app.app_id).default_app is False
    # The row stays for call records and for callbacks that are on their way.
    gone = api.in_loop(lambda: api.database.read(lambda session: find_account(session, made.auth_id)))
    assert (gone.is_enabled, gone.is_deleted) == (False, True)


def test_so_many_subaccounts_and_not_one_more(
    api: ApiServer, client: plivo.RestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ringback.accounts.store.SUBACCOUNTS_MAX", 2)
    for name in ("a", "b"):
        client.subaccounts.create(name)
    reply = api.request("POST", "Subaccount/", {"name": "c"})
    assert (reply.status, reply.json["error"]) == (409, "the account has 2 subaccounts, at most 2")


# ── endpoints ───────────────────────────────────────────────────────────────────────────────────────────────────────


def test_endpoint_from_creation_to_deletion(api: ApiServer, client: plivo.RestClient) -> None:
    app = client.applications.create("agent", answer_url=ANSWER_URL)
    created = client.endpoints.create("alice", "secret-password", "Alice", app.app_id)
    assert (created.message, created.alias) == ("created", "Alice")
    assert re.fullmatch(r"alice\d{12}", created.username)
    assert re.fullmatch(r"\d{14}", created.endpoint_id)
    found = client.endpoints.get(created.endpoint_id)
    assert fields(found) == {
        "alias": "Alice",
        "application": f"/v1/Account/{AUTH_ID}/Application/{app.app_id}/",
        "endpoint_id": created.endpoint_id,
        "resource_uri": f"/v1/Account/{AUTH_ID}/Endpoint/{created.endpoint_id}/",
        "sip_contact": None,
        "sip_expires": None,
        "sip_registered": "false",
        "sip_uri": f"sip:{created.username}@localhost",
        "sip_user_agent": None,
        "sub_account": None,
        "username": created.username,
    }
    assert client.endpoints.update(created.endpoint_id, alias="Desk", password="another-one").message == "changed"
    stored = api.in_loop(
        lambda: api.database.read(lambda session: find_endpoint(session, AUTH_ID, created.endpoint_id))  # type: ignore[arg-type]
    )
    assert stored.alias == "Desk"
    login = api.in_loop(lambda: api.database.read(lambda session: find_login(session, created.username)))
    assert login.secrets == secrets_of(created.username, "another-one")
    client.endpoints.update(created.endpoint_id, app_id="")
    assert client.endpoints.get(created.endpoint_id).application is None
    client.endpoints.delete(created.endpoint_id)
    for ask in (client.endpoints.get, client.endpoints.delete, client.endpoints.update):
        with pytest.raises(ResourceNotFoundError, match="endpoint not found"):
            ask(created.endpoint_id)


def test_a_registered_endpoint_shows_its_phone(api: ApiServer, client: plivo.RestClient) -> None:
    created = client.endpoints.create("alice", "secret-password", "Alice")
    until_wall_ms = clock.wall_ms() // 1000 * 1000 + 60_000
    phone = Binding("sip:alice@192.0.2.9:5070;ob", until_wall_ms, "c", 1, Transport.UDP, ("192.0.2.9", 5070))
    named = replace(phone, user_agent="Telephone 1.1.4")
    api.in_loop(lambda: api.database.write(lambda session: replace_bindings(session, created.endpoint_id, (named,))))
    for found in (client.endpoints.get(created.endpoint_id), client.endpoints.list().objects[0]):
        assert (found.sip_registered, found.sip_contact) == ("true", "sip:alice@192.0.2.9:5070;ob")
        expires = datetime.fromtimestamp(until_wall_ms / 1000, UTC)
        assert (found.sip_expires, found.sip_user_agent) == (f"{expires:%Y-%m-%d %H:%M:%S}", "Telephone 1.1.4")


def test_endpoints_are_listed_in_pages_newest_first(api: ApiServer, client: plivo.RestClient) -> None:
    for index in range(3):
        client.endpoints.create("same", "secret-password", f"e{index}")
    page = client.endpoints.list(limit=2, offset=1)
    assert [entry.alias for entry in page] == ["e1", "e0"]
    assert page.meta.total_count == 3


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"username": "a b"}, "username parameter is invalid"),
        ({"username": "a@b"}, "username parameter is invalid"),
        ({"username": ""}, "username parameter is missing"),
        ({"password": "1234"}, "password parameter is invalid: 4 characters, expected at least 5"),
        ({"password": ""}, "password parameter is missing"),
        ({"alias": ""}, "alias parameter is missing"),
        ({"app_id": "1"}, "app_id parameter is invalid: no application 1"),
    ],
)
def test_wrong_endpoints_are_refused(
    api: ApiServer, client: plivo.RestClient, parameters: dict[str, str], message: str
) -> None:
    with pytest.raises(ValidationError, match=message):
        client.endpoints.create(**{"username": "alice", "password": "12345", "alias": "Alice", **parameters})
    assert list(client.endpoints) == []


def test_an_application_takes_its_endpoints_with_it_unless_asked_otherwise(
    api: ApiServer, client: plivo.RestClient
) -> None:
    first, second = (client.applications.create(name, default_endpoint_app=True).app_id for name in "ab")
    kept = client.endpoints.create("kept", "password", "Kept", first).endpoint_id
    default = client.endpoints.create("default", "password", "Default").endpoint_id
    assert client.endpoints.get(default).application.split("/")[-2] == second
    with pytest.raises(ValidationError, match="new_endpoint_application parameter is invalid"):
        client.applications.delete(first, new_endpoint_application="1")
    client.applications.delete(first, new_endpoint_application=second)
    assert client.endpoints.get(kept).application.split("/")[-2] == second
    third = client.applications.create("c").app_id
    client.endpoints.update(kept, app_id=third)
    client.applications.delete(third, cascade=False)
    assert client.endpoints.get(kept).application is None
    client.applications.delete(second)
    with pytest.raises(ResourceNotFoundError):
        client.endpoints.get(default)


# ── prices ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_prices_are_nothing(api: ApiServer, client: plivo.RestClient) -> None:
    found = client.pricing.get("DE")
    assert (found.country, found.country_code, found.country_iso) == ("Germany", 49, "DE")
    plain = api.request("GET", "Pricing/?country_iso=de").json
    assert plain["voice"]["outbound"]["rates"] == [{"prefix": ["49"], "rate": "0.00000"}]
    assert plain["voice"]["inbound"]["tollfree"] == plain["phone_numbers"]["local"] == {"rate": "0.00000"}
    with pytest.raises(ResourceNotFoundError, match="no country ZZ"):
        client.pricing.get("ZZ")
    assert api.request("GET", "Pricing/").json["error"] == "country_iso parameter is missing"
    assert api.request("GET", "Pricing/?country_iso=d1").json["error"].startswith("country_iso parameter is invalid")


# ── bounds ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_too_many_requests_are_told_with_a_time_and_each_account_has_its_own_bound() -> None:
    with running(ApiSettings(requests_per_window=4, window_ms=60_000)) as api, api.client() as client:
        made = client.subaccounts.create("Customer", enabled=True)
        with api.client(made.auth_token, made.auth_id) as sub:
            for _ in range(4):
                sub.account.get()
            with pytest.raises(PlivoRestError, match="429"):
                sub.account.get()
        for _ in range(3):
            client.account.get()
        with pytest.raises(PlivoRestError, match="429"):
            client.calls.create("14151234567", "14157654321", ANSWER_URL)
        assert int(api.request("GET", "").headers["retry-after"]) >= 1
        assert api.calls.made == []
