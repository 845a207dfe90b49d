"""Every operation says what it answers, and every example that it gives is one of its own."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest
from tests.support.api_server import ApiServer, running

from ringback.api.shapes import SHAPES


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    with running() as api:
        return api.app.openapi()


def operations(document: dict[str, Any]) -> list[tuple[str, str, dict[str, Any]]]:
    return [
        (method, path, operation) for path, found in document["paths"].items() for method, operation in found.items()
    ]


def test_every_operation_of_an_account_has_a_shape_or_no_body(document: dict[str, Any]) -> None:
    found = {o["operationId"] for _, path, o in operations(document) if path.startswith("/v1/")}
    empty = {o["operationId"] for _, _, o in operations(document) if "204" in o["responses"]}
    assert found - empty - SHAPES.keys() == set(), "add their answers to ringback.api.shapes"
    assert SHAPES.keys() - found == set(), "these operations are gone"


def test_examples_are_valid(document: dict[str, Any]) -> None:
    count = 0
    for _, _, operation in operations(document):
        for media in operation.get("requestBody", {}).get("content", {}).values():
            jsonschema_rs.validate(media["schema"], media["example"])
            count += 1
    assert count > 10


def test_asynchronous_requests_are_described_but_where_callback_url_means_something_else(
    document: dict[str, Any],
) -> None:
    paths = document["paths"]
    listed = paths["/v1/Account/{auth_id}/Call/"]["get"]
    assert "callback_url" in {parameter["name"] for parameter in listed["parameters"]}
    record = paths["/v1/Account/{auth_id}/Call/{call_uuid}/Record/"]["post"]["responses"]["202"]
    assert "anyOf" not in record["content"]["application/json"]["schema"]


def test_an_answer_that_the_document_does_not_allow_fails_the_test() -> None:
    def ask(api: ApiServer) -> None:
        view = api.calls.add(caller_name=7)  # type: ignore[arg-type]  # what a fault would be
        assert api.request("GET", f"Call/{view}/?status=live").status == 200

    with pytest.raises(AssertionError, match=r"GET .* was answered 200"), running() as api:
        ask(api)
