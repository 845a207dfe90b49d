"""An outbox with all it needs: a database, a customer's server, and senders that come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from ringback.egress.http import HttpClient
from ringback.egress.policy import Mode, Policy
from ringback.egress.resolve import Resolver
from ringback.storage.database import Database
from ringback.webhooks import store
from ringback.webhooks.outbox import OutboxSender, OutboxSettings
from ringback.webhooks.retry import DeliveryRules
from ringback.webhooks.signature import SigningKeys
from ringback.webhooks.store import OutboundCallback, enqueue
from tests.support.flow_call import ListTimeline
from tests.support.http_server import ScriptedServer, http_server

KEYS = SigningKeys(("token",))
QUICK = OutboxSettings(delivery=DeliveryRules(first_ms=40, longest_ms=80), poll_ms=20)


@dataclass
class Office:
    """A database, a customer's server, and senders that come and go."""

    database: Database
    http: HttpClient
    server: ScriptedServer
    timeline: ListTimeline = field(default_factory=ListTimeline)
    accounts: dict[str, SigningKeys] = field(default_factory=lambda: {"MA1": KEYS})

    async def keys(self, account_id: str) -> SigningKeys | None:
        return self.accounts.get(account_id)

    @asynccontextmanager
    async def sender(self, settings: OutboxSettings = QUICK) -> AsyncIterator[OutboxSender]:
        made = OutboxSender(self.database, self.http, self.timeline, settings, self.keys, chance=lambda: 0.5)
        made.start()
        yield made
        await made.close()
        assert made.in_flight == 0

    def callback(self, call_uuid: str = "c1", path: str = "/hangup", **params: str) -> OutboundCallback:
        return OutboundCallback("hangup", "MA1", call_uuid, self.server.url(path), "POST", params)

    async def put(self, *callbacks: OutboundCallback) -> list[str]:
        return await self.database.write(lambda session: [enqueue(session, callback) for callback in callbacks])

    async def counts(self) -> store.OutboxCounts:
        return await self.database.read(store.counts)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(20):
            while not condition():  # noqa: ASYNC110 - the condition is about another task's writes
                await asyncio.sleep(0.005)

    async def until_idle(self) -> None:
        async with asyncio.timeout(20):
            while (await self.counts()).pending:  # noqa: ASYNC110 - rows change in the database, there is no event
                await asyncio.sleep(0.005)

    def forms(self) -> list[dict[str, str]]:
        return [dict(seen.form) for seen in self.server.seen]


@asynccontextmanager
async def office_on(database: Database) -> AsyncIterator[Office]:
    """Run an office on an open database."""
    resolver = Resolver(Policy(Mode.DEV))
    http = HttpClient(resolver)
    async with http_server() as server:
        yield Office(database, http, server)
        await http.close()
    resolver.close()
