"""Name resolution: bounded, judged, and out of the loop's way."""

from __future__ import annotations

import asyncio
import threading

import pytest

from ringback.egress.errors import AddressRefused, ConnectFailed, FailureClass, InvalidUrl
from ringback.egress.policy import Mode, Policy, check_url
from ringback.egress.resolve import Resolver, ResolverSettings, resolve_url, system_lookup

SETTINGS = ResolverSettings(threads=2, waiting_max=1, timeout_ms=200)


async def test_stream_url_becomes_checked_addresses() -> None:
    resolver = Resolver(Policy(), lookup=lambda name: ["8.8.8.8", "2001:4860:4860::8888"])
    checked, addresses = await resolve_url(resolver, "wss://agent.example.com:8443/ws?a=1#ct=5")
    assert addresses == (("8.8.8.8", 8443), ("2001:4860:4860::8888", 8443))
    assert checked.target == "/ws?a=1"
    with pytest.raises(InvalidUrl):
        await resolve_url(resolver, "https://agent.example.com/")
    resolver.close()


async def test_literal_needs_no_lookup() -> None:
    def never(name: str) -> list[str]:
        raise AssertionError(name)

    resolver = Resolver(Policy(Mode.DEV), lookup=never)
    _, addresses = await resolve_url(resolver, "ws://127.0.0.1:9000/ws")
    assert addresses == (("127.0.0.1", 9000),)
    resolver.close()


async def test_one_forbidden_address_refuses_the_name() -> None:
    resolver = Resolver(Policy(), lookup=lambda name: ["8.8.8.8", "10.0.0.1"])
    with pytest.raises(AddressRefused):
        await resolve_url(resolver, "wss://agent.example.com/")
    resolver.close()


async def test_fifth_address_is_left_out() -> None:
    many = [f"8.8.8.{index}" for index in range(1, 10)]
    resolver = Resolver(Policy(), lookup=lambda name: many)
    _, addresses = await resolve_url(resolver, "wss://agent.example.com/")
    assert [host for host, _ in addresses] == many[:4]
    resolver.close()


async def test_name_without_address_fails_as_dns() -> None:
    for answer in (OSError("unknown"), UnicodeError("bad label"), None):

        def look_up(name: str, answer: Exception | None = answer) -> list[str]:
            if answer is not None:
                raise answer
            return []

        resolver = Resolver(Policy(), lookup=look_up)
        with pytest.raises(ConnectFailed) as caught:
            await resolve_url(resolver, "wss://agent.example.com/")
        assert caught.value.failure is FailureClass.DNS
        resolver.close()


async def test_slow_name_server_times_out_and_holds_only_its_threads() -> None:
    release = threading.Event()

    def look_up(name: str) -> list[str]:
        if name.startswith("slow"):
            release.wait(5)
        return ["8.8.8.8"]

    resolver = Resolver(Policy(), SETTINGS, look_up)

    async def ask(name: str) -> None:
        await resolver.addresses(check_url(Policy(), f"https://{name}.example.com/", ("https",)))

    outcomes = await asyncio.gather(*[ask(f"slow{index}") for index in range(3)], return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [ConnectFailed] * 3
    with pytest.raises(ConnectFailed):
        await ask("fast")
    release.set()
    async with asyncio.timeout(20):
        while resolver.running_lookups:  # noqa: ASYNC110 - threads report here, there is no event to wait for
            await asyncio.sleep(0.01)
    await ask("fast")
    resolver.close()


async def test_lookup_beyond_the_queue_fails_at_once() -> None:
    release = threading.Event()

    def look_up(name: str) -> list[str]:
        release.wait(5)
        return ["8.8.8.8"]

    resolver = Resolver(Policy(), ResolverSettings(threads=2, waiting_max=1, timeout_ms=5_000), look_up)
    url = check_url(Policy(), "https://agent.example.com/", ("https",))
    waiting = [asyncio.create_task(resolver.addresses(url)) for _ in range(3)]
    await asyncio.sleep(0.02)
    assert resolver.running_lookups == 3
    with pytest.raises(ConnectFailed, match="too many"):
        await resolver.addresses(url)
    release.set()
    assert all(await asyncio.gather(*waiting))
    resolver.close()


async def test_closed_resolver_fails() -> None:
    resolver = Resolver(Policy(), lookup=lambda name: ["8.8.8.8"])
    resolver.close()
    with pytest.raises(ConnectFailed):
        await resolve_url(resolver, "wss://agent.example.com/")


def test_system_lookup_knows_localhost() -> None:
    assert set(system_lookup("localhost")) <= {"127.0.0.1", "::1"}
