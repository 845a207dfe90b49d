"""One platform for the session, its customer, phones; after each test every gauge must be idle."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterator
from typing import Any

import pytest
import pytest_asyncio
from tests.support.customer import Customer, customer_of
from tests.support.stream_agent import StreamAgent, stream_agent

from ringback import clock
from ringback.machine import SECOND
from ringback.phones.phone import Phone, PhoneSettings
from ringback.telemetry.metrics import IDLE_GAUGES
from ringback.testing.platform import Platform, PlatformFailed

NewPhone = Callable[..., Awaitable[Phone]]
LONGEST_FIRST = ("failures_processes", "command_line", "speech", "dial", "streams", "machine_detection")
"""Modules that take long: whoever runs modules beside each other must not find them last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest modules of this folder first; a module's tests stay together, in their order."""

    def place(item: pytest.Item) -> int:
        subject = item.path.stem.removeprefix("test_functional_")
        return LONGEST_FIRST.index(subject) if subject in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=place)


@pytest.fixture(scope="session")
def running() -> Iterator[Platform]:
    """The session's platform; tests take `platform`, which looks after them."""
    with Platform.start(settings={"RINGBACK_LIMITS__API_PER_5S": "0"}) as platform:
        yield platform


@pytest.fixture
def platform(running: Platform) -> Iterator[Platform]:
    """The session's platform, or the one of a module that has its own `running`; the test must leave nothing on it."""
    # What an earlier, failed test has left is not this one's fault.
    known = busy_gauges(running)
    yield running
    assert_nothing_new_left(running, known)


def busy_gauges(platform: Platform) -> dict[str, float]:
    """Return the gauges that are not idle."""
    return {name: value for name, value in platform.metrics().items() if value and name.split("{")[0] in IDLE_GAUGES}


def assert_nothing_new_left(platform: Platform, known: Container[str]) -> None:
    """Check that every gauge is idle but the `known` ones; if not, hang all calls up, for the sake of later tests."""
    try:
        wait_idle(platform, known, 20)
    except TimeoutError as error:
        platform.sdk().request("DELETE", ("Call",), is_voice_request=True)
        raise PlatformFailed(f"not idle: {error}\n{platform.log_tail()}") from None


def wait_idle(platform: Platform, known: Container[str], seconds: int) -> None:
    """Return when every gauge but the `known` ones is idle.

    Raises:
        TimeoutError: one still is not; it names them.
    """
    deadline = clock.now() + seconds * SECOND
    while left := {name: value for name, value in busy_gauges(platform).items() if name not in known}:
        if clock.now() > deadline:
            raise TimeoutError(left)
        threading.Event().wait(0.02)


@pytest_asyncio.fixture
async def customer(platform: Platform) -> AsyncIterator[Customer]:
    """A customer's application with SDK, in the test's loop."""
    known = busy_gauges(platform)
    async with customer_of(platform) as customer:
        yield customer
        # A customer who leaves too early would turn callbacks on their way into retries.
        with contextlib.suppress(TimeoutError):
            await asyncio.to_thread(wait_idle, platform, known, 20)


@pytest_asyncio.fixture
async def agent() -> AsyncIterator[StreamAgent]:
    """A voice agent that echoes in the stream's own format and remembers everything."""
    async with stream_agent() as agent:
        yield agent


@pytest_asyncio.fixture
async def silent_agent() -> AsyncIterator[StreamAgent]:
    """A voice agent that says what the test tells it to."""
    async with stream_agent(echo=False) as agent:
        yield agent


@pytest_asyncio.fixture
async def new_phone() -> AsyncIterator[NewPhone]:
    """Makes started phones with `PhoneSettings`."""
    phones: list[Phone] = []

    async def make(**settings: Any) -> Phone:
        phone = Phone(PhoneSettings(**settings))
        phones.append(phone)
        await phone.start()
        return phone

    yield make
    for phone in phones:
        await phone.close()


@pytest_asyncio.fixture
async def phone(new_phone: NewPhone) -> Phone:
    """A started phone with the number 15550002222."""
    return await new_phone(user="15550002222", display="Alice Example")
