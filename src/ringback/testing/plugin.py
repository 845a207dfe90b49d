"""The pytest plugin: `pytest_plugins = ["ringback.testing.plugin"]` in the topmost conftest.py; docs/testing.md.

`ringback` is a platform for the whole session, `dial` calls a number on it and returns what was heard. For tests that
need more than one call: `phone`, a started phone of one test, and `agent`, an echo application in the test's own loop.
After each test that used the platform, its gauges must be idle.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any

import pytest
import pytest_asyncio

from ringback.phones.phone import Phone
from ringback.testing.agent import Agent
from ringback.testing.dialled import DialledCall, dial
from ringback.testing.platform import Platform

ANSWER_URL = "ringback_answer_url"


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the setting that says where the agent under test answers."""
    text = "answer URL of the application under test: it answers every number that has no other"
    parser.addini(ANSWER_URL, text, default="")
    parser.addoption("--ringback-answer-url", dest=ANSWER_URL, metavar="URL", help=text)


def pytest_configure(config: pytest.Config) -> None:
    """Keep quiet about the standard library's G.711, which Python 3.13 replaces by a wheel."""
    config.addinivalue_line("filterwarnings", "ignore:'audioop' is deprecated:DeprecationWarning")


@pytest.fixture(scope="session")
def ringback_session(pytestconfig: pytest.Config) -> Iterator[Platform]:
    """Run one platform for the session; use `ringback`, which checks after each test that nothing is left."""
    answer_url = pytestconfig.getoption(ANSWER_URL) or pytestconfig.getini(ANSWER_URL)
    with Platform.start(answer_url=str(answer_url)) as platform:
        yield platform


@pytest.fixture
def ringback(ringback_session: Platform) -> Iterator[Platform]:
    """Give the session's platform; afterwards its gauges must be idle."""
    yield ringback_session
    if ringback_session.is_running:
        ringback_session.assert_idle()


@pytest.fixture(name="dial")
def dial_on_the_platform(ringback: Platform) -> Callable[..., DialledCall]:
    """Give `ringback.testing.dialled.dial`, bound to the session's platform."""

    def dial_here(number: str, **options: Any) -> DialledCall:
        return dial(ringback, number, **options)

    return dial_here


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
