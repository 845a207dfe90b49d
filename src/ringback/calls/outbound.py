"""Making calls: one or a thousand, at once or when their turn has come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from ringback import clock, ids
from ringback.accounts.account import Account
from ringback.calls import store
from ringback.calls.hangup import Code, Hangup, HangupSource, hangup
from ringback.calls.live import CallKeeper, CallTerms, LiveCall
from ringback.calls.queue import CallQueue, QueuedCall
from ringback.calls.routes import OutboundRoutes, RouteSettings
from ringback.calls.rows import call_facts, call_row
from ringback.calls.settings import CallSettings
from ringback.calls.state import State
from ringback.calls.views import CallDirection, LiveCallView, LiveStatus, MadeCall, MakeCall
from ringback.errors import InvalidParameter, LimitReached, RingbackError
from ringback.ids import CallUuid
from ringback.numbers.trunks import GatewayCredentials, Trunk
from ringback.signalling.errors import TooManyLegs
from ringback.signalling.events import DialRequest
from ringback.signalling.legs import Legs
from ringback.signalling.sip_leg import SipLeg
from ringback.storage.database import Database, StorageUnavailable
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)


class NotDialled(RingbackError):
    """A leg that could not be dialled; it has its record all the same."""

    default_code = "not-dialled"

    def __init__(self, message: str, *, call_uuid: CallUuid, reason: Hangup) -> None:
        super().__init__(message, call_uuid=call_uuid, cause_code=reason.code)
        self.call_uuid = call_uuid
        self.reason = reason


class OutboundKeeper(CallKeeper, Protocol):
    """What making calls needs of the service that keeps them."""

    @property
    def live_count(self) -> int:
        """Return how many calls have not been completed."""

    def keep(self, call: LiveCall) -> None:
        """Take a new call in before its leg reports anything."""

    async def has_call(self, account: Account, call_uuid: CallUuid) -> bool:
        """Return whether the account has or had this call."""

    def gone(self, call_uuid: CallUuid) -> None:
        """Take note that a call has its record."""

    @property
    def wake_outbox(self) -> Callable[[], None]:
        """Return what says that a callback was stored."""


class OutboundCalls:
    """Every outbound call until it has a leg."""

    def __init__(
        self,
        keeper: OutboundKeeper,
        database: Database,
        legs: Legs,
        settings: CallSettings,
        trunks: Iterable[Trunk],
    ) -> None:
        trunks = tuple(trunks)
        self.routes = OutboundRoutes(
            database,
            trunks,
            RouteSettings(settings.own_address, settings.allowed_prefixes, settings.catch_all, settings.domains),
        )
        self.queue = CallQueue(database, settings, trunks, self._dial_queued, self._has_room, self._ended_undialled)
        self._keeper = keeper
        self._database = database
        self._legs = legs
        self._settings = settings
        self._beginning = 0
        self._at_once = 0
        """Calls on their way to a leg without having waited."""
        self._waits_for_load = False
        """Whether the queue was last found to stand before overloaded workers."""

    @property
    def is_full(self) -> bool:
        """Return whether the node has all the calls it may have, those that are being made included."""
        coming = self._beginning + self.queue.starting.total()
        return self._keeper.live_count + coming >= self._settings.maximum_calls

    def _has_room(self, trunk: str) -> bool:
        self._waits_for_load = self._legs.is_overloaded(self._at_once + self.queue.starting.total())
        return not (self._waits_for_load or self.is_full or not self._legs.has_room(trunk, self.queue.starting[trunk]))

    def _must_wait_for_load(self) -> bool:
        """Return whether a new call waits until the media workers have capacity, behind those that do already."""
        is_behind = self._waits_for_load and len(self.queue) > 0
        return is_behind or self._legs.is_overloaded(self._at_once + self.queue.starting.total())

    async def make(self, account: Account, requests: Sequence[MakeCall]) -> MadeCall:
        """Store the intent of outbound calls, dial what may be dialled at once, and return their ids in order.

        Several calls are accepted all or none, and wait in the queue for their turn.

        Raises:
            InvalidParameter: a destination cannot be reached, or the parent call is unknown.
            NotAllowed: a destination is forbidden.
            LimitReached: the node has all the calls it may have, or the queue has no room for these.
        """
        if self.is_full:
            raise LimitReached(f"{self._keeper.live_count} calls are live, at most {self._settings.maximum_calls}")
        waiting = len(self.queue)
        if waiting + len(requests) > self._settings.queue_max:
            raise LimitReached(f"{waiting} calls wait for their turn, at most {self._settings.queue_max}")
        # What is being made counts too: requests that arrive together must not pass the bound together.
        self._beginning += 1
        try:
            await self._check_parent(account, requests[0])
            if len(requests) == 1:
                return await self._make_one(account, requests[0])
            return await self._make_many(account, requests)
        finally:
            self._beginning -= 1

    async def dial_leg(
        self,
        parent: LiveCall,
        request: MakeCall,
        credentials: tuple[GatewayCredentials, ...] = (),
        unwanted: asyncio.Event | None = None,
    ) -> LiveCall:
        """Dial a leg for the document of `parent` and return it: a call of its own that runs no document.

        It counts towards the pace of its trunk and waits for that at most as long as it may ring, or until `unwanted`
        is set.

        Raises:
            NotDialled: it could not be dialled; its record says why.
        """
        call_uuid = CallUuid(ids.new_uuid())
        terms = CallTerms(
            account=parent.terms.account,
            direction=CallDirection.OUTBOUND,
            from_number=request.from_number,
            to_number=request.to,
            initiated_wall_ms=clock.wall_ms(),
            answer_url="",
            caller_name=request.caller_name,
            parent_call_uuid=parent.call_uuid,
            time_limit_s=self._settings.max_call_s,
            send_digits=request.send_digits,
            send_on_preanswer=request.send_on_preanswer,
            custom_headers=request.sip_headers,
            is_dialled=True,
            hops=parent.terms.hops,
        )
        row = call_row(call_uuid, terms, State.DIALLING)
        await self._database.write(lambda session: store.insert_call(session, row))
        self._note(call_uuid, terms, State.DIALLING, parent=parent.call_uuid)
        try:
            dial = await self._route_leg(parent, request, call_uuid)
            await self._wait_for_pace(dial, unwanted)
            if parent.is_over:
                raise LimitReached("the calling party is gone", cause_code=Code.CANCELED)
            leg = self._legs.dial(replace(dial, credentials=credentials or dial.credentials))
        except Exception as error:
            reason = _why_undialled(error)
            if reason.code is Code.INTERNAL_ERROR:
                _log.error("leg not dialled", call_uuid=call_uuid, exc_info=error)
            try:
                await self._complete_undialled(call_uuid, reason)
            except StorageUnavailable:
                parent.store(partial(self._complete_undialled, call_uuid, reason))
            raise NotDialled(str(error), call_uuid=call_uuid, reason=reason) from error
        return self._keep(call_uuid, replace(terms, trunk=dial.trunk_name), leg)

    async def _route_leg(self, parent: LiveCall, request: MakeCall, call_uuid: CallUuid) -> DialRequest:
        """Return how a leg is dialled; errors carry their hang-up code as `cause_code`."""
        if parent.terms.hops >= self._settings.hops_max:
            raise LimitReached(f"{parent.terms.hops} calls of this node lead here", cause_code=Code.LOOP_DETECTED)
        # A loop that leads through other servers is seen by its hops alone (RFC 7332).
        max_forwards = _max_forwards(parent.leg) - 1
        if max_forwards < 1:
            raise LimitReached("no hop is left (Max-Forwards)", cause_code=Code.LOOP_DETECTED)
        if self.is_full:
            raise LimitReached(f"{self._keeper.live_count} calls are live, at most {self._settings.maximum_calls}")
        self._beginning += 1
        try:
            dial = await self.routes.route(request, call_uuid)
        finally:
            self._beginning -= 1
        return replace(dial, affinity=parent.leg.affinity, max_forwards=max_forwards)

    async def _wait_for_pace(self, dial: DialRequest, unwanted: asyncio.Event | None) -> None:
        reserved = self.queue.reserve_leg(dial.trunk_name, dial.ring_timeout_ms)
        if reserved is None:
            raise LimitReached(
                f"trunk {dial.trunk_name} starts so many calls that this one's turn comes after its ring timeout",
                hint="raise max_cps of the trunk, or dial fewer parties at once",
            )
        at, delay_ms = reserved
        if not delay_ms:
            return
        waits = {"state": State.QUEUED.value, "trunk": dial.trunk_name, "queue_ms": delay_ms}
        self._keeper.timeline.record(dial.call_uuid, "call", waits)
        try:
            await asyncio.wait_for((unwanted or asyncio.Event()).wait(), delay_ms / 1000)
            raise LimitReached("the leg is not wanted any more", cause_code=Code.CANCELED)
        except TimeoutError:
            pass
        except BaseException:
            self.queue.give_back_leg(dial.trunk_name, at)
            raise
        if self.is_full:
            raise LimitReached(f"{self._keeper.live_count} calls are live, at most {self._settings.maximum_calls}")

    def view(self, call: QueuedCall) -> LiveCallView:
        """Return a waiting call as the API shows it."""
        return LiveCallView(
            call_uuid=call.call_uuid,
            status=LiveStatus.QUEUED,
            direction=CallDirection.OUTBOUND,
            from_number=call.request.from_number,
            to_number=call.request.to,
            started_wall_ms=call.queued_wall_ms,
            caller_name=call.request.caller_name,
            parent_call_uuid=call.request.parent_call_uuid,
        )

    async def _check_parent(self, account: Account, request: MakeCall) -> None:
        parent = CallUuid(request.parent_call_uuid)
        if parent and request.error_if_parent_not_found and not await self._keeper.has_call(account, parent):
            raise InvalidParameter(f"parent_call_uuid parameter is invalid: no call {parent}", field="parent_call_uuid")

    async def _make_one(self, account: Account, request: MakeCall) -> MadeCall:
        call_uuid = _id_of(request)
        dial = await self.routes.route(request, call_uuid)
        is_overload = self._must_wait_for_load()
        if is_overload or not self.queue.start_at_once(account.auth_id, dial.trunk_name):
            facts = {"waits_for": "capacity of the media workers"} if is_overload else {}
            await self._enqueue(account, [(request, dial)], **facts)
            return MadeCall((call_uuid,), "call queued")
        self._at_once += 1
        try:
            return await self._make_at_once(account, request, call_uuid, dial)
        finally:
            self._at_once -= 1

    async def _make_at_once(
        self, account: Account, request: MakeCall, call_uuid: CallUuid, dial: DialRequest
    ) -> MadeCall:
        terms = self._terms(account, request, dial.trunk_name, clock.wall_ms())
        row = call_row(call_uuid, terms, State.DIALLING)
        await self._database.write(lambda session: store.insert_call(session, row))
        self._note(call_uuid, terms, State.DIALLING)
        try:
            self._dial(call_uuid, terms, dial)
        except TooManyLegs as error:
            await self._complete_undialled(call_uuid, hangup(Code.CONCURRENCY_LIMIT, HangupSource.PLATFORM, str(error)))
            raise LimitReached(str(error)) from error
        except Exception as error:
            await self._complete_undialled(call_uuid, hangup(Code.INTERNAL_ERROR, HangupSource.PLATFORM, str(error)))
            raise
        return MadeCall((call_uuid,))

    async def _make_many(self, account: Account, requests: Sequence[MakeCall]) -> MadeCall:
        # Every destination is looked at before anything is stored: all are called or none is.
        routed = [(request, await self.routes.route(request, _id_of(request))) for request in requests]
        await self._enqueue(account, routed)
        return MadeCall(tuple(CallUuid(dial.call_uuid) for _, dial in routed), "calls fired")

    async def _enqueue(self, account: Account, routed: Sequence[tuple[MakeCall, DialRequest]], **facts: object) -> None:
        now_wall_ms = clock.wall_ms()
        calls, rows = [], []
        for request, dial in routed:
            call_uuid = CallUuid(dial.call_uuid)
            terms = self._terms(account, request, dial.trunk_name, now_wall_ms)
            place = self.queue.place(call_uuid, account.auth_id, dial.trunk_name)
            calls.append(QueuedCall(place, account, request, now_wall_ms))
            waiting = store.WaitingCall(call_uuid, account.auth_id, dial.trunk_name, request, now_wall_ms)
            rows.append((call_row(call_uuid, terms, State.QUEUED), waiting))
            self._note(call_uuid, terms, State.QUEUED, **facts)
        await self._database.write(lambda session: store.insert_queued(session, rows))
        self.queue.join(calls)

    async def _dial_queued(self, call: QueuedCall) -> Hangup | None:
        try:
            # The way is looked for again: settings and numbers may have changed while the call waited.
            dial = await self.routes.route(call.request, call.call_uuid)
            terms = self._terms(call.account, call.request, dial.trunk_name, call.queued_wall_ms)
            self._note(call.call_uuid, terms, State.DIALLING, queue_ms=clock.wall_ms() - call.queued_wall_ms)
            self._dial(call.call_uuid, terms, dial)
        except TooManyLegs as error:
            return hangup(Code.CONCURRENCY_LIMIT, HangupSource.PLATFORM, str(error))
        except RingbackError as error:
            return hangup(Code.ROUTING_ERROR, HangupSource.ERROR, str(error))
        except Exception as error:
            return hangup(Code.INTERNAL_ERROR, HangupSource.ERROR, repr(error))
        return None

    def _dial(self, call_uuid: CallUuid, terms: CallTerms, dial: DialRequest) -> None:
        self._keep(call_uuid, terms, self._legs.dial(dial))

    def _keep(self, call_uuid: CallUuid, terms: CallTerms, leg: SipLeg) -> LiveCall:
        call = LiveCall(call_uuid, terms, leg, self._keeper, State.DIALLING)
        self._keeper.keep(call)
        leg.listener = call.handle_leg_event
        return call

    def _ended_undialled(self, call: QueuedCall, reason: Hangup) -> None:
        self._keeper.timeline.record(
            call.call_uuid,
            "call",
            {
                "state": State.ENDED.value,
                "code": int(reason.code),
                "name": reason.name,
                "cause": reason.cause,
                "source": reason.source.value,
                "detail": reason.detail,
                "queue_ms": clock.wall_ms() - call.queued_wall_ms,
                "duration_s": 0,
            },
        )
        self._keeper.wake_outbox()
        self._keeper.gone(call.call_uuid)

    async def _complete_undialled(self, call_uuid: CallUuid, reason: Hangup) -> None:
        self._keeper.timeline.record(
            call_uuid,
            "call",
            {"state": "ended", "code": int(reason.code), "name": reason.name, "detail": reason.detail},
        )
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
                rates=self._settings.rates,
            )
        )

    def _terms(self, account: Account, request: MakeCall, trunk: str, initiated_wall_ms: int) -> CallTerms:
        return CallTerms(
            account=account,
            direction=CallDirection.OUTBOUND,
            from_number=request.from_number,
            to_number=request.to,
            initiated_wall_ms=initiated_wall_ms,
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
            time_limit_s=min(request.time_limit_s, self._settings.max_call_s),
            send_digits=request.send_digits,
            send_on_preanswer=request.send_on_preanswer,
            hangup_on_ring_s=request.hangup_on_ring_s,
            trunk=trunk,
            custom_headers=request.sip_headers,
            machine_detection=request.machine_detection,
        )

    def _note(self, call_uuid: CallUuid, terms: CallTerms, state: State, **fields: object) -> None:
        self._keeper.timeline.record(call_uuid, "call", call_facts(terms, state, **fields))


def _why_undialled(error: Exception) -> Hangup:
    if not isinstance(error, RingbackError):
        return hangup(Code.INTERNAL_ERROR, HangupSource.ERROR, repr(error))
    by_kind = Code.INVALID_DESTINATION if isinstance(error, InvalidParameter) else Code.CONCURRENCY_LIMIT
    return hangup(int(str(error.fields.get("cause_code", by_kind))), HangupSource.PLATFORM, str(error))


def _max_forwards(leg: SipLeg) -> int:
    """Return how many hops the INVITE of a leg had left; a leg that we placed, or one that says nothing, has 70."""
    named = next((value for name, value in leg.sip_headers if name.lower() == "max-forwards"), "")
    return int(named) if named.isascii() and named.isdigit() else 70


def _id_of(request: MakeCall) -> CallUuid:
    return CallUuid(request.call_uuid or ids.new_uuid())
