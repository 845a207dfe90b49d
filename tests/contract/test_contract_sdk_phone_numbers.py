"""Searching the operator's stock of numbers, taking one and giving it back, as the official Python SDK does it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import plivo
import pytest
from plivo.exceptions import ResourceNotFoundError, ValidationError
from tests.support.api_server import AUTH_ID, OTHER_ID, ApiServer, running

FIRST = "14158880000"


@pytest.fixture(scope="module")
def untouched() -> Iterator[ApiServer]:
    """A server of whose stock nobody takes anything."""
    with running() as server:
        yield server


def numbers_of(found: Any) -> list[str]:
    return [entry.number for entry in found.objects]


def test_a_number_is_found_taken_used_and_given_back(api: ApiServer, client: plivo.RestClient) -> None:
    app = client.applications.create("desk", answer_url="https://h.example/answer")
    found = client.numbers.search("US", type="local", limit=2)
    assert numbers_of(found) == [FIRST, "14158880001"]
    assert found.meta["total_count"] == 10_000
    assert found.meta["next"] == f"/v1/Account/{AUTH_ID}/PhoneNumber/?country_iso=US&type=local&limit=2&offset=2"
    assert vars(found.objects[0]) == {
        "city": "San Francisco",
        "country": "UNITED STATES",
        "lata": "722",
        "mms_enabled": False,
        "mms_rate": "0.00000",
        "monthly_rental_rate": "0.00000",
        "number": FIRST,
        "prefix": "415",
        "prerequisites": [],
        "rate_center": "SNFC CNTRL",
        "region": "California",
        "resource_uri": f"/v1/Account/{AUTH_ID}/PhoneNumber/{FIRST}/",
        "restriction": None,
        "restriction_text": None,
        "setup_rate": "0.00000",
        "sms_enabled": False,
        "sms_rate": "0.00000",
        "sub_type": "local",
        "type": "fixed",
        "voice_enabled": True,
        "voice_rate": "0.00000",
    }
    bought = client.numbers.buy(FIRST, app_id=app.app_id)
    assert (bought.message, bought.status) == ("created", "fulfilled")
    assert [vars(each) for each in bought.numbers] == [{"number": FIRST, "status": "Success"}]
    mine = client.numbers.get(FIRST)
    assert mine.application == f"/v1/Account/{AUTH_ID}/Application/{app.app_id}/"
    assert (mine.country, mine.city, mine.region) == ("United States", "San Francisco", "California")
    assert (mine.carrier, mine.number_type) == ("acme", "local")
    after = client.numbers.search("US", type="local", limit=2)
    assert (numbers_of(after), after.meta["total_count"]) == (["14158880001", "14158880002"], 9_999)
    client.numbers.delete(FIRST)
    assert numbers_of(client.numbers.search("US", type="local", limit=1)) == [FIRST]


@pytest.mark.parametrize(
    ("filters", "count"),
    [
        ({}, 10_005),
        ({"type": "any"}, 10_005),
        ({"type": "tollfree"}, 5),
        ({"type": "fixed"}, 10_000),
        ({"type": "mobile"}, 0),
        ({"pattern": "4158881"}, 1_000),
        ({"pattern": "9"}, 0),
        ({"npanxx": "415888"}, 10_000),
        ({"npanxx": "415888", "pattern": "41588812"}, 100),
        ({"npanxx": "415888", "pattern": "855"}, 0),
        ({"region": "california"}, 10_000),
        ({"region": "Nevada"}, 0),
        ({"city": "San Francisco", "lata": "722", "rate_center": "SNFC CNTRL"}, 10_000),
        ({"city": "Reno"}, 0),
        ({"lata": 722}, 10_000),
        ({"services": "voice"}, 10_005),
        ({"services": "voice,sms"}, 0),
        ({"services": "mms"}, 0),
        ({"eligible": True, "local_calling_area": True}, 10_005),
    ],
)
def test_each_filter_of_a_search(untouched: ApiServer, filters: dict[str, Any], count: int) -> None:
    with untouched.client() as client:
        assert client.numbers.search("US", **filters).meta["total_count"] == count


def test_pages_of_a_search_join_at_the_end(untouched: ApiServer) -> None:
    wanted = [f"4930123456{each:02d}" for each in range(10)]
    with untouched.client() as client:
        pages = [client.numbers.search("de", limit=4, offset=offset) for offset in (0, 4, 8, 12)]
    assert [number for page in pages for number in numbers_of(page)] == wanted
    assert [page.meta["next"] is None for page in pages] == [False, False, True, True]
    assert pages[1].meta["previous"] == f"/v1/Account/{AUTH_ID}/PhoneNumber/?country_iso=de&limit=4&offset=0"


def test_an_empty_answer_is_a_list(untouched: ApiServer) -> None:
    with untouched.client() as client:
        found = client.numbers.search("FR")
    assert (found.objects, found.meta["total_count"], found.meta["next"]) == ([], 0, None)


@pytest.mark.parametrize(
    ("query", "named"),
    [
        ("", "country_iso parameter is missing"),
        ("country_iso=XX", "country_iso"),
        ("country_iso=USA", "country_iso"),
        ("country_iso=US&type=satellite", "type"),
        ("country_iso=US&pattern=41x", "pattern"),
        ("country_iso=US&pattern=" + "1" * 16, "pattern"),
        ("country_iso=US&services=fax", "services"),
        ("country_iso=US&limit=21", "limit"),
        ("country_iso=US&offset=-1", "offset"),
    ],
)
def test_wrong_searches_name_the_parameter(untouched: ApiServer, query: str, named: str) -> None:
    reply = untouched.request("GET", f"PhoneNumber/?{query}")
    assert reply.status == 400
    assert named in reply.json["error"]


@pytest.mark.parametrize("number", ["14158890000", "18558880005", "+491", "nonsense"])
def test_what_is_not_in_the_stock_cannot_be_taken(untouched: ApiServer, number: str) -> None:
    assert untouched.request("POST", f"PhoneNumber/{number}/", {}).status == 404
    assert untouched.request("GET", "Number/").json["objects"] == []


def test_what_another_has_cannot_be_taken(api: ApiServer, client: plivo.RestClient) -> None:
    with api.client(auth_id=OTHER_ID) as other:
        other.numbers.buy("+14158880000")
        with pytest.raises(ResourceNotFoundError, match="number not available"):
            client.numbers.buy(FIRST)
        with pytest.raises(ResourceNotFoundError):
            client.numbers.delete(FIRST)
        with pytest.raises(ResourceNotFoundError, match="number not available"):
            other.numbers.buy(FIRST)
        assert FIRST not in numbers_of(client.numbers.search("US"))
        other.numbers.delete(FIRST)
        client.numbers.buy(FIRST)


def test_a_foreign_application_takes_nothing(api: ApiServer, client: plivo.RestClient) -> None:
    with api.client(auth_id=OTHER_ID) as other:
        app = other.applications.create("theirs", answer_url="https://h.example/answer")
    with pytest.raises(ValidationError, match="app_id"):
        client.numbers.buy(FIRST, app_id=app.app_id)
    assert numbers_of(client.numbers.search("US", limit=1)) == [FIRST]


def test_a_number_without_an_application_gets_the_default_one(api: ApiServer, client: plivo.RestClient) -> None:
    app = client.applications.create("all", answer_url="https://h.example/answer", default_number_app=True)
    client.numbers.buy(FIRST)
    assert client.numbers.get(FIRST).application.split("/")[-2] == app.app_id


def test_a_subaccount_takes_numbers_for_itself_alone(api: ApiServer, client: plivo.RestClient) -> None:
    sub = client.subaccounts.create("customer", enabled=True)
    with api.client(token=sub.auth_token, auth_id=sub.auth_id) as customer:
        customer.numbers.buy(FIRST)
        assert customer.numbers.get(FIRST).sub_account == f"/v1/Account/{AUTH_ID}/Subaccount/{sub.auth_id}/"
        with pytest.raises(ResourceNotFoundError):
            client.numbers.get(FIRST)
        client.numbers.buy("14158880001")
        with pytest.raises(ResourceNotFoundError):
            customer.numbers.delete("14158880001")
        found = customer.numbers.search("US", limit=1)
        assert numbers_of(found) == ["14158880002"]
        assert found.objects[0].resource_uri.startswith(f"/v1/Account/{sub.auth_id}/")
    client.subaccounts.delete(sub.auth_id, cascade=True)
    assert numbers_of(client.numbers.search("US", limit=1)) == [FIRST]
