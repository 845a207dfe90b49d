"""Third-party SIP peers on loopback against one whole platform; without the peers these tests skip, in CI they fail."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from concurrent.futures import Future

import pytest
from tests.support.interop_stage import Carriers, stage_on

from ringback.testing.platform import Platform

PEERS = {"sipp": "sip-tester", "baresip": "baresip-core"}
"""Programs and the Debian packages that bring them."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the load first, and what takes half a minute last: one of those waits until the load is forgotten."""
    order = {"test_interop_load.py": 0, "test_interop_sipp_waits.py": 2}
    items.sort(key=lambda item: order.get(item.path.name, 1))


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or fail when CI=true, a test whose peer is not installed."""
    for marker in item.iter_markers("interop"):
        for program in marker.args:
            if shutil.which(program) is None:
                message = f"{program} is not installed: apt-get install {PEERS[program]}, or `make system`"
                if os.environ.get("CI") == "true":
                    pytest.fail(message)
                pytest.skip(message)


@pytest.fixture(scope="session")
def carriers() -> Carriers:
    """The session's trunks and the ports of their gateways."""
    return Carriers.on_free_ports()


@pytest.fixture(scope="session")
def platform(carriers: Carriers) -> Iterator[Platform]:
    """The platform of the session; it must be idle, without an ERROR in its log, when all tests are over."""
    settings = {
        "RINGBACK_TRUNK": carriers.as_setting(),
        "RINGBACK_LIMITS__API_PER_5S": "0",
        "RINGBACK_ENDPOINTS__MIN_EXPIRES_S": "2",
    }
    with Platform.start(settings=settings) as it:
        yield it


@pytest.fixture(scope="session")
def load_platform() -> Iterator[Platform]:
    """A platform of its own for the load; it stays to show that its tables empty.

    It refuses nobody: how busy the machine is with other tests is not what is tested.
    """
    with Platform.start(settings={"RINGBACK_LIMITS__API_PER_5S": "0", "RINGBACK_LOAD__ADMISSION": "off"}) as it:
        yield it


@pytest.fixture(scope="session", autouse=True)
def patience(request: pytest.FixtureRequest) -> Iterator[Mapping[str, Future[None]]]:
    """The selected scenes that take half a minute, playing from the first test on."""
    items = [item for item in request.session.items if item.path.name == "test_interop_sipp_waits.py"]
    names = [item.callspec.params["name"] for item in items if hasattr(item, "callspec")]
    if not names or shutil.which("sipp") is None:
        yield {}
        return
    platform, carriers = (request.getfixturevalue(name) for name in ("platform", "carriers"))
    with items[0].module.scene.play(names, lambda: stage_on(platform, carriers)) as outcomes:
        yield outcomes


@pytest.fixture(scope="module")
def playing(
    request: pytest.FixtureRequest, platform: Platform, carriers: Carriers
) -> Iterator[Mapping[str, Future[None]]]:
    """The selected scenes of a module, playing; a test waits for the outcome of its own."""
    names = [item.callspec.params["name"] for item in request.session.items if item.path == request.path]
    with request.module.scene.play(names, lambda: stage_on(platform, carriers)) as outcomes:
        yield outcomes
