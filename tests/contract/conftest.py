"""The REST API behind a real HTTP server, fresh for each test."""

from __future__ import annotations

from collections.abc import Iterator

import plivo
import pytest
from tests.support.api_server import ApiServer, running


@pytest.fixture
def api() -> Iterator[ApiServer]:
    """A running server."""
    with running() as server:
        yield server


@pytest.fixture
def client(api: ApiServer) -> Iterator[plivo.RestClient]:
    """The official SDK, pointed at the server."""
    with api.client() as found:
        yield found
