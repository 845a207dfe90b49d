"""One platform for the session, its customer, phones; after each test every gauge must be idle.

A test that fails stops in the middle: its calls are cleared away here, and what cannot be is not a second failure.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Generator, Iterator
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
FAILED = pytest.StashKey[bool]()
LONGEST_FIRST = ("failures_processes", "command_line", "speech", "dial", "streams", "machine_detection")
"""Modules that take long: whoever runs modules beside each other must not find them last."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the longest modules of this folder first; a module's tests stay together, in their order."""

    def place(item: pytest.Item) -> int:
        subject = item.path.stem.removeprefix("test_functional_")
        return LONGEST_FIRST.index(subject) if subject in LONGEST_FIRST else len(LONGEST_FIRST)

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Note on a test whether it failed, for the fixtures that clear up behind it."""
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


@pytest.fixture(scope="session")
def running() -> Iterator[Platform]:
    """The session's platform; tests take `platform`, which looks after them."""
    stock = [{"numbers": ["15558887700..15558887799"], "country": "US", "carrier": "carrier"}]
    settings = {"RINGBACK_LIMITS__API_PER_5S": "0", "RINGBACK_NUMBER_STOCK": json.dumps(stock)}
    with Platform.start(settings=settings) as platform:
        yield platform


@pytest.fixture
def platform(running: Platform, request: pytest.FixtureRequest) -> Iterator[Platform]:
    """The session's platform, or the one of a module that has its own `running`; the test must leave nothing on it."""
    # What an earlier, failed test has left is not this one's fault.
    known = busy_gauges(running)
    yield running
    if FAILED in request.node.stash:
        running.is_spoiled = True
        clear_away(running, known)
    else:
        assert_nothing_new_left(running, known)


def busy_gauges(platform: Platform) -> dict[str, float]:
    """Return the gauges that are not idle."""
    return {name: value for name, value in platform.metrics().items() if value and name.split("{")[0] in IDLE_GAUGES}


def assert_nothing_new_left(platform: Platform, known: Container[str]) -> None:
    """Check that every gauge is idle but the `known` ones; if not, hang all calls up, for the sake of later tests."""
    try:
        wait_idle(platform, known, 20)
    except TimeoutError as error:
        hang_up_all(platform)
        raise PlatformFailed(f"not idle: {error}\n{platform.log_tail()}") from None


def clear_away(platform: Platform, known: Container[str]) -> None:
    """Hang up what a failed test has left, and wait for its end as long as that may take."""
    if busy_gauges(platform).keys() - set(known):
        hang_up_all(platform)
        with contextlib.suppress(TimeoutError):
            wait_idle(platform, known, 20)


def hang_up_all(platform: Platform) -> None:
    """End every call."""
    sdk = platform.sdk()
    try:
        sdk.request("DELETE", ("Call",), is_voice_request=True)
    finally:
        sdk.session.close()


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
async def customer(platform: Platform, request: pytest.FixtureRequest) -> AsyncIterator[Customer]:
    """A customer's application with SDK, in the test's loop."""
    known = busy_gauges(platform)
    async with customer_of(platform) as customer:
        yield customer
        if FAILED in request.node.stash:
            await asyncio.to_thread(clear_away, platform, known)
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
async def new_phone(request: pytest.FixtureRequest) -> AsyncIterator[NewPhone]:
    """Makes started phones with `PhoneSettings`."""
    phones: list[Phone] = []

    async def make(**settings: Any) -> Phone:
        phone = Phone(PhoneSettings(**settings))
        phones.append(phone)
        await phone.start()
        return phone

    yield make
    for phone in phones:
        if FAILED in request.node.stash:
            await phone.hang_up_all()
        await phone.close()


@pytest_asyncio.fixture
async def phone(new_phone: NewPhone) -> Phone:
    """A started phone with the number 15550002222."""
    return await new_phone(user="15550002222", display="Alice Example")
