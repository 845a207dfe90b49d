"""Asks DNS what `sip.resolve` wants to know."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ringback import clock
from ringback.sip.flow import Target, Transport
from ringback.sip.resolve import AnswerCache, DnsAnswer, DnsKind, DnsQuestion, locate
from ringback.sip.settings import SipSettings
from ringback.sip.uri import parse_uri

if TYPE_CHECKING:
    from ringback.sip.transport.name_servers import NameServers

ADDRESS_TTL_MS = 30_000
"""How long an answer that tells no time to live is kept."""
_MAX_QUERIES = 64


class Resolver:
    """Turns URIs into targets; answers are cached, concurrent questions bounded.

    Addresses come from the system (hosts file included) unless name servers are configured; NAPTR and SRV always come
    from DNS, and are not asked for names without a dot.
    """

    def __init__(self, settings: SipSettings, chance: Callable[[], float]) -> None:
        self._settings = settings
        self._chance = chance
        self._cache = AnswerCache()
        self._slots = asyncio.Semaphore(_MAX_QUERIES)
        self._name_servers: NameServers | None = None

    async def resolve(
        self, uri_text: str, transports: Sequence[Transport], kinds: Sequence[DnsKind]
    ) -> tuple[Target, ...]:
        """Return the targets of a URI, best first.

        Raises:
            MalformedSip: the URI cannot be read.
            TargetNotFound: it leads to no address that we can send to.
        """
        steps = locate(parse_uri(uri_text), transports, self._chance, kinds)
        try:
            questions = next(steps)
            while True:
                answers = await asyncio.gather(*(self._answer(question) for question in questions))
                questions = steps.send(tuple(answers))
        except StopIteration as done:
            targets: tuple[Target, ...] = done.value
            return targets

    async def _answer(self, question: DnsQuestion) -> DnsAnswer:
        cached = self._cache.fresh(clock.now(), question)
        if cached is not None:
            return cached
        async with self._slots:
            answer = await self._ask(question)
        return self._cache.settle(clock.now(), question, answer)

    async def _ask(self, question: DnsQuestion) -> DnsAnswer:
        is_address = question.kind in (DnsKind.A, DnsKind.AAAA)
        if is_address and not self._settings.dns_servers:
            return await self._ask_system(question)
        if not is_address and "." not in question.name.removeprefix("_sip._udp.").removeprefix("_sip._tcp."):
            return DnsAnswer(ttl_ms=ADDRESS_TTL_MS)
        return await self._ask_dns(question)

    async def _ask_system(self, question: DnsQuestion) -> DnsAnswer:
        family = socket.AF_INET if question.kind is DnsKind.A else socket.AF_INET6
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(self._settings.dns_timeout_ms / 1_000):
                found = await loop.getaddrinfo(question.name, None, family=family, type=socket.SOCK_DGRAM)
        except socket.gaierror as error:
            return DnsAnswer(has_failed=error.errno == socket.EAI_AGAIN)
        except (OSError, TimeoutError, UnicodeError):
            return DnsAnswer(has_failed=True)
        addresses = tuple(dict.fromkeys(str(entry[4][0]) for entry in found))
        return DnsAnswer(addresses=addresses, ttl_ms=ADDRESS_TTL_MS)

    async def _ask_dns(self, question: DnsQuestion) -> DnsAnswer:
        if self._name_servers is None:
            # Imported here: 2 MB of memory that a server without trunks by name never needs.
            from ringback.sip.transport.name_servers import NameServers

            self._name_servers = NameServers(self._settings.dns_servers)
        return await self._name_servers.ask(question, self._settings.dns_timeout_ms / 1_000)
