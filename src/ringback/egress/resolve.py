"""Names to checked addresses: a small pool of resolver threads, and the policy applied to every answer.

The pool is its own because the loop's default executor is shared: one slow name server would hold up everything else.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from ipaddress import ip_address

from ringback.egress.errors import AddressRefused, ConnectFailed, FailureClass
from ringback.egress.policy import CheckedUrl, IpAddress, Policy, check_address, check_url

Lookup = Callable[[str], list[str]]
"""Returns the numeric addresses of a name, blocking; raises `OSError` when there is none."""


@dataclass(frozen=True, slots=True)
class ResolverSettings:
    """Bounds of name resolution (reference: reliability.md section 4)."""

    threads: int = 8
    waiting_max: int = 256
    """Look-ups that may wait for a thread; one more fails at once."""
    timeout_ms: int = 2_000
    addresses_max: int = 4
    """Addresses that are judged and tried per name."""


def system_lookup(name: str) -> list[str]:
    """Return the addresses of `name` by the operating system's rules, in its order of preference."""
    found = socket.getaddrinfo(name, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class Resolver:
    """Turns checked URLs into addresses that the policy accepts.

    State: `close` frees the threads; a look-up that hangs holds its thread, and nothing else, until it ends.
    """

    def __init__(
        self, policy: Policy, settings: ResolverSettings | None = None, lookup: Lookup = system_lookup
    ) -> None:
        self.policy = policy
        self._settings = settings or ResolverSettings()
        self._lookup = lookup
        self._pool = ThreadPoolExecutor(self._settings.threads, thread_name_prefix="egress-resolver")
        self._running = 0

    @property
    def running_lookups(self) -> int:
        """Return how many look-ups wait or run."""
        return self._running

    async def addresses(self, url: CheckedUrl) -> tuple[IpAddress, ...]:
        """Return the addresses at which `url` may be requested, at least one and at most `addresses_max`.

        Raises:
            ConnectFailed: the name has no address, or no answer came in time.
            AddressRefused: the policy forbids one of them: a name with a good and a bad address is an attack.
        """
        if url.literal is not None:
            check_address(self.policy, url, url.literal)
            return (url.literal,)
        found = [ip_address(text.partition("%")[0]) for text in await self._look_up(url.host)]
        found = found[: self._settings.addresses_max]
        if not found:
            raise ConnectFailed(f"{url.host} has no address", FailureClass.DNS)
        for address in found:
            check_address(self.policy, url, address)
        return tuple(found)

    def close(self) -> None:
        """Free the threads; look-ups that have not begun are dropped."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    async def _look_up(self, host: str) -> list[str]:
        if self._running >= self._settings.threads + self._settings.waiting_max:
            raise ConnectFailed("too many name look-ups wait", FailureClass.DNS)
        loop = asyncio.get_running_loop()
        try:
            work = self._pool.submit(self._lookup, host)
        except RuntimeError:
            raise ConnectFailed("the resolver is closed", FailureClass.DNS) from None
        self._running += 1
        work.add_done_callback(lambda _: _call_soon(loop, self._finished))
        try:
            async with asyncio.timeout(self._settings.timeout_ms / 1000):
                return await asyncio.wrap_future(work)
        except TimeoutError:
            message = f"no answer for {host} within {self._settings.timeout_ms} ms"
            raise ConnectFailed(message, FailureClass.DNS) from None
        except (OSError, UnicodeError) as error:
            hint = "the name does not exist or the name server does not answer"
            raise ConnectFailed(f"cannot resolve {host}: {error}", FailureClass.DNS, hint=hint) from None

    def _finished(self) -> None:
        self._running -= 1


async def resolve_url(
    resolver: Resolver, url: str, schemes: Iterable[str] = ("wss", "ws")
) -> tuple[CheckedUrl, tuple[tuple[str, int], ...]]:
    """Return `url` taken apart and the `(address, port)` pairs at which it may be requested.

    For connections that another process makes, such as a stream's WebSocket: it must use these addresses and no others.

    Raises:
        InvalidUrl: the URL cannot be read or has another scheme.
        AddressRefused: the policy forbids it.
        ConnectFailed: its name does not resolve.
    """
    checked = check_url(resolver.policy, url.partition("#")[0], schemes)
    addresses = await resolver.addresses(checked)
    if not addresses:
        raise AddressRefused("no address is left")
    return checked, tuple((str(address), checked.port) for address in addresses)


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    try:
        loop.call_soon_threadsafe(callback)
    except RuntimeError:
        # The loop has closed: a look-up outlived its server, and nobody counts any more.
        pass
