"""Facts of a call on their way into the database, which may refuse for a while."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from ringback import clock
from ringback.ids import CallUuid
from ringback.machine import SECOND
from ringback.storage.database import StorageUnavailable
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)

_STORE_PAUSE_S = 0.1
_STORE_PAUSE_MAX_S = 5.0
_STORE_PATIENCE_S = 600
"""How long a fact is kept for a database that refuses; the next start completes what was not stored."""


class FactWriter:
    """Writes the facts of one call in order, and again for as long as the database refuses."""

    def __init__(self, call_uuid: CallUuid) -> None:
        self._call_uuid = call_uuid
        self._retrying = asyncio.Lock()

    async def write(self, write: Callable[[], Awaitable[None]]) -> None:
        """Return when the fact is stored.

        Raises:
            StorageUnavailable: the database refused for ten minutes.
        """
        if not self._retrying.locked():
            try:
                await write()
            except StorageUnavailable as error:
                _log.warning("fact of a call not stored yet", call_uuid=self._call_uuid, error=str(error))
            else:
                return
        # Facts queue up here behind the first one that was refused.
        async with self._retrying:
            give_up_at = clock.now() + _STORE_PATIENCE_S * SECOND
            pause_s = _STORE_PAUSE_S
            while True:
                try:
                    await write()
                except StorageUnavailable:
                    if clock.now() >= give_up_at:
                        _log.error("fact of a call lost", call_uuid=self._call_uuid)
                        raise
                else:
                    return
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _STORE_PAUSE_MAX_S)
