"""Every call that the official Python SDK makes about the account, applications and numbers."""

from __future__ import annotations

from urllib.parse import urlencode

import plivo
import pytest
from plivo.exceptions import ResourceNotFoundError, ValidationError
from tests.support.api_server import AUTH_ID, ApiServer

ANSWER_URL = "https://yourserver.example.com/answer"


def test_account_is_shown_and_changed(api: ApiServer, client: plivo.RestClient) -> None:
    shown = client.account.get()
    assert {name: value for name, value in shown.__dict__.items() if name not in ("client", "_name", "api_id")} == {
        "account_type": "standard",
        "address": "",
        "auth_id": AUTH_ID,
        "auto_recharge": False,
        "billing_mode": "prepaid",
        "cash_credits": "0.00000",
        "city": "",
        "name": "Test",
        "resource_uri": f"/v1/Account/{AUTH_ID}/",
        "state": "",
        "timezone": "Asia/Kolkata",
    }
    assert client.account.update(name="Lunar", city="Munich").message == "changed"
    changed = client.account.get()
    assert (changed.name, changed.city, changed.address) == ("Lunar", "Munich", "")


def test_application_from_creation_to_deletion(api: ApiServer, client: plivo.RestClient) -> None:
    created = client.applications.create("agent", answer_url=ANSWER_URL, answer_method="GET")
    assert created.message == "created"
    assert len(created.app_id) == 17
    assert created.app_id.isdigit()
    found = client.applications.get(created.app_id)
    assert {name: value for name, value in found.__dict__.items() if name not in ("client", "_name", "api_id")} == {
        "answer_method": "GET",
        "answer_url": ANSWER_URL,
        "app_id": created.app_id,
        "app_name": "agent",
        "default_app": False,
        "default_endpoint_app": False,
        "enabled": True,
        "fallback_answer_url": "",
        "fallback_method": "POST",
        "hangup_method": "GET",
        "hangup_url": ANSWER_URL,
        "message_method": "POST",
        "message_url": "",
        "public_uri": False,
        "resource_uri": f"/v1/Account/{AUTH_ID}/Application/{created.app_id}/",
        "sip_uri": f"sip:{created.app_id}@localhost",
        "sub_account": None,
    }
    assert client.applications.update(created.app_id, answer_url="https://h.example/2").message == "changed"
    # The SDK sends all methods with every update, so an update resets them (specification 7.3).
    updated = client.applications.get(created.app_id)
    assert (updated.answer_url, updated.answer_method) == ("https://h.example/2", "POST")
    assert updated.app_name == "agent"
    client.applications.delete(created.app_id)
    with pytest.raises(ResourceNotFoundError, match="application not found"):
        client.applications.get(created.app_id)
    with pytest.raises(ResourceNotFoundError):
        client.applications.update(created.app_id, answer_url=ANSWER_URL)
    with pytest.raises(ResourceNotFoundError):
        client.applications.delete(created.app_id)


def test_application_parameters_are_checked(api: ApiServer, client: plivo.RestClient) -> None:
    # Hermes retries on this text, so it stays in the message (specification 4.2).
    with pytest.raises(ValidationError, match=r"answer_url parameter is invalid: .* is not a valid url"):
        client.applications.create("agent", answer_url="http://:80")
    with pytest.raises(ValidationError, match="answer_method parameter is invalid"):
        client.applications.create("agent", answer_url=ANSWER_URL, answer_method="PUT")
    assert list(client.applications.list()) == []


def test_applications_are_listed_in_pages_newest_first(api: ApiServer, client: plivo.RestClient) -> None:
    names = [f"app-{index:02}" for index in range(23)]
    for name in names:
        client.applications.create(name, answer_url=ANSWER_URL)
    page = client.applications.list()
    assert [entry.app_name for entry in page] == names[:2:-1]
    assert page["objects"][0].app_name == "app-22"
    assert page.meta.__dict__ == {
        "limit": 20,
        "next": f"/v1/Account/{AUTH_ID}/Application/?limit=20&offset=20",
        "offset": 0,
        "previous": None,
        "total_count": 23,
    }
    assert [entry.app_name for entry in client.applications] == names[::-1]
    assert [entry.app_name for entry in client.applications.list(app_name="app-07")] == ["app-07"]


def test_number_from_adding_to_removing(api: ApiServer, client: plivo.RestClient) -> None:
    app = client.applications.create("agent", answer_url=ANSWER_URL)
    added = client.numbers.create("14151234567,14151234568", carrier="acme", region="US", app_id=app.app_id)
    assert added.message == "changed"
    assert [entry.number for entry in client.numbers.list()] == ["14151234568", "14151234567"]
    found = client.numbers.get("+14151234567")
    assert found.number == "14151234567"
    assert found.application == f"/v1/Account/{AUTH_ID}/Application/{app.app_id}/"
    assert (found.carrier, found.region, found.number_type) == ("acme", "US", "local")
    assert found.resource_uri == f"/v1/Account/{AUTH_ID}/Number/14151234567/"
    assert set(found.__dict__) >= {
        "active",
        "added_on",
        "alias",
        "application",
        "carrier",
        "city",
        "cnam_lookup",
        "compliance_application_id",
        "compliance_status",
        "country",
        "mms_enabled",
        "mms_rate",
        "monthly_rental_rate",
        "number",
        "number_type",
        "region",
        "renewal_date",
        "resource_uri",
        "sms_enabled",
        "sms_rate",
        "sub_account",
        "tendlc_campaign_id",
        "tendlc_registration_status",
        "toll_free_sms_verification",
        "voice_enabled",
        "voice_rate",
        "api_id",
    }
    client.numbers.delete("14151234567")
    with pytest.raises(ResourceNotFoundError):
        client.numbers.get("14151234567")
    with pytest.raises(ResourceNotFoundError):
        client.numbers.delete("14151234567")


