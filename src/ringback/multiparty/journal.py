"""What happened in multiparty calls, stored together with the callbacks that report it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

from ringback import clock
from ringback.calls.live import LiveCall
from ringback.ids import CallUuid
from ringback.machine import SECOND
from ringback.multiparty import store
from ringback.multiparty.calls import Multiparty, MultipartyCalls, Seat, StatusUrl
from ringback.multiparty.views import ParticipantView
from ringback.storage.database import Database, Session, StorageUnavailable
from ringback.telemetry.logs import get_logger
from ringback.webhooks.fetcher import CallbackKind
from ringback.webhooks.store import OutboundCallback, enqueue

_log = get_logger(__name__)
_STORE_PAUSE_S = 0.2
_STORE_PATIENCE_S = 600


@dataclass(slots=True)
class _OfCall:
    """What happened to one call."""

    call: LiveCall
    participants: dict[str, ParticipantView] = field(default_factory=dict)
    callbacks: list[OutboundCallback] = field(default_factory=list)


@dataclass(slots=True)
class Facts:
    """What happened at once in one multiparty call, by the calls to which it happened."""

    calls: dict[CallUuid, _OfCall] = field(default_factory=dict)

    def note(self, seat: Seat) -> None:
        """Store how a participant is now."""
        self._of(seat.call).participants[seat.participant.member_id] = seat.view()

    def left(self, call: LiveCall, view: ParticipantView) -> None:
        """Store how a participant has left."""
        self._of(call).participants[view.member_id] = view

    def tell(self, call: LiveCall, callback: OutboundCallback) -> None:
        """Send a callback, in order with the others of its call."""
        self._of(call).callbacks.append(callback)

    def _of(self, call: LiveCall) -> _OfCall:
        return self.calls.setdefault(call.call_uuid, _OfCall(call))


class Journal:
    """Writes facts: one transaction for what happened to one call at once, callbacks included."""

    def __init__(self, database: Database, calls: MultipartyCalls, wake_outbox: Callable[[], None]) -> None:
        self._database = database
        self._calls = calls
        self._wake_outbox = wake_outbox

    def write(self, multiparty: Multiparty, facts: Facts) -> None:
        """Store facts, each in its call's order, again for as long as the database refuses; return at once."""
        for of_call in facts.calls.values():
            multiparty.unstored += 1
            of_call.call.store(partial(self._write, multiparty, of_call))

    async def _write(self, multiparty: Multiparty, facts: _OfCall) -> None:
        # As it is now: what was refused for a while must not undo what was stored meanwhile.
        view = multiparty.view()
        known = ((multiparty.participant(member_id), old) for member_id, old in facts.participants.items())
        participants = [now or old for now, old in known]

        def work(session: Session) -> None:
            store.save(session, multiparty.account_id, view, participants)
            for callback in facts.callbacks:
                enqueue(session, callback)

        await self._database.write(work)
        multiparty.unstored -= 1
        self._calls.stored(multiparty)
        if facts.callbacks:
            self._wake_outbox()

    async def tell(self, account_id: str, call_uuid: str, status: StatusUrl, params: Mapping[str, str]) -> None:
        """Send a callback about a call that need not be live, again for as long as the database refuses."""
        callback = OutboundCallback(
            kind=CallbackKind.MULTIPARTY.value,
            account_id=account_id,
            call_uuid=call_uuid,
            url=status.url,
            method=status.method,
            params=params,
            event_id=f"{call_uuid}:{params['EventName']}",
        )
        give_up_at = clock.now() + _STORE_PATIENCE_S * SECOND
        while True:
            try:
                await self._database.write(lambda session: enqueue(session, callback))
            except StorageUnavailable as error:
                if clock.now() >= give_up_at:
                    _log.error("callback of a multiparty call lost", call_uuid=call_uuid, error=str(error))
                    return
                await asyncio.sleep(_STORE_PAUSE_S)
            else:
                self._wake_outbox()
                return
