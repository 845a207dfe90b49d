"""Both official SDKs run the same list, and the list has every method of their clients with every parameter."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import plivo
import pytest
from plivo.exceptions import ResourceNotFoundError
from tests.support.api_server import ApiServer, running
from tests.support.node_sdk import NodeSdk, node_sdk
from tests.support.request_log import SentRequest
from tests.support.sdk_operation import Operation, World
from tests.support.sdk_operations import EXCUSED, OPERATIONS, node_methods, python_methods

pytestmark = pytest.mark.timeout(600)

PYTHON_RESOURCES = (
    *("calls", "live_calls", "queued_calls", "applications", "numbers", "endpoints", "account", "subaccounts"),
    *("recordings", "conferences", "pricing", "multi_party_calls", "token", "call_feedback"),
    "transcriptions",
)
NODE_RESOURCES = (
    *("calls", "applications", "numbers", "endpoints", "accounts", "subaccounts", "recordings", "conferences"),
    *("pricings", "multiPartyCalls", "token", "callFeedback"),
)
_BODIES = ("objects", "calls", "conferences", "resource_uri", "call_status", "token")
"""Fields of which every answer with a body has one."""
_ASYNC = ("callback_url", "callback_method")
_NOT_NAMES = {
    *(
        "call_uuid",
        "app_id",
        "number",
        "endpoint_id",
        "recording_id",
        "transcription_id",
        "auth_id",
        "conference_name",
        "member_id",
    ),
    *("stream_id", "_id", "id", "participant_id", "friendly_name", "uuid", "country_iso", "status", "is_voice_request"),
    *("isVoiceRequest", "subauth_id", "memberId"),
}
"""Ids that stand in the path already, and the SDKs' own marks."""


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with running() as found:
        yield found


@pytest.fixture(scope="module")
def node(server: ApiServer) -> Iterator[NodeSdk]:
    with node_sdk(server) as sdk:
        yield sdk


def python_method(client: plivo.RestClient, name: str) -> Any:
    resource, _, method = name.partition(".")
    return getattr(getattr(client, resource), method)


def asked_by_python(server: ApiServer, operation: Operation, values: Mapping[str, Any]) -> tuple[SentRequest, Any]:
    with server.client() as client:
        before = len(server.log.requests)
        answer = python_method(client, operation.python)(**values)
    (request,) = server.log.requests[before:]
    return request, answer


def asked_by_node(server: ApiServer, node: NodeSdk, operation: Operation, values: Mapping[str, Any]) -> SentRequest:
    options = {_camel(name): value for name, value in values.items() if name not in operation.positional}
    options |= operation.node_options or {}
    options = {name: value for name, value in options.items() if value is not None}
    before = len(server.log.requests)
    answer = node(operation.node, *(values[name] for name in operation.positional), *([options] if options else []))
    (request,) = server.log.requests[before:]
    for name, value in (operation.gives or {}).items():
        assert answer[_camel(name)] == value
    return request


def _camel(name: str) -> str:
    if "__" in name:
        return name
    return re.sub(r"_([a-z])", lambda found: found[1].upper(), name)


def _field(answer: Any, name: str) -> Any:
    return answer[name] if isinstance(answer, dict) else getattr(answer, name)


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_the_python_sdk_does_it(server: ApiServer, operation: Operation) -> None:
    request, answer = asked_by_python(server, operation, operation.values(World(server)))
    assert request.status == operation.status
    if operation.status == 200 and not operation.gives:
        assert any(getattr(answer, name, None) is not None for name in _BODIES)
    for name, value in (operation.gives or {}).items():
        assert _field(answer, name) == value


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if each.node], ids=lambda each: each.node)
def test_the_node_sdk_does_the_same(server: ApiServer, node: NodeSdk, operation: Operation) -> None:
    world = World(server)
    mine = asked_by_node(server, node, operation, operation.values(world))
    theirs, _ = asked_by_python(server, operation, operation.values(world))
    assert (mine.method, mine.status) == (theirs.method, theirs.status)
    assert _shape(mine.path) == _shape(theirs.path)
    left_out = {name for name, value in (operation.node_options or {}).items() if value is None}
    assert _names(mine) == _names(theirs) - left_out


def _names(request: SentRequest) -> set[str]:
    # Node makes `creation_time_gt` of `creation_time__gt`.
    return {name.replace("__", "_") for name in set(request.parameters) - _NOT_NAMES}


