"""Callbacks of the API and of documents on their way into the outbox."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from ringback import clock, ids
from ringback.accounts.account import Account
from ringback.storage.database import Database
from ringback.webhooks.fetcher import Callback
from ringback.webhooks.store import OutboundCallback, enqueue, replay


class OutboxCallbacks:
    """Fulfils `api.ports.CallbacksPort` and `callflow.port.CallbackPort` with the outbox."""

    def __init__(self, database: Database, wake: Callable[[], None]) -> None:
        self._database = database
        self._wake = wake

    async def deliver(self, account: Account, url: str, method: str, params: Mapping[str, str]) -> None:
        """Queue one signed callback; it is durable when this returns."""
        callback = OutboundCallback(
            kind="api",
            account_id=account.auth_id,
            call_uuid=ids.new_uuid(),
            url=url,
            method=method,
            params=dict(params),
        )
        await self._enqueue(callback)

    async def send(self, callback: Callback) -> None:
        """Queue a callback of a call's document; it is durable when this returns."""
        params = callback.params
        await self._enqueue(
            OutboundCallback(
                kind=callback.kind.value,
                account_id=callback.account_id,
                call_uuid=callback.call_uuid,
                url=callback.url,
                method=callback.method,
                params=dict(params.items() if isinstance(params, Mapping) else params),
                is_private=callback.is_private,
            )
        )

    async def _enqueue(self, callback: OutboundCallback) -> None:
        await self._database.write(lambda session: enqueue(session, callback))
        self._wake()

    async def replay(self, account: Account, event_id: str) -> bool:
        """Queue a finished callback of the account again."""
        wall_ms = clock.wall_ms()
        is_queued = await self._database.write(lambda session: replay(session, event_id, wall_ms, account.auth_id))
        self._wake()
        return is_queued
