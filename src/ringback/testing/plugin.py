"""The pytest plugin: `pytest_plugins = ["ringback.testing.plugin"]` in a conftest, or the entry point `pytest11`.

`ringback` is a platform for the whole session, `phone` a started phone of one test, `agent` an echo application in the
test's own loop. After each test that used `ringback`, its gauges must be idle.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from ringback.phones.phone import Phone
from ringback.testing.agent import Agent
from ringback.testing.platform import Platform


@pytest.fixture(scope="session")
def ringback_session() -> Iterator[Platform]:
    """Run one platform for the session; use `ringback`, which checks after each test that nothing is left."""
    with Platform.start() as platform:
        yield platform


@pytest.fixture
def ringback(ringback_session: Platform) -> Iterator[Platform]:
    """Give the session's platform; afterwards its gauges must be idle."""
    yield ringback_session
    if ringback_session.is_running:
        ringback_session.assert_idle()


@pytest_asyncio.fixture
async def phone() -> AsyncIterator[Phone]:
    """Give a started phone; calls that a test leaves are hung up."""
    phone = Phone()
    await phone.start()
    yield phone
    await phone.hang_up_all()
    await phone.close()


@pytest_asyncio.fixture
async def agent() -> AsyncIterator[Agent]:
    """Give an echo application that serves in the test's own loop."""
    agent = Agent()
    await agent.start()
    yield agent
    await agent.close()