def _shape(path: str) -> list[str]:
    """Return what of a path is the same whichever the ids are."""
    return [part if part.isalpha() else "*" for part in path.strip("/").split("/")]


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_parameter_of_a_method_is_given(operation: Operation, server: ApiServer) -> None:
    with server.client() as client:
        wanted = set(inspect.signature(python_method(client, operation.python)).parameters)
    given = {name for each in OPERATIONS if each.python == operation.python for name in each.values(World(server))}
    missing = wanted - given - {"uuid", *_ASYNC}
    assert not {name for name in missing if f"{operation.python}.{name}" not in EXCUSED}


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_parameter_that_an_sdk_sends_is_in_the_document(server: ApiServer, operation: Operation) -> None:
    request, _ = asked_by_python(server, operation, operation.values(World(server)))
    sent = {name for name in set(request.parameters) - _NOT_NAMES if f"{operation.python}.{name}" not in EXCUSED}
    assert sent - _documented(server, request) == set()


def _documented(server: ApiServer, request: SentRequest) -> set[str]:
    for path, operations in server.app.openapi()["paths"].items():
        if re.fullmatch(re.sub(r"{\w+}", "[^/]+", path), request.path) and request.method.lower() in operations:
            found = operations[request.method.lower()]
            in_query = {each["name"] for each in found.get("parameters", []) if each["in"] == "query"}
            content = found.get("requestBody", {}).get("content", {}).get("application/json", {})
            return in_query | set(content.get("schema", {}).get("properties", {}))
    raise AssertionError(f"{request.method} {request.path} is not in the document")


def _is_asynchronous(operation: Operation) -> bool:
    """Return whether `callback_url` makes the request asynchronous: it has another meaning when recordings begin."""
    method = operation.python
    with_callback = "callback_url" in inspect.signature(python_method(_unbound(), method)).parameters
    return with_callback and "record" not in method


def _unbound() -> plivo.RestClient:
    return plivo.RestClient("MA" + "X" * 18, "token")


@pytest.mark.parametrize("operation", [each for each in OPERATIONS if _is_asynchronous(each)], ids=str)
def test_every_method_can_be_asked_asynchronously(server: ApiServer, operation: Operation) -> None:
    values = {**operation.values(World(server)), "callback_url": "https://h.example/done", "callback_method": "GET"}
    with server.client() as client:
        before = len(server.log.requests)
        python_method(client, operation.python)(**values)
    assert server.log.requests[before:][-1].status == 202


def test_the_list_has_every_method_of_the_python_sdk() -> None:
    client = _unbound()
    methods = {
        f"{resource}.{name}"
        for resource in PYTHON_RESOURCES
        for name, _ in inspect.getmembers(getattr(client, resource), inspect.ismethod)
        if not name.startswith("_")
    }
    assert methods - python_methods() - set(EXCUSED) == set()
    assert python_methods() - methods == set()


ABSENT = {
    *("addresses", "brand", "campaign", "compliance_applications", "compliance_document_types", "compliance_documents"),
    *("compliance_requirements", "end_users", "identities", "lookup", "masking_sessions", "media", "messages"),
    *("phone_number_compliance", "phone_number_compliance_link", "phone_number_compliance_requirements", "powerpacks"),
    *("profile", "tollfree_verification", "verify_callerids", "verify_session"),
}
"""Resources that are not here: docs/support.md says of each why."""


def test_every_resource_of_the_python_sdk_is_run_or_known_to_be_absent() -> None:
    client = _unbound()
    resources = {name for name, value in vars(client).items() if hasattr(value, "client")}
    assert resources == ABSENT | set(PYTHON_RESOURCES)
    support = (Path(__file__).parents[2] / "docs" / "support.md").read_text()
    assert {name for name in resources if f"`{name}`" not in support} == set()


@pytest.mark.parametrize(
    ("ask", "why"),
    [
        (lambda client: client.messages.create(src="14151234567", dst="14151234568", text="hi"), "voice only"),
        (lambda client: client.powerpacks.list(), "voice only"),
        (lambda client: client.brand.list(), "voice only"),
        (lambda client: client.verify_session.create(recipient="14151234567"), "voice only"),
        (lambda client: client.end_users.list(), "voice only"),
        (lambda client: client.masking_sessions.list_masking_session(), "not built"),
        (lambda client: client.verify_callerids.list_verified_caller_id(), "not built"),
    ],
)
def test_what_is_absent_says_so(server: ApiServer, ask: Callable[[plivo.RestClient], object], why: str) -> None:
    with server.client() as client, pytest.raises(ResourceNotFoundError, match=why):
        ask(client)


def test_the_list_has_every_method_of_the_node_sdk(node: NodeSdk) -> None:
    found = {resource: node("describe", resource) for resource in NODE_RESOURCES}
    own = {f"{resource}.{name}" for resource, methods in found.items() for name in methods["own"]}
    inherited = {f"{resource}.{name}" for resource, methods in found.items() for name in methods["inherited"]}
    assert own - node_methods() - set(EXCUSED) == set()
    assert node_methods() - own - inherited == set()
