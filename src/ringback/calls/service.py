"""Every live call of the node: making them, taking them in, looking them up, ending them.

Fulfils `api.ports.CallsPort` and `calls.live.CallKeeper`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence

from ringback import clock
from ringback.accounts.account import Account
from ringback.accounts.application import Application
from ringback.calls import store
from ringback.calls.hangup import Code, HangupSource, hangup
from ringback.calls.live import CallStarter, CallTerms, LiveCall, TransferStarter
from ringback.calls.machine_detection import MachineWatch
from ringback.calls.outbound import NotDialled as NotDialled
from ringback.calls.outbound import OutboundCalls
from ringback.calls.queue import QueuedCall
from ringback.calls.rows import call_facts, call_row
from ringback.calls.settings import CallSettings as CallSettings
from ringback.calls.spoken import NoSpeech, SpeechSource
from ringback.calls.state import State
from ringback.calls.views import (
    CallDirection,
    CallRecord,
    CdrFilters,
    LiveCallFilters,
    LiveCallView,
    LiveStatus,
    MachineDetection,
    MadeCall,
    MakeCall,
    Transfer,
)
from ringback.endpoints.store import find_caller
from ringback.errors import InvalidParameter, NotFound, RingbackError
from ringback.ids import CallUuid
from ringback.media.control.events import MachineJudged, RecordingEvent, StreamEvent
from ringback.numbers.routing import application_for
from ringback.numbers.trunks import GatewayCredentials, Trunk
from ringback.signalling.legs import Legs
from ringback.signalling.sip_leg import SipLeg
from ringback.storage.database import Database, Session
from ringback.telemetry.events import EventSink
from ringback.webhooks.fetcher import CallbackKind
from ringback.webhooks.payloads import machine_params
from ringback.webhooks.store import OutboundCallback, enqueue

_LIVE_STATUS = {
    State.DIALLING: LiveStatus.QUEUED,
    State.RINGING: LiveStatus.RINGING,
    State.IN_PROGRESS: LiveStatus.IN_PROGRESS,
}
_SDK_PATIENCE_S = 0.5
"""How long a hang-up request waits for the call to be gone, so that an immediate look-up finds the CDR."""
_KEPT_SIP_HEADERS = frozenset({"to", "from", "diversion", "p-asserted-identity", "user-agent"})


class StreamRoom:
    """What calls need of the streams room, which stands above; `server.node` sets both."""

    def __init__(
        self,
        handle: Callable[[LiveCall, StreamEvent], None],
        call_gone: Callable[[LiveCall], None],
    ) -> None:
        self.handle = handle
        self.call_gone = call_gone


class RecordingRoom:
    """What calls need of the recordings room, which stands above; `server.node` sets both."""

    def __init__(
        self,
        handle: Callable[[LiveCall, RecordingEvent], None],
        call_gone: Callable[[LiveCall], None],
    ) -> None:
        self.handle = handle
        self.call_gone = call_gone


class CallService:
    """All calls of the node."""

    def __init__(
        self,
        database: Database,
        legs: Legs,
        timeline: EventSink,
        settings: CallSettings,
        trunks: Iterable[Trunk] = (),
        wake_outbox: Callable[[], None] = lambda: None,
    ) -> None:
        self.timeline = timeline
        self.settings = settings
        self.trunks = tuple(trunks)
        self.start_flow: CallStarter | None = None
        self.start_transfer: TransferStarter | None = None
        self.streams: StreamRoom | None = None
        self.speech: SpeechSource = NoSpeech()
        self.recordings: RecordingRoom | None = None
        self._database = database
        self.wake_outbox = wake_outbox
        self.outbound = OutboundCalls(self, database, legs, settings, self.trunks)
        self._machines = MachineWatch(self._start_first_document, self._tell_machine)
        self._live: dict[CallUuid, LiveCall] = {}
        self._arrivals: set[asyncio.Task[None]] = set()
        self._when_gone: dict[CallUuid, Callable[[], None]] = {}

    # ── look-up ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def live_count(self) -> int:
        """Return how many calls have not been completed."""
        return len(self._live)

    def live(self) -> tuple[LiveCall, ...]:
        """Return all calls that have not been completed, oldest first."""
        return tuple(self._live.values())

    def find(self, call_uuid: CallUuid) -> LiveCall | None:
        """Return a live call of any account, or `None`."""
        return self._live.get(call_uuid)

    def find_of(self, account: Account, call_uuid: CallUuid) -> LiveCall | None:
        """Return a live call of the account that is not ending, or `None`."""
        call = self._live.get(call_uuid)
        if call is None or call.account_id != account.auth_id or call.is_over:
            return None
        return call

    async def has_call(self, account: Account, call_uuid: CallUuid) -> bool:
        """Return whether the account has or had this call."""
        call = self._live.get(call_uuid)
        if call is not None:
            return call.account_id == account.auth_id
        return await self._database.read(lambda session: store.has_call(session, account.auth_id, call_uuid))

    async def is_nobodys(self, call_uuid: CallUuid) -> bool:
        """Return whether no account has or had this call: it was refused before one was found, or never came."""
        if call_uuid in self._live or self.outbound.queue.find(call_uuid) is not None:
            return False
        return not await self._database.read(lambda session: store.is_stored(session, call_uuid))

    async def owner_of(self, account: Account, call_uuid: CallUuid) -> Account:
        """Return whose call it is: a subaccount of `account`, else `account`, which then may or may not have it."""
        if account.parent_auth_id is not None:
            return account
        call, waiting = self._live.get(call_uuid), self.outbound.queue.find(call_uuid)
        if call is not None or waiting is not None:
            owner = call.terms.account if call is not None else waiting.account  # type: ignore[union-attr]  # one of both
            return owner if owner.parent_auth_id == account.auth_id else account
        return await self._database.read(lambda session: store.owner_of(session, account, call_uuid))

    async def live_call_uuids(self, account: Account, filters: LiveCallFilters) -> list[CallUuid]:
        """Return one page of calls that have not ended, newest first."""
        views = [_view(call) for call in self._live.values() if call.account_id == account.auth_id and not call.is_over]
        if filters.queued:
            views += map(self.outbound.view, self.outbound.queue.of_account(account.auth_id))
        # Sorting keeps the order of calls of the same millisecond, so the newest come last and are turned round.
        wanted = [view.call_uuid for view in sorted(views, key=_started) if _matches(view, filters)][::-1]
        return wanted[filters.offset : filters.offset + filters.limit]

    async def live_call(self, account: Account, call_uuid: CallUuid) -> LiveCallView | None:
        """Return a call that has not ended, or `None`."""
        if call := self.find_of(account, call_uuid):
            return _view(call)
        waiting = self._waiting_of(account, call_uuid)
        return None if waiting is None else self.outbound.view(waiting)

    def _waiting_of(self, account: Account, call_uuid: CallUuid) -> QueuedCall | None:
        waiting = self.outbound.queue.find(call_uuid)
        return waiting if waiting is not None and waiting.account.auth_id == account.auth_id else None

    async def cdr(self, account: Account, call_uuid: CallUuid) -> CallRecord | None:
        """Return the record of an ended call, or `None`."""
        return await self._database.read(lambda session: store.find_record(session, account.auth_id, call_uuid))

    async def cdrs(
        self, account: Account, filters: CdrFilters, limit: int, offset: int
    ) -> tuple[Sequence[CallRecord], int]:
        """Return one page of call records, newest first, and how many match in all."""
        return await self._database.read(
            lambda session: store.list_records(session, account.auth_id, filters, limit, offset)
        )

    # ── outbound ───────────────────────────────────────────────────────────────────────────────────────────────────

    async def make_call(self, account: Account, request: MakeCall) -> MadeCall:
        """Make one call; raises as `make_calls` does."""
        return await self.make_calls(account, (request,))

    async def make_calls(self, account: Account, requests: Sequence[MakeCall]) -> MadeCall:
        """Store the intent of outbound calls, dial what may be dialled at once, and return their ids in order.

        Raises:
            InvalidParameter: a destination cannot be reached, or the parent call is unknown.
            NotAllowed: a destination is forbidden.
            LimitReached: the node has all the calls it may have, or the queue has no room for these.
        """
        return await self.outbound.make(account, requests)

    async def dial_leg(
        self,
        parent: LiveCall,
        request: MakeCall,
        credentials: tuple[GatewayCredentials, ...] = (),
        unwanted: asyncio.Event | None = None,
    ) -> LiveCall:
        """Dial a leg for the document of `parent` and return it: a call of its own that runs no document.

        Args:
            unwanted: Set when a leg that waits for the pace of its trunk shall not be dialled any more.
        Raises:
            NotDialled: it could not be dialled; its record says why.
        """
        return await self.outbound.dial_leg(parent, request, credentials, unwanted)

    def keep(self, call: LiveCall) -> None:
        """Take a new call in before its leg reports anything."""
        self._live[call.call_uuid] = call

    # ── inbound ────────────────────────────────────────────────────────────────────────────────────────────────────

    def incoming(self, leg: SipLeg) -> None:
        """Take an admitted inbound leg; `Legs.on_incoming`."""
        task = asyncio.create_task(self._take_in_or_refuse(leg), name=f"incoming {leg.call_uuid}")
        self._arrivals.add(task)
        task.add_done_callback(self._arrivals.discard)

    async def _take_in_or_refuse(self, leg: SipLeg) -> None:
        try:
            await self._take_in(leg)
        except Exception as error:
            # Whatever broke, the caller must not ring for ever.
            self._live.pop(CallUuid(leg.call_uuid), None)
            detail = str(error) if isinstance(error, RingbackError) else repr(error)
            self.timeline.record(leg.call_uuid, "call", {"state": "refused", "detail": detail})
            await leg.reject(503, "Service Unavailable", (("Retry-After", "5"),))
            if not isinstance(error, RingbackError):
                raise

    async def _take_in(self, leg: SipLeg) -> None:
        call_uuid = CallUuid(leg.call_uuid)
        if leg.endpoint_id:
            found = await self._database.read(lambda session: find_caller(session, leg.endpoint_id))
        else:
            catch_all = self.settings.catch_all
            found = await self._database.read(lambda session: application_for(session, leg.callee, catch_all))
        if found is None and leg.endpoint_id:
            detail = "the endpoint that calls has no application, or it is disabled"
            fix = "POST /Endpoint/{id}/ with an app_id"
            self.timeline.record(call_uuid, "call", {"state": "refused", "detail": detail, "fix": fix})
            await leg.reject(403, "Forbidden")
            return
        if found is None:
            self.timeline.record(
                call_uuid,
                "call",
                {
                    "state": "refused",
                    "detail": f"no application answers {leg.callee}",
                    "fix": "POST /Number/ with an app_id, or a [[number]] in ringback.toml",
                },
            )
            await leg.reject(404, "Not Found")
            return
        account, application = found
        if self.outbound.is_full or not application.is_enabled:
            self.timeline.record(call_uuid, "call", {"state": "refused", "detail": "no capacity or application off"})
            await leg.reject(503, "Service Unavailable", (("Retry-After", "5"),))
            return
        terms = self._inbound_terms(leg, account, application)
        call = LiveCall(call_uuid, terms, leg, self, State.RINGING)
        self._live[call_uuid] = call
        self.timeline.record(call_uuid, "call", call_facts(terms, State.RINGING, app=application.name))
        row = call_row(call_uuid, terms, State.RINGING)
        await self._database.write(lambda session: store.insert_call(session, row))
        leg.listener = call.handle_leg_event
        if not call.is_over:
            call.spawn(call.ring())
            if self.start_flow is not None:
                self.start_flow(call)

    def _inbound_terms(self, leg: SipLeg, account: Account, application: Application) -> CallTerms:
        return CallTerms(
            account=account,
            direction=CallDirection.INBOUND,
            from_number=leg.caller,
            to_number=leg.callee,
            initiated_wall_ms=clock.wall_ms(),
            answer_url=application.answer_url,
            answer_method=application.answer_method,
            fallback_url=application.fallback_answer_url,
            fallback_method=application.fallback_method,
            hangup_url=application.hangup_url,
            hangup_method=application.hangup_method,
            caller_name=leg.caller_name,
            time_limit_s=self.settings.max_call_s,
            forwarded_from=leg.diverted_from,
            source_ip=leg.source_host,
            trunk=leg.trunk_name,
            sip_headers=tuple((name, value) for name, value in leg.sip_headers if name.lower() in _KEPT_SIP_HEADERS),
            custom_headers=leg.custom_headers,
            hops=self._hops(leg),
        )

    def _hops(self, leg: SipLeg) -> int:
        """Return how many calls of ours lead to this one: our INVITE names the call that it belongs to."""
        named = next((value for name, value in leg.sip_headers if name.lower() == "x-calluuid"), "")
        caller = self._live.get(CallUuid(named))
        return caller.terms.hops + 1 if caller is not None else 0

    # ── control ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def hangup_call(self, account: Account, call_uuid: CallUuid) -> bool:
        """End a waiting, ringing or answered call; `False` when the account has no such call that has not ended."""
        waiting = self._waiting_of(account, call_uuid)
        if waiting is not None:
            await self._cancel_waiting([waiting])
            return True
        call = self.find_of(account, call_uuid)
        if call is None:
            return False
        await self._end_soon([call])
        return True

    async def hangup_all(self, account: Account) -> int:
        """End every call of the account, the waiting ones first; return how many."""
        waiting = self.outbound.queue.of_account(account.auth_id)
        await self._cancel_waiting(waiting)
        calls = [call for call in self._live.values() if call.account_id == account.auth_id and not call.is_over]
        await self._end_soon(calls, Code.UNKNOWN)
        return len(waiting) + len(calls)

    async def cancel_request(self, account: Account, request_uuid: CallUuid) -> bool:
        """End an outbound call that has not been answered; `False` when there is none."""
        call = self.find_of(account, request_uuid)
        if call is not None and (call.is_inbound or call.is_answered):
            return False
        return await self.hangup_call(account, request_uuid)

    async def _cancel_waiting(self, waiting: Sequence[QueuedCall]) -> None:
        reason = hangup(Code.CANCELED, HangupSource.API)
        await self.outbound.queue.cancel(waiting, reason)
        # One that was being dialled at that moment has become a live call.
        dialled = [self._live.get(call.call_uuid) for call in waiting]
        await self._end_soon([call for call in dialled if call is not None and not call.is_over])

    async def _end_soon(self, calls: Sequence[LiveCall], answered_code: Code = Code.NORMAL) -> None:
        """Ask the calls to end, and wait a little: a peer that does not answer a BYE must not hold the API request."""
        for call in calls:
            code = answered_code if call.is_answered else Code.CANCELED
            call.spawn(call.end(code, HangupSource.API))
        if calls:
            waiting = [asyncio.create_task(call.wait_over()) for call in calls]
            _, pending = await asyncio.wait(waiting, timeout=_SDK_PATIENCE_S)
            for task in pending:
                task.cancel()

    async def transfer(self, account: Account, call_uuid: CallUuid, transfer: Transfer) -> None:
        """Give a live call a new document.

        Raises:
            NotFound: no such live call.
            InvalidParameter: the leg does not exist.
        """
        call = self.find_of(account, call_uuid)
        if call is None:
            raise NotFound("not found")
        wanted: list[tuple[LiveCall, str, str]] = []
        if transfer.legs in ("aleg", "both"):
            wanted.append((call, transfer.aleg_url, transfer.aleg_method))
        if transfer.legs in ("bleg", "both"):
            if call.partner is None:
                raise InvalidParameter(
                    f"legs parameter is invalid: {transfer.legs}, but the call has no B leg",
                    hint="use legs=aleg",
                    field="legs",
                )
            wanted.append((call.partner, transfer.bleg_url, transfer.bleg_method))
        for leg, _, _ in wanted:
            if leg.terms.is_dialled and leg.bridge is None and not leg.runs_document:
                raise InvalidParameter(
                    "legs parameter is invalid: the leg is being dialled", hint="wait for its answer", field="legs"
                )
        if len(wanted) == 2:
            # A dialled leg leaves first: it would be hung up with the document that dialled it. That document is then
            # replaced before it can go on.
            for leg, _, _ in wanted:
                if not leg.runs_document and leg.bridge is not None:
                    leg.bridge.detach(leg)
            wanted.sort(key=lambda each: not each[0].runs_document)
        for leg, url, method in wanted:
            await leg.transfer(url, method)

    async def close(self) -> None:
        """End every call and return when all CDRs are written; waiting calls are left to the next server."""
        await self.outbound.queue.close()
        if self._arrivals:
            # A call that is being taken in gets its record first.
            await asyncio.wait(self._arrivals, timeout=1)
        for task in tuple(self._arrivals):
            task.cancel()
        calls = self.live()
        for call in calls:
            call.spawn(call.end(Code.INTERNAL_ERROR, HangupSource.PLATFORM, detail="the server shuts down"))
        if calls:
            await asyncio.wait([asyncio.create_task(call.wait_over()) for call in calls], timeout=5)

    async def close_orphans(self) -> list[str]:
        """Give every call that an earlier server left open its CDR and its hang-up callback.

        Return the dialogs of those that were answered: their far parties still wait.
        """
        now_wall_ms = clock.wall_ms()
        orphans = await self._database.write(
            lambda session: store.close_orphaned_calls(session, now_wall_ms, self.settings)
        )
        for call_uuid, _ in orphans:
            self.timeline.record(
                call_uuid, "call", {"state": "ended", "code": int(Code.INTERNAL_ERROR), "detail": "server restart"}
            )
        if orphans:
            self.wake_outbox()
        return [dialog for _, dialog in orphans if dialog]

    # ── what live calls report ─────────────────────────────────────────────────────────────────────────────────────

    def call_answered(self, call: LiveCall) -> None:
        """Start the document of an outbound call, or first find out who answered."""
        if call.is_inbound or call.terms.is_dialled:
            return
        if call.terms.machine_detection is not None:
            self._machines.begin(call, call.terms.machine_detection)
        else:
            self._start_first_document(call)

    def machine_judged(self, call: LiveCall, event: MachineJudged) -> None:
        """Act on who answered."""
        self._machines.judged(call, event)

    def _start_first_document(self, call: LiveCall) -> None:
        if self.start_flow is not None:
            self.start_flow(call)

    async def _tell_machine(self, call: LiveCall, detection: MachineDetection) -> None:
        params = machine_params(call.facts, hangs_up=detection.hangs_up)
        callback = _callback(CallbackKind.MACHINE, call, detection.url, detection.method, params)
        await self._database.write(lambda session: enqueue(session, callback))
        self.wake_outbox()

    def start_document(self, call: LiveCall, url: str, method: str) -> None:
        """Run the document of a transfer for a dialled call."""
        if self.start_transfer is not None and not call.is_over:
            self.start_transfer(call, url, method)

    async def store_answer(self, call: LiveCall) -> None:
        """Make the answer durable."""
        columns = {"answered_wall_ms": call.answered_wall_ms, "dialog": call.leg.dialog_text()}
        await self._database.write(
            lambda session: store.update_call(session, call.call_uuid, state=State.IN_PROGRESS.value, **columns)
        )

    async def store_ringing(self, call: LiveCall) -> None:
        """Make the ringing durable, together with its callback."""
        params = call.ring_params()

        def work(session: Session) -> None:
            store.update_call(session, call.call_uuid, state=State.RINGING.value)
            if call.terms.ring_url:
                enqueue(
                    session, _callback(CallbackKind.RING, call, call.terms.ring_url, call.terms.ring_method, params)
                )

        await self._database.write(work)
        if call.terms.ring_url:
            self.wake_outbox()

    async def store_end(self, call: LiveCall) -> None:
        """Write the CDR and the hang-up callback in one transaction."""
        reason = call.ending
        assert reason is not None
        params = call.hangup_params()
        seconds = call.call_seconds
        ended_wall_ms = call.ended_wall_ms or clock.wall_ms()

        def work(session: Session) -> None:
            is_first = store.complete_call(
                session,
                call.call_uuid,
                reason,
                call_status=call.final_status,
                answered_wall_ms=call.answered_wall_ms,
                ended_wall_ms=ended_wall_ms,
                call_duration_s=seconds,
                rates=self.settings.rates,
            )
            if is_first and call.terms.hangup_url:
                enqueue(
                    session,
                    _callback(CallbackKind.HANGUP, call, call.terms.hangup_url, call.terms.hangup_method, params),
                )

        await self._database.write(work)
        if call.terms.hangup_url:
            self.wake_outbox()

    def forget(self, call: LiveCall) -> None:
        """Let go of a call that is over and stored."""
        self._live.pop(call.call_uuid, None)
        self.outbound.queue.wake()
        self.gone(call.call_uuid)

    def when_gone(self, call_uuid: CallUuid, do: Callable[[], None]) -> None:
        """Call `do` once the call has its record; at once when it has it already."""
        if call_uuid in self._live or self.outbound.queue.find(call_uuid) is not None:
            self._when_gone[call_uuid] = do
        else:
            do()

    def gone(self, call_uuid: CallUuid) -> None:
        """Tell whoever waits for it that a call has its record."""
        do = self._when_gone.pop(call_uuid, None)
        if do is not None:
            do()

    def stream_event(self, call: LiveCall, event: StreamEvent) -> None:
        """Hand a stream's event to its room."""
        if self.streams is not None:
            self.streams.handle(call, event)

    def recording_event(self, call: LiveCall, event: RecordingEvent) -> None:
        """Hand a recording's event to its room."""
        if self.recordings is not None:
            self.recordings.handle(call, event)

    def streams_gone(self, call: LiveCall) -> None:
        """Tell the rooms of streams and recordings that the call's media session is closed."""
        if self.recordings is not None:
            self.recordings.call_gone(call)
        if self.streams is not None:
            self.streams.call_gone(call)


def _view(call: LiveCall) -> LiveCallView:
    return LiveCallView(
        call_uuid=call.call_uuid,
        status=_LIVE_STATUS[call.state],
        direction=call.terms.direction,
        from_number=call.terms.from_number,
        to_number=call.terms.to_number,
        started_wall_ms=call.terms.initiated_wall_ms,
        caller_name=call.terms.caller_name,
        parent_call_uuid=call.terms.parent_call_uuid,
    )


def _started(view: LiveCallView) -> int:
    return view.started_wall_ms


def _matches(view: LiveCallView, filters: LiveCallFilters) -> bool:
    return (
        (view.status is LiveStatus.QUEUED) == filters.queued
        and filters.direction in (None, view.direction)
        and view.from_number.lstrip("+").startswith(filters.from_number.lstrip("+"))
        and view.to_number.lstrip("+").startswith(filters.to_number.lstrip("+"))
    )


def _callback(kind: CallbackKind, call: LiveCall, url: str, method: str, params: dict[str, str]) -> OutboundCallback:
    return OutboundCallback(
        kind=kind.value,
        account_id=call.account_id,
        call_uuid=call.call_uuid,
        url=url,
        method=method,
        params=params,
        event_id=f"{call.call_uuid}:{kind.value}",
    )