def test_number_is_attached_and_detached(api: ApiServer, client: plivo.RestClient) -> None:
    app = client.applications.create("agent", answer_url=ANSWER_URL)
    client.numbers.create("14151234567", carrier="acme", region="US")
    assert client.numbers.get("14151234567").application is None
    assert client.numbers.update("14151234567", app_id=app.app_id, alias="desk").message == "changed"
    attached = client.numbers.get("14151234567")
    assert attached.application.split("/")[-2] == app.app_id
    assert attached.alias == "desk"
    client.numbers.update("14151234567", alias="front")
    assert client.numbers.get("14151234567").application is not None
    client.numbers.update("14151234567", app_id="")
    assert client.numbers.get("14151234567").application is None
    with pytest.raises(ValidationError, match="app_id parameter is invalid: no application 123"):
        client.numbers.update("14151234567", app_id="123")
    client.numbers.update("14151234567", app_id=app.app_id)
    client.applications.delete(app.app_id)
    assert client.numbers.get("14151234567").application is None


def test_default_application_answers_new_numbers(api: ApiServer, client: plivo.RestClient) -> None:
    first = client.applications.create("first", answer_url=ANSWER_URL, default_number_app=True)
    second = client.applications.create("second", answer_url=ANSWER_URL, default_number_app=True)
    assert client.applications.get(first.app_id).default_app is False
    assert client.applications.get(second.app_id).default_app is True
    client.numbers.create("14151234567", carrier="acme", region="US")
    assert client.numbers.get("14151234567").application.split("/")[-2] == second.app_id


def test_numbers_are_filtered(api: ApiServer, client: plivo.RestClient) -> None:
    client.numbers.create("14151234567,442071234567", carrier="acme", region="x")
    client.numbers.update("442071234567", alias="london")
    assert [entry.number for entry in client.numbers.list(number_startswith="44")] == ["442071234567"]
    assert [entry.number for entry in client.numbers.list(alias="london")] == ["442071234567"]
    assert [entry.number for entry in client.numbers.list(type="tollfree")] == []


@pytest.mark.parametrize("numbers", ["12", "not a number", "1" * 21, "14151234567,x"])
def test_wrong_numbers_are_refused_whole(api: ApiServer, client: plivo.RestClient, numbers: str) -> None:
    with pytest.raises(ValidationError, match="numbers parameter is invalid"):
        client.numbers.create(numbers, carrier="acme", region="US")
    assert list(client.numbers.list()) == []


def test_application_is_given_to_a_subaccount_unless_numbers_lead_to_it(
    api: ApiServer, client: plivo.RestClient
) -> None:
    app_id = client.applications.create("agent", answer_url=ANSWER_URL).app_id
    sub = client.subaccounts.create("customer", True)
    client.numbers.create("14151234567", "acme", "US", app_id=app_id)
    with pytest.raises(ValidationError, match="subaccount parameter is invalid: 1 numbers and endpoints lead to the"):
        client.applications.update(app_id, subaccount=sub.auth_id)
    client.numbers.delete("14151234567")
    assert client.applications.update(app_id, subaccount=sub.auth_id, public_uri=True).message == "changed"
    with pytest.raises(ResourceNotFoundError):
        client.applications.get(app_id)
    with api.client(sub.auth_token, sub.auth_id) as owner:
        assert (owner.applications.get(app_id).public_uri, owner.applications.get(app_id).answer_url) == (
            True,
            ANSWER_URL,
        )
    with pytest.raises(ResourceNotFoundError):
        client.applications.update("12345678901234567", subaccount=sub.auth_id)


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"services": "voice"}, 1),
        ({"services": ["voice", "sms"]}, 0),
        ({"cnam_lookup": "disabled"}, 1),
        ({"cnam_lookup": "enabled"}, 0),
        ({"tendlc_campaign_id": "C1"}, 0),
        ({"toll_free_sms_verification": "verified"}, 0),
        ({"renewal_date__lt": "2030-01-01"}, 0),
    ],
)
def test_filters_for_what_no_number_has_find_none(api: ApiServer, filters: dict[str, object], found: int) -> None:
    api.request("POST", "Number/", {"numbers": "14151234567"})
    text = {name: ",".join(value) if isinstance(value, list) else value for name, value in filters.items()}
    assert len(api.request("GET", f"Number/?{urlencode(text)}").json["objects"]) == found
