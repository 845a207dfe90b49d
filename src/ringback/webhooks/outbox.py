"""Delivers what the outbox holds: in order per call and target, with back-off, until taken or given up.

A row is marked after the customer's 2xx, so a crash in between repeats it: with the same event id and the same bytes.
Spec: reference reliability.md F-13, F-14, F-15 and section 6 item 5; wire spec 2.5, 5.3.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

from ringback import clock, ids
from ringback.accounts.store import find_account
from ringback.egress.errors import EgressFailed
from ringback.egress.http import HttpClient, HttpReply
from ringback.machine import MS, Instant, after_ms
from ringback.storage.database import Database, Session
from ringback.telemetry.events import EventSink
from ringback.webhooks import store
from ringback.webhooks.request import METHODS, Bounds, SignedRequest, Signer, attempt, failure_of, record_of
from ringback.webhooks.retry import (
    DEFAULT_RULES,
    Delivery,
    DeliveryRules,
    Failure,
    RetryRules,
    asked_retries,
    judge_delivery,
    next_delay_ms,
    rules_of,
)
from ringback.webhooks.signature import SigningKeys
from ringback.webhooks.store import StoredCallback

_logger = logging.getLogger(__name__)

KeySource = Callable[[str], Awaitable[SigningKeys | None]]
"""Returns the tokens of an account, or `None` when it is gone."""

_WITHOUT_FRAGMENT_RULES = frozenset({"stream-status"})
"""Kinds whose URL takes no retry settings (wire spec 5.5)."""


@dataclass(frozen=True, slots=True)
class OutboxSettings:
    """Bounds of delivery (reference: reliability.md section 4)."""

    delivery: DeliveryRules = field(default_factory=DeliveryRules)
    rules: RetryRules = field(default_factory=lambda: DEFAULT_RULES)
    in_flight_max: int = 64
    per_target_max: int = 8
    breaker_failures: int = 3
    """Failures in a row after which a target gets one request at a time, and pauses in between."""
    poll_ms: int = 1_000
    """The outbox is looked at this often even without a wake-up."""
    account_max: int = 100_000
    keep_finished_ms: int = 259_200_000
    tidy_every_ms: int = 60_000


_LONG_AGO = Instant(0)


@dataclass(slots=True)
class _Target:
    """What is known of one host and port."""

    in_flight: int = 0
    failures: int = 0
    closed_until: Instant = _LONG_AGO


@dataclass(slots=True)
class OutboxCounters:
    """What the sender has done since it started."""

    sent: int = 0
    failed: int = 0
    dead: int = 0


class OutboxSender:
    """Sends callbacks; the database is the truth, `wake` only a hint.

    State: `start` once inside a running loop; after `close` nothing is sent, and what was in flight is sent again by
    the next sender.
    """

    def __init__(
        self,
        database: Database,
        http: HttpClient,
        timeline: EventSink,
        settings: OutboxSettings | None = None,
        keys: KeySource | None = None,
        chance: Callable[[], float] = ids.chance,
    ) -> None:
        self.counters = OutboxCounters()
        self._database = database
        self._http = http
        self._timeline = timeline
        self._settings = settings or OutboxSettings()
        self._keys = keys or self._keys_of_account
        self._chance = chance
        self._targets: dict[str, _Target] = {}
        self._deliveries: dict[int, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._is_drained = False
        """Whether nothing waits besides what is being sent."""
        self._main: asyncio.Task[None] | None = None

    @property
    def in_flight(self) -> int:
        """Return how many callbacks are being sent."""
        return len(self._deliveries)

    def start(self) -> None:
        """Begin to send."""
        self._main = asyncio.create_task(self._run(), name="outbox")

    def wake(self) -> None:
        """Hint that a callback was enqueued and committed."""
        self._is_drained = False
        self._wake.set()

    async def close(self) -> None:
        """Stop; callbacks in flight are given up and stay in the outbox."""
        tasks = [*self._deliveries.values(), *([self._main] if self._main is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._main = None

    async def _run(self) -> None:
        tidied: Instant | None = None
        while True:
            self._wake.clear()
            wait_ms = self._settings.poll_ms
            try:
                if tidied is None or clock.now() - tidied > self._settings.tidy_every_ms * MS:
                    await self._tidy()
                    tidied = clock.now()
                wait_ms = await self._send_due()
            except Exception as error:
                # Whatever the database says, the rows wait there; a sender that dies would lose every later callback.
                self._is_drained = False
                _logger.warning("outbox cannot be read", extra={"error": repr(error)})
            try:
                async with asyncio.timeout(wait_ms / 1000):
                    await self._wake.wait()
            except TimeoutError:
                pass

    async def _send_due(self) -> int:
        """Start what can be sent now; return how long to wait for more."""
        settings = self._settings
        room = settings.in_flight_max - len(self._deliveries)
        if room <= 0:
            return settings.poll_ms
        busy = {name for name, target in self._targets.items() if not self._is_open(target)}
        busy_rows = list(self._deliveries)
        wall_ms = clock.wall_ms()

        def look(session: Session) -> tuple[list[StoredCallback], int | None]:
            found = store.due(session, wall_ms, room, busy_rows, busy)
            return found, store.next_due_wall_ms(session, [*busy_rows, *(callback.row_id for callback in found)])

        # Set before looking: a wake-up meanwhile takes it back.
        self._is_drained = True
        found, next_ms = await self._database.read(look)
        if next_ms is not None:
            self._is_drained = False
        for callback in found:
            target = self._targets.setdefault(callback.target, _Target())
            if not self._is_open(target):
                self._is_drained = False
                continue
            target.in_flight += 1
            task = asyncio.create_task(self._deliver(callback, target), name=f"callback {callback.event_id}")
            self._deliveries[callback.row_id] = task
            task.add_done_callback(partial(self._done, callback.row_id))
        if next_ms is None:
            return settings.poll_ms
        # A row that is due but held back by its target or its order is looked at again at the poll.
        soon = next_ms - clock.wall_ms()
        return min(settings.poll_ms, soon) if soon > 0 else settings.poll_ms

    def _is_open(self, target: _Target) -> bool:
        if target.failures >= self._settings.breaker_failures:
            return target.in_flight == 0 and clock.now() >= target.closed_until
        return target.in_flight < self._settings.per_target_max

    def _done(self, row_id: int, task: asyncio.Task[None]) -> None:
        self._deliveries.pop(row_id, None)
        # Its end makes room for another one; there is none to look for when nothing waits.
        if not self._is_drained:
            self._wake.set()

    async def _deliver(self, callback: StoredCallback, target: _Target) -> None:
        try:
            await self._deliver_once(callback, target)
        except Exception as error:
            # The outcome could not be stored: the row is still there and is sent again, with the same event id.
            self._is_drained = False
            _logger.warning("callback outcome not stored", extra={"error": repr(error), "kind": callback.kind})
            target.failures = max(target.failures, self._settings.breaker_failures)
            target.closed_until = after_ms(clock.now(), self._settings.poll_ms)
        finally:
            target.in_flight -= 1
            if target.in_flight == 0 and target.failures == 0:
                self._targets.pop(callback.target, None)

    async def _deliver_once(self, callback: StoredCallback, target: _Target) -> None:
        keys = await self._keys(callback.account_id)
        if keys is None or callback.method not in METHODS:
            reason = "the account is gone" if keys is None else f"method {callback.method} is not GET or POST"
            await self._set_aside(callback, reason)
            return
        status, failure, outcome = await self._attempt(callback, keys)
        age_ms = clock.wall_ms() - callback.created_wall_ms
        asked = asked_retries(callback.url) if callback.kind not in _WITHOUT_FRAGMENT_RULES else None
        match judge_delivery(self._settings.delivery, status, failure, age_ms, callback.attempts + 1, asked):
            case Delivery.SENT:
                target.failures = 0
                wall_ms = clock.wall_ms()
                await self._database.write(lambda session: store.mark_sent(session, callback.row_id, outcome, wall_ms))
                self.counters.sent += 1
            case Delivery.DEAD:
                self._note_target(target, status)
                await self._set_aside(callback, outcome)
            case Delivery.RETRY:
                self._is_drained = False
                self._note_target(target, status)
                delay_ms = next_delay_ms(self._settings.delivery, callback.attempts + 1, self._chance)
                next_ms = clock.wall_ms() + delay_ms
                await self._database.write(
                    lambda session: store.mark_failed(session, callback.row_id, outcome, next_ms)
                )
                self.counters.failed += 1

    def _note_target(self, target: _Target, status: int | None) -> None:
        """Count failures of the host itself; an answered 4xx is a matter of one callback."""
        if status is not None and status < 500:
            target.failures = 0
            return
        if clock.now() < target.closed_until:
            # It was under way when the pause began: eight failures at once are one reason to wait, not eight.
            return
        target.failures += 1
        if target.failures >= self._settings.breaker_failures:
            delay_ms = next_delay_ms(self._settings.delivery, target.failures, self._chance)
            target.closed_until = after_ms(clock.now(), delay_ms)

    async def _set_aside(self, callback: StoredCallback, outcome: str) -> None:
        wall_ms = clock.wall_ms()
        await self._database.write(lambda session: store.mark_dead(session, callback.row_id, outcome, wall_ms))
        self.counters.dead += 1
        _logger.warning("callback set aside", extra={"call_uuid": callback.call_uuid, "kind": callback.kind})

    async def _attempt(self, callback: StoredCallback, keys: SigningKeys) -> tuple[int | None, Failure | None, str]:
        rules = self._settings.rules
        if callback.kind not in _WITHOUT_FRAGMENT_RULES:
            rules = rules_of(callback.url, rules)
        request = SignedRequest(
            callback.method,
            callback.url,
            callback.pairs,
            keys,
            callback.event_id,
            is_private=callback.is_private,
            is_json=callback.is_json,
        )
        number = callback.attempts + 1
        signer = Signer(request, number)
        bounds = Bounds(
            connect_ms=rules.connect_ms,
            read_ms=rules.read_ms,
            total_ms=rules.total_ms,
            body_max_bytes=4_096,
            is_body_cut=True,
            lane="delivery",
            account_id=callback.account_id,
        )
        started = clock.now()
        reply: HttpReply | None = None
        failure: Failure | None = None
        detail = ""
        try:
            reply = await attempt(self._http, request, signer, bounds)
            outcome = "ok" if 200 <= reply.status < 300 else "status"
        except EgressFailed as error:
            failure, outcome, detail = failure_of(error), error.failure.value, str(error)
        elapsed_ms = (clock.now() - started) // MS
        fields = record_of(callback.kind, request, signer, number, outcome, elapsed_ms, reply, detail)
        self._timeline.record(callback.call_uuid, "webhook", fields)
        status = None if reply is None else reply.status
        return status, failure, f"status {status}" if status is not None else f"{outcome}: {detail}"

    async def _tidy(self) -> None:
        settings = self._settings
        wall_ms = clock.wall_ms()
        shed = await self._database.write(
            lambda session: store.tidy(
                session, wall_ms, settings.keep_finished_ms, settings.account_max, 2 * settings.delivery.longest_ms
            )
        )
        if shed:
            _logger.warning("outbox is full", extra={"set_aside": shed})

    async def _keys_of_account(self, account_id: str) -> SigningKeys | None:
        account = await self._database.read(lambda session: find_account(session, account_id))
        return None if account is None else SigningKeys((account.auth_token,), account.main_tokens)
