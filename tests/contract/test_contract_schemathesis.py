"""Generated requests against the whole API: no 5xx, and no answer that the OpenAPI document does not allow."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from tests.support.api_server import AUTH_ID, TOKEN, ApiServer, running

CHECKS = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]
EXAMPLES = 6
"""Requests of each operation: all of them together take some seconds."""


@pytest.fixture(scope="module")
def api() -> Iterator[ApiServer]:
    with running() as server:
        yield server


def own_paths(api: ApiServer) -> dict[str, Any]:
    """Return the document with ids of things that there are in its paths, so that more is reached than 404."""
    app_id = api.request("POST", "Application/", {"app_name": "a"}).json["app_id"]
    api.request("POST", "Number/", {"numbers": "14151234567"})
    endpoint = {"username": "alice", "password": "password", "alias": "Alice"}
    endpoint_id = api.request("POST", "Endpoint/", endpoint).json["endpoint_id"]
    subaccount_id = api.request("POST", "Subaccount/", {"name": "s"}).json["auth_id"]
    ids = {
        "auth_id": AUTH_ID,
        "app_id": app_id,
        "number": "14151234567",
        "endpoint_id": endpoint_id,
        "subaccount_id": subaccount_id,
        "call_uuid": api.calls.add(),
        "recording_id": str(api.recordings.add().recording_id),
    }
    document = api.app.openapi()
    paths = {}
    for path, operations in document["paths"].items():
        if path.startswith("/v1/"):
            for name, value in ids.items():
                path = path.replace(f"{{{name}}}", value)
            paths[path] = {method: without(operation, ids) for method, operation in operations.items()}
    return {**document, "paths": paths}


def without(operation: dict[str, Any], ids: dict[str, str]) -> dict[str, Any]:
    parameters = operation.get("parameters", [])
    return {**operation, "parameters": [each for each in parameters if each["in"] != "path" or each["name"] not in ids]}


def test_generated_requests_are_answered_as_documented(api: ApiServer) -> None:
    schema = schemathesis.openapi.from_dict(own_paths(api))
    faults: list[str] = []
    asked = 0
    operations = [result.ok() for result in schema.get_all_operations()]
    # What deletes things comes last.
    for operation in sorted(operations, key=lambda each: each.method.upper() == "DELETE"):

        @given(case=operation.as_strategy())
        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def ask(case: Any) -> None:
            nonlocal asked
            asked += 1
            case.call_and_validate(base_url=api.url, auth=(AUTH_ID, TOKEN), checks=CHECKS)

        try:
            ask()
        except Exception as fault:
            faults.append(f"{operation.label}: {fault}")
    assert not faults, "\n\n".join(faults)
    assert asked >= 40 * EXAMPLES / 2
