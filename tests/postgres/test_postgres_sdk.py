"""The official SDK's whole list of operations against the API on PostgreSQL."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import plivo
import pytest
from plivo.exceptions import PlivoRestError
from tests.support.api_server import ApiServer, running
from tests.support.databases import postgres_server
from tests.support.sdk_operation import Operation, World
from tests.support.sdk_operations import OPERATIONS

pytestmark = pytest.mark.postgres


@pytest.fixture(scope="module")
def server() -> Iterator[ApiServer]:
    with postgres_server() as postgres, running(database_url=postgres.url) as found:
        yield found


@pytest.fixture(scope="module")
def sdk(server: ApiServer) -> Iterator[plivo.RestClient]:
    with server.client() as client:
        yield client


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_the_sdk_does_it(server: ApiServer, sdk: plivo.RestClient, operation: Operation) -> None:
    values = operation.values(World(server))
    resource, _, method = operation.python.partition(".")
    with contextlib.ExitStack() as may_be_refused:
        if operation.status is None:
            may_be_refused.enter_context(contextlib.suppress(PlivoRestError))
        getattr(getattr(sdk, resource), method)(**values)
    status = server.log.requests[-1].status
    assert status == operation.status or (operation.status is None and status < 500)


def test_while_postgresql_is_away_requests_are_refused_and_may_be_sent_again() -> None:
    with postgres_server() as postgres, running(database_url=postgres.url) as server:
        assert server.request("GET", "Application/").json["meta"]["total_count"] == 0
        postgres.stop()
        asked, changed = (
            server.request("GET", "Application/"),
            server.request("POST", "Application/", {"app_name": "a"}),
        )
        assert (asked.status, changed.status) == (503, 429), "never a 5xx for what changes something"
        assert (asked.headers["retry-after"], changed.headers["retry-after"]) == ("5", "5")
        assert server.database.fault.startswith("the database does not answer: ")
        postgres.start()
        assert server.request("POST", "Application/", {"app_name": "a", "answer_url": "http://h/"}).status == 201
        assert server.database.fault == ""
