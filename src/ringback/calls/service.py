"""Every live call of the node: making them, taking them in, looking them up, ending them.

Fulfils `api.ports.CallsPort` and `calls.live.CallKeeper`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from ringback import clock, ids
from ringback.accounts.account import Account
from ringback.accounts.application import Application
from ringback.billing.rating import RateTable, amount, money
from ringback.calls import store
from ringback.calls.hangup import Code, HangupSource, hangup
from ringback.calls.live import CallStarter, CallTerms, LiveCall
from ringback.calls.models import CallRow
from ringback.calls.state import State
from ringback.calls.views import (
    CallDirection,
    CallRecord,
    CdrFilters,
    LiveCallFilters,
    LiveCallView,
    LiveStatus,
    MadeCall,
    MakeCall,
    Transfer,
)
from ringback.errors import InvalidParameter, LimitReached, NotFound, RingbackError
from ringback.ids import AccountId, AppId, CallUuid
from ringback.media.control.events import StreamEvent
from ringback.numbers.routing import application_for
from ringback.numbers.trunks import Trunk, route_outbound
from ringback.signalling.errors import TooManyLegs
from ringback.signalling.events import DialRequest
from ringback.signalling.identity import check_address
from ringback.signalling.legs import Legs
from ringback.signalling.sip_leg import SipLeg
from ringback.storage.database import Database, Session
from ringback.telemetry.events import EventSink
from ringback.webhooks.fetcher import CallbackKind
from ringback.webhooks.store import OutboundCallback, enqueue

_LIVE_STATUS = {
    State.DIALLING: LiveStatus.QUEUED,
    State.RINGING: LiveStatus.RINGING,
    State.IN_PROGRESS: LiveStatus.IN_PROGRESS,
}
_SDK_PATIENCE_S = 0.5
"""How long a hang-up request waits for the call to be gone, so that an immediate look-up finds the CDR."""
_KEPT_SIP_HEADERS = frozenset({"to", "from", "diversion", "p-asserted-identity", "user-agent"})


@dataclass(frozen=True, slots=True)
class CallSettings:
    """Bounds and addresses of the node.

    `own_address`: host and port under which this node is called for its own numbers.
    """

    own_address: str = "127.0.0.1:5060"
    maximum_calls: int = 1_000
    max_call_s: int = 14_400
    allowed_prefixes: tuple[str, ...] = ()
    catch_all: tuple[AccountId, AppId] | None = None


class StreamRoom:
    """What calls need of the streams room, which stands above; `server.py` sets both."""

    def __init__(
        self,
        handle: Callable[[LiveCall, StreamEvent], None],
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
        rates: RateTable | None = None,
        wake_outbox: Callable[[], None] = lambda: None,
    ) -> None:
        self.timeline = timeline
        self.settings = settings
        self.trunks = tuple(trunks)
        self.rates = rates or RateTable()
        self.start_flow: CallStarter | None = None
        self.streams: StreamRoom | None = None
        self._database = database
        self._legs = legs
        self._wake_outbox = wake_outbox
        self._live: dict[CallUuid, LiveCall] = {}
        self._beginning = 0
        self._arrivals: set[asyncio.Task[None]] = set()

    # ── look-up ────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def live_count(self) -> int:
        """Return how many calls have not been completed."""
        return len(self._live)

    @property
    def _is_full(self) -> bool:
        return self.live_count + self._beginning >= self.settings.maximum_calls

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

    async def live_call_uuids(self, account: Account, filters: LiveCallFilters) -> list[CallUuid]:
        """Return one page of calls that have not ended, newest first."""
        wanted = [call.call_uuid for call in reversed(self._live.values()) if _matches(call, account, filters)]
        return wanted[filters.offset : filters.offset + filters.limit]

    async def live_call(self, account: Account, call_uuid: CallUuid) -> LiveCallView | None:
        """Return a call that has not ended, or `None`."""
        call = self.find_of(account, call_uuid)
        if call is None:
            return None
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
        """Store the intent of an outbound call, dial, and return its id.

        Raises:
            InvalidParameter: no trunk takes the number, or the parent call is unknown.
            LimitReached: the node has all the calls it may have.
        """
        if self._is_full:
            raise LimitReached(f"{self.live_count} calls are live, at most {self.settings.maximum_calls}")
        # What is being made counts too: requests that arrive together must not pass the bound together.
        self._beginning += 1
        try:
            return await self._make_call(account, request)
        finally:
            self._beginning -= 1

    async def _make_call(self, account: Account, request: MakeCall) -> MadeCall:
        call_uuid = CallUuid(ids.new_uuid())
        dial = await self._route(account, request, call_uuid)
        parent = CallUuid(request.parent_call_uuid)
        if parent and request.error_if_parent_not_found and not await self.has_call(account, parent):
            raise InvalidParameter(f"parent_call_uuid parameter is invalid: no call {parent}", field="parent_call_uuid")
        terms = CallTerms(
            account=account,
            direction=CallDirection.OUTBOUND,
            from_number=request.from_number,
            to_number=request.to,
            initiated_wall_ms=clock.wall_ms(),
            answer_url=request.answer_url,
            answer_method=request.answer_method,
            fallback_url=request.fallback_url,
            fallback_method=request.fallback_method,
            ring_url=request.ring_url,
            ring_method=request.ring_method,
            hangup_url=request.hangup_url,
            hangup_method=request.hangup_method,
            caller_name=request.caller_name,
            parent_call_uuid=request.parent_call_uuid,
            time_limit_s=min(request.time_limit_s, self.settings.max_call_s),
            send_digits=request.send_digits,
            send_on_preanswer=request.send_on_preanswer,
            hangup_on_ring_s=request.hangup_on_ring_s,
            trunk=dial.trunk_name,
            custom_headers=request.sip_headers,
        )
        await self._database.write(lambda session: store.insert_call(session, _row(call_uuid, terms, State.DIALLING)))
        self._note(call_uuid, terms, State.DIALLING)
        try:
            leg = self._legs.dial(dial)
        except TooManyLegs as error:
            await self._complete_undialled(call_uuid, Code.CONCURRENCY_LIMIT, str(error))
            raise LimitReached(str(error)) from error
        except Exception as error:
            await self._complete_undialled(call_uuid, Code.INTERNAL_ERROR, str(error))
            raise
        call = LiveCall(call_uuid, terms, leg, self, State.DIALLING)
        self._live[call_uuid] = call
        leg.listener = call.handle_leg_event
        return MadeCall((call_uuid,))

    async def _route(self, account: Account, request: MakeCall, call_uuid: CallUuid) -> DialRequest:
        """Return how to reach `request.to`: a SIP URI directly, an own number through our own door, else a trunk."""
        if ":" in request.from_number:
            check_address("from", request.from_number, ("sip", "sips", "tel"))
        common = DialRequest(
            call_uuid=call_uuid,
            request_uri=request.to,
            from_uri=request.from_number,
            from_display=request.caller_name,
            custom_headers=request.sip_headers,
            ring_timeout_ms=request.ring_timeout_s * 1000,
        )
        if request.to.lower().startswith("sips:"):
            raise InvalidParameter(
                "to parameter is invalid: sips: needs TLS, which this version does not speak",
                hint="call a sip: URI",
                field="to",
            )
        if request.to.lower().startswith("sip:"):
            check_address("to", request.to, ("sip",))
            return replace(common, is_customers_uri=True)
        if self.settings.allowed_prefixes and not request.to.startswith(self.settings.allowed_prefixes):
            raise InvalidParameter(
                f"to parameter is invalid: calls to {request.to} are not allowed",
                hint="limits.allowed_prefixes lists what may be called",
                field="to",
            )
        route = route_outbound(self.trunks, request.to, ids.chance)
        if route is not None:
            return replace(
                common,
                request_uri=route.request_uri,
                from_uri=route.trunk.caller_id or request.from_number,
                targets=route.gateways,
                credentials=route.trunk.credentials,
                headers=route.trunk.headers,
                trunk_name=route.trunk.name,
                codecs=route.trunk.codecs,
                nat=route.trunk.nat,
                ring_timeout_ms=min(common.ring_timeout_ms, route.trunk.ringing_timeout_ms or common.ring_timeout_ms),
            )
        owned = await self._database.read(lambda session: application_for(session, request.to, self.settings.catch_all))
        if owned is not None:
            return replace(common, request_uri=f"sip:{request.to}@{self.settings.own_address}")
        raise InvalidParameter(
            f"to parameter is invalid: no trunk takes {request.to}",
            hint="add a [[trunk]] to ringback.toml, or call a sip: URI",
            field="to",
        )

    async def _complete_undialled(self, call_uuid: CallUuid, code: Code, detail: str) -> None:
        reason = hangup(code, HangupSource.PLATFORM, detail)
        ended_wall_ms = clock.wall_ms()
        await self._database.write(
            lambda session: store.complete_call(
                session,
                call_uuid,
                reason,
                call_status=reason.status,
                answered_wall_ms=None,
                ended_wall_ms=ended_wall_ms,
                call_duration_s=0,
                total_amount=money(amount(0, self.rates.call_per_minute)),
                total_rate=money(self.rates.call_per_minute),
            )
        )

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
        found = await self._database.read(lambda session: application_for(session, leg.callee, self.settings.catch_all))
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
        if self._is_full or not application.is_enabled:
            self.timeline.record(call_uuid, "call", {"state": "refused", "detail": "no capacity or application off"})
            await leg.reject(503, "Service Unavailable", (("Retry-After", "5"),))
            return
        terms = self._inbound_terms(leg, account, application)
        call = LiveCall(call_uuid, terms, leg, self, State.RINGING)
        self._live[call_uuid] = call
        self._note(call_uuid, terms, State.RINGING, app=application.name)
        await self._database.write(lambda session: store.insert_call(session, _row(call_uuid, terms, State.RINGING)))
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
        )

    # ── control ────────────────────────────────────────────────────────────────────────────────────────────────────

    async def hangup_call(self, account: Account, call_uuid: CallUuid) -> bool:
        """End a ringing or answered call; `False` when the account has no such live call."""
        call = self.find_of(account, call_uuid)
        if call is None:
            return False
        await self._end_soon([call])
        return True

    async def hangup_all(self, account: Account) -> int:
        """End every call of the account; return how many."""
        calls = [call for call in self._live.values() if call.account_id == account.auth_id and not call.is_over]
        await self._end_soon(calls, Code.UNKNOWN)
        return len(calls)

    async def cancel_request(self, account: Account, request_uuid: CallUuid) -> bool:
        """End an outbound call that has not been answered; `False` when there is none."""
        call = self.find_of(account, request_uuid)
        if call is None or call.is_inbound or call.is_answered:
            return False
        await self._end_soon([call])
        return True

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
        if transfer.legs != "aleg":
            raise InvalidParameter(
                f"legs parameter is invalid: {transfer.legs}, but the call has no B leg",
                hint="use legs=aleg",
                field="legs",
            )
        await call.transfer(transfer.aleg_url, transfer.aleg_method)

    async def close(self) -> None:
        """End every call and return when all CDRs are written."""
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

    async def close_orphans(self) -> int:
        """Give every call that an earlier server left open its CDR and its hang-up callback; return how many."""
        now_wall_ms = clock.wall_ms()
        orphans = await self._database.write(lambda session: store.close_orphaned_calls(session, now_wall_ms))
        for call_uuid in orphans:
            self.timeline.record(
                call_uuid, "call", {"state": "ended", "code": int(Code.INTERNAL_ERROR), "detail": "server restart"}
            )
        if orphans:
            self._wake_outbox()
        return len(orphans)

    # ── what live calls report ─────────────────────────────────────────────────────────────────────────────────────

    def call_answered(self, call: LiveCall) -> None:
        """Start the document of an outbound call."""
        if not call.is_inbound and self.start_flow is not None:
            self.start_flow(call)

    async def store_answer(self, call: LiveCall) -> None:
        """Make the answer durable."""
        answered_wall_ms = call.answered_wall_ms
        await self._database.write(
            lambda session: store.update_call(
                session, call.call_uuid, state=State.IN_PROGRESS.value, answered_wall_ms=answered_wall_ms
            )
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
        self._wake_outbox()

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
                total_amount=money(amount(seconds, self.rates.call_per_minute)),
                total_rate=money(self.rates.call_per_minute),
            )
            if is_first and call.terms.hangup_url:
                enqueue(
                    session,
                    _callback(CallbackKind.HANGUP, call, call.terms.hangup_url, call.terms.hangup_method, params),
                )

        await self._database.write(work)
        self._wake_outbox()

    def forget(self, call: LiveCall) -> None:
        """Let go of a call that is over and stored."""
        self._live.pop(call.call_uuid, None)

    def stream_event(self, call: LiveCall, event: StreamEvent) -> None:
        """Hand a stream's event to its room."""
        if self.streams is not None:
            self.streams.handle(call, event)

    def streams_gone(self, call: LiveCall) -> None:
        """Tell the streams room that the call's media session is closed."""
        if self.streams is not None:
            self.streams.call_gone(call)

    def _note(self, call_uuid: CallUuid, terms: CallTerms, state: State, **fields: object) -> None:
        self.timeline.record(
            call_uuid,
            "call",
            {
                "state": state.value,
                "direction": terms.direction.value,
                "from": terms.from_number,
                "to": terms.to_number,
                **fields,
            },
        )


def _matches(call: LiveCall, account: Account, filters: LiveCallFilters) -> bool:
    terms = call.terms
    return (
        call.account_id == account.auth_id
        and not call.is_over
        and (call.state is State.DIALLING) == filters.queued
        and filters.direction in (None, terms.direction)
        and terms.from_number.lstrip("+").startswith(filters.from_number.lstrip("+"))
        and terms.to_number.lstrip("+").startswith(filters.to_number.lstrip("+"))
    )


def _row(call_uuid: CallUuid, terms: CallTerms, state: State) -> CallRow:
    return CallRow(
        call_uuid=call_uuid,
        account_id=terms.account.auth_id,
        direction=terms.direction.value,
        from_number=terms.from_number[:255],
        to_number=terms.to_number[:255],
        caller_name=terms.caller_name[:255],
        parent_call_uuid=terms.parent_call_uuid[:36],
        state=state.value,
        answer_url=terms.answer_url,
        hangup_url=terms.hangup_url,
        hangup_method=terms.hangup_method,
        trunk=terms.trunk,
        source_ip=terms.source_ip,
        initiated_wall_ms=terms.initiated_wall_ms,
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
