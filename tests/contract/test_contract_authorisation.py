"""Who may do what: every route of the OpenAPI document against every kind of credentials."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from fastapi.routing import APIRoute
from tests.support.api_server import AUTH_ID, OTHER_ID, TOKEN, ApiServer, HttpReply, running
from tests.support.fake_multiparty import MPC_UUID

from ringback.api.app import RESOURCES

ACCOUNT_PREFIX = "/v1/Account/{auth_id}/"
CREATING = ("POST", "PUT")
CLEARING = "/v1/Account/{auth_id}/Call/"
"""Hanging up all calls needs no id, so it finds nothing instead of answering 404."""


@dataclass
class World:
    """A main account with one of everything, two subaccounts, and a stranger."""

    api: ApiServer
    ids: dict[str, str]
    sub: str
    sibling: str
    document: dict[str, Any]

    def routes(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Yield method, path and description of every route below an account."""
        for path, operations in self.document["paths"].items():
            if path.startswith(ACCOUNT_PREFIX):
                for method, operation in operations.items():
                    yield method.upper(), path, operation

    def ask(
        self, method: str, path: str, operation: dict[str, Any], auth_id: str, credentials: str | None
    ) -> HttpReply:
        """Send the route's own example with the main account's ids in the path."""
        filled = re.sub(r"{(\w+)}", lambda name: {"auth_id": auth_id, **self.ids}.get(name[1], "unknown"), path)
        body = None
        if method in CREATING:
            content = operation.get("requestBody", {}).get("content", {})
            body = content.get("application/json", {}).get("example", {})
        return self.api.request(method, filled, body, credentials=credentials)

    def state(self) -> list[Any]:
        """Return everything that the main account has; a subaccount may change its own name."""
        lists = (
            *("Application/", "Number/", "Endpoint/", "Call/?status=live", "Call/", "Recording/"),
            *("Conference/room%20of%20the%20main%20account/", f"MultiPartyCall/uuid_{MPC_UUID}/Participant/"),
        )
        found = [self.api.request("GET", path).json for path in lists]
        subaccounts = self.api.request("GET", "Subaccount/").json["objects"]
        return [
            *(reply.get("objects", reply.get("calls", reply.get("members"))) for reply in found),
            [(each["auth_id"], each["auth_token"], each["enabled"]) for each in subaccounts],
        ]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with running() as api:
        app_id = api.request("POST", "Application/", {"app_name": "a"}).json["app_id"]
        api.request("POST", "Number/", {"numbers": "14151234567", "app_id": app_id})
        endpoint = {"username": "alice", "password": "password", "alias": "Alice"}
        endpoint_id = api.request("POST", "Endpoint/", endpoint).json["endpoint_id"]
        subs = [api.request("POST", "Subaccount/", {"name": name, "enabled": True}).json for name in ("s", "t")]
        call_uuid = api.calls.add()
        stream = api.request("POST", f"Call/{call_uuid}/Stream/", {"service_url": "wss://h.example/"})
        api.calls.owners[call_uuid] = AUTH_ID
        api.conferences.owner = api.multiparty.owner = AUTH_ID
        api.conferences.add("room of the main account", "member-of-main")
        api.multiparty.add_live("party of the main account", "participant-of-main")
        ids = {
            "app_id": app_id,
            "number": "14151234567",
            "endpoint_id": endpoint_id,
            "subaccount_id": subs[1]["auth_id"],
            "call_uuid": call_uuid,
            "request_uuid": call_uuid,
            "stream_id": stream.json["stream_id"],
            "recording_id": str(api.recordings.add().recording_id),
            "conference_name": "room%20of%20the%20main%20account",
            "member_id": "member-of-main",
            "mpc_id": f"uuid_{MPC_UUID}",
            "participant_id": "participant-of-main",
        }
        sub, sibling = (f"{each['auth_id']}:{each['auth_token']}" for each in subs)
        yield World(api, ids, sub, sibling, api.request("GET", "/ringback/v1/openapi.json").json)


def test_the_matrix_has_every_route_and_an_id_of_every_kind(world: World) -> None:
    known = {(method, path) for method, path, _ in world.routes()}
    routed = {
        (method, f"/v1/Account/{{auth_id}}{route.path}")
        for resource in RESOURCES
        for route in resource.router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    # A file is served to whoever knows its address: tests of recordings.
    files = {(method, path) for method, path in routed if path.endswith("{recording_id}.{suffix}/")}
    assert len(files) == 2
    assert routed - files == known
    assert {name for _, path, _ in world.routes() for name in re.findall(r"{(\w+)}", path)} == {"auth_id", *world.ids}


def test_no_route_serves_credentials_that_are_not_the_accounts_own(world: World) -> None:
    sub_id = world.sub.partition(":")[0]
    before = world.state()
    strangers = [
        (AUTH_ID, None),
        (AUTH_ID, f"{AUTH_ID}:wrong"),
        (AUTH_ID, f"{OTHER_ID}:{TOKEN}"),
        (AUTH_ID, world.sub),
        (sub_id, None),
        (sub_id, world.sibling),
        (sub_id, f"{sub_id}:{TOKEN}"),
        (sub_id, f"{OTHER_ID}:{TOKEN}"),
        (sub_id, f"{AUTH_ID}:wrong"),
    ]
    asked = 0
    for method, path, operation in world.routes():
        for auth_id, credentials in strangers:
            reply = world.ask(method, path, operation, auth_id, credentials)
            assert reply.status == 401, (method, path, auth_id, credentials, reply)
            asked += 1
    assert asked >= 9 * 25
    assert world.state() == before


def test_a_subaccount_sees_nothing_of_its_main_account_and_changes_nothing(world: World) -> None:
    sub_id = world.sub.partition(":")[0]
    before = world.state()
    for method, path, operation in world.routes():
        reply = world.ask(method, path, operation, sub_id, world.sub)
        if "/Subaccount/" in path:
            assert reply.status == 403, (method, path, reply)
        elif method == "POST" and path.endswith("/MultiPartyCall/{mpc_id}/Participant/"):
            # A name that the subaccount does not use yet begins a call of its own.
            assert reply.status == 201, (method, path, reply)
        elif re.search(r"{(?!auth_id)", path):
            # 400: the example names an application that the subaccount does not have.
            assert reply.status in (404, 400), (method, path, reply)
        elif method == "GET":
            assert reply.status in (200, 400), (method, path, reply)
            assert not any(value.encode() in reply.body for value in world.ids.values()), (path, reply)
        else:
            assert reply.status < 500, (method, path, reply)
    assert world.state() == before


def test_a_main_account_serves_its_subaccounts_by_their_path(world: World) -> None:
    sub_id = world.sub.partition(":")[0]
    for method, path, operation in world.routes():
        reply = world.ask(method, path, operation, sub_id, f"{AUTH_ID}:{TOKEN}")
        assert reply.status not in (401, 500), (method, path, reply)
        assert reply.status != 403 or "/Subaccount/" in path
