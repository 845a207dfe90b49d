"""The registrar: REGISTERs into the database, phones of an endpoint out of it.

The database is the truth about phones, so that they survive a restart. In memory stand only the addresses they came
from, which tell a phone's unauthenticated INVITE from a stranger's, and the connections that must stay open for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import Final, Protocol

from ringback import clock
from ringback.endpoints import store
from ringback.endpoints.endpoint import Login
from ringback.errors import RingbackError
from ringback.signalling.authenticator import Authenticator, Outcome
from ringback.sip.endpoint import AskedId, Fork, HeaderLines, RegisterReceived
from ringback.sip.flow import Flow
from ringback.sip.registrar import Binding, Change, Refusal, RegistrarRules, Wish, apply_wish, read_wish
from ringback.storage.database import Database, Session
from ringback.telemetry.events import EventSink
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)

_SWEEP_S: Final = 60.0


class RegistrarSip(Protocol):
    """What the registrar needs of SIP; `sip.transport.driver.SipDriver` has it."""

    def reply(self, asked_id: AskedId, status: int, reason: str = "", headers: HeaderLines = ()) -> bool:
        """Answer a REGISTER."""

    def ignore(self, asked_id: AskedId) -> bool:
        """Never answer a REGISTER."""


@dataclass(frozen=True, slots=True)
class RegistrarSettings:
    """Bounds of the registrar."""

    rules: RegistrarRules = field(default_factory=RegistrarRules)
    sources_max: int = 10_000
    """Addresses of phones remembered; the one that registered longest ago is forgotten first. Its phone's calls are
    taken again once it has refreshed."""
    retry_after_s: int = 5


class Registrar:
    """All registrations of the node.

    State: `start` reads what an earlier server left; `close` ends what is under way.
    Args:
        count: Called with the outcome of each REGISTER, for a metric.
    """

    def __init__(
        self,
        database: Database,
        sip: RegistrarSip,
        authenticator: Authenticator,
        timeline: EventSink,
        settings: RegistrarSettings,
        *,
        count: Callable[[str], None] = lambda _outcome: None,
        wall_ms: Callable[[], int] = clock.wall_ms,
    ) -> None:
        self._database = database
        self._sip = sip
        self._authenticator = authenticator
        self._timeline = timeline
        self._settings = settings
        self._count = count
        self._wall_ms = wall_ms
        self._sources: dict[str, int] = {}
        self._connections: dict[int, int] = {}
        """Open connections that brought a REGISTER, and until when a phone is reached by each, 0 for never."""
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Take over the phones that are registered, and forget the others from now on."""
        await self._sweep()
        now, limit = self._wall_ms(), self._settings.sources_max
        found = await self._database.read(lambda session: store.registered_sources(session, now, limit))
        self._sources = dict(reversed(found))
        self._spawn(self._sweep_for_ever())

    async def close(self) -> None:
        """Stop; REGISTERs that are being judged stay unanswered, their phones repeat them."""
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def is_source(self, host: str) -> bool:
        """Return whether a phone is registered from this address."""
        return self._sources.get(host, 0) > self._wall_ms()

    def kept_connections(self) -> set[int]:
        """Return the connections by which phones are reached: they stay open without traffic."""
        now = self._wall_ms()
        return {connection for connection, expires in self._connections.items() if expires > now}

    async def registered_count(self) -> int:
        """Return how many endpoints have a phone now."""
        now = self._wall_ms()
        return await self._database.read(lambda session: store.count_registered(session, now))

    async def find_phones(self, username: str) -> tuple[Fork, ...]:
        """Return the phones that are registered under a user name, the preferred first."""
        now = self._wall_ms()
        found = await self._database.read(lambda session: store.phones_of(session, username, now))
        return tuple(Fork(binding.contact, binding.targets(), binding.path) for binding in found)

    def take(self, event: RegisterReceived) -> None:
        """Take one REGISTER: `SipDriver(on_register=registrar.take)`."""
        request, connection = event.request, event.flow.connection_id
        if connection:
            self._connections.setdefault(connection, 0)
        judgement = self._authenticator.at_sight(request, request.to.uri.user_text, event.flow.remote[0])
        if judgement is None:
            self._spawn(self._judge(event))
        elif judgement.outcome is Outcome.SILENCED:
            self._finish(event, Outcome.SILENCED.value)
        else:
            self._finish(event, judgement.outcome.value, 401, "", _challenge_lines(judgement.challenges))

    def forget_connection(self, flow: Flow) -> None:
        """Take the phones out that were reached by a connection: `SipDriver(on_closed=registrar.forget_connection)`."""
        if self._connections.pop(flow.connection_id, 0):
            self._spawn(self._drop_connection(flow))

    # ── one REGISTER ───────────────────────────────────────────────────────────────────────────────────────────────

    async def _judge(self, event: RegisterReceived) -> None:
        retry_after = (("retry-after", str(self._settings.retry_after_s)),)
        try:
            await self._judge_login(event)
        except RingbackError as error:
            # The database is overloaded or closed; nothing was changed.
            _log.warning("registration not stored", code=error.code)
            self._finish(event, "unavailable", 503, "", retry_after)
        except Exception:
            self._finish(event, "unavailable", 500)
            raise

    async def _judge_login(self, event: RegisterReceived) -> None:
        judgement = await self._authenticator.judge(event.request, event.flow.remote[0])
        login = judgement.login
        if judgement.outcome is not Outcome.ADMITTED or login is None:
            if judgement.outcome is Outcome.SILENCED:
                self._finish(event, judgement.outcome.value)
            elif judgement.outcome is Outcome.MISDIRECTED:
                self._finish(event, judgement.outcome.value, 400, "Digest Is For Another URI")
            else:
                self._finish(event, judgement.outcome.value, 401, "", _challenge_lines(judgement.challenges))
            if judgement.outcome is Outcome.REFUSED and login is not None:
                self._note(login, "refused", source=event.flow.remote[0], detail="wrong password")
            return
        if event.request.to.uri.user_text != login.username:
            self._finish(event, "forbidden", 403, "Not Your Address")
            self._note(login, "refused", source=event.flow.remote[0], detail="registered another address than its own")
            return
        wish = read_wish(event.request, event.flow, self._settings.rules, self._wall_ms())
        outcome = wish if isinstance(wish, Refusal) else await self._grant(login, wish, event.flow)
        if isinstance(outcome, Refusal):
            self._finish(event, "invalid", outcome.status, outcome.reason, outcome.headers)
            return
        self._finish(event, "granted", 200, "", self._answer_lines(event, outcome))

    async def _grant(self, login: Login, wish: Wish, flow: Flow) -> tuple[Binding, ...] | Refusal:
        """Change what is to be changed, durably, and return the phones that there are now."""
        now, rules = self._wall_ms(), self._settings.rules
        if wish.is_query:
            return await self._database.read(lambda session: store.bindings_of(session, login.endpoint_id, now))

        def work(session: Session) -> tuple[tuple[Binding, ...], Change | Refusal]:
            before = store.bindings_of(session, login.endpoint_id, now)
            if not store.is_username(session, login.username):
                return before, Refusal(403)
            change = apply_wish(before, wish, rules, now)
            if isinstance(change, Change):
                store.replace_bindings(session, login.endpoint_id, change.bindings)
            return before, change

        before, change = await self._database.write(work)
        if isinstance(change, Refusal):
            return change
        if wish.additions:
            self._remember(flow, max(binding.expires_wall_ms for binding in wish.additions))
        self._tell(login, before, change)
        return change.bindings

    def _remember(self, flow: Flow, expires_wall_ms: int) -> None:
        host = flow.remote[0]
        # Other phones may be behind the same address, or the same connection, for longer.
        until = max(self._sources.pop(host, 0), expires_wall_ms)
        if len(self._sources) >= self._settings.sources_max:
            # In order of the last registration, because each moves its address to the end.
            del self._sources[next(iter(self._sources))]
        self._sources[host] = until
        if flow.connection_id in self._connections:
            self._connections[flow.connection_id] = max(self._connections[flow.connection_id], expires_wall_ms)
        elif flow.connection_id:
            # It has closed while its REGISTER was judged.
            self._spawn(self._drop_connection(flow))

    def _tell(self, login: Login, before: tuple[Binding, ...], change: Change) -> None:
        """Record which phones came and went; a refresh is no news."""
        had = {binding.contact for binding in before}
        has = {binding.contact: binding for binding in change.bindings}
        for contact in has.keys() - had:
            phone = has[contact]
            self._note(
                login,
                "registered",
                contact=contact,
                source=phone.received[0],
                transport=phone.transport.value,
                user_agent=phone.user_agent,
            )
        displaced = {binding.contact for binding in change.displaced}
        for contact in had - has.keys():
            self._note(login, "displaced" if contact in displaced else "unregistered", contact=contact)

    def _answer_lines(self, event: RegisterReceived, bindings: tuple[Binding, ...]) -> HeaderLines:
        now = self._wall_ms()
        lines = [("contact", binding.contact_value(now)) for binding in bindings]
        path = event.request.headers.all("path")
        if path and "path" in (tag.lower() for tag in event.request.headers.all("supported")):
            lines += [("path", value) for value in path]
        lines.append(("date", formatdate(now / 1_000, usegmt=True)))
        return tuple(lines)

    def _finish(
        self, event: RegisterReceived, outcome: str, status: int = 0, reason: str = "", headers: HeaderLines = ()
    ) -> None:
        self._count(outcome)
        if status:
            self._sip.reply(event.asked_id, status, reason, headers)
        else:
            self._sip.ignore(event.asked_id)

    # ── the end of registrations ───────────────────────────────────────────────────────────────────────────────────

    async def _drop_connection(self, flow: Flow) -> None:
        found = await self._database.write(lambda session: store.drop_connection(session, flow.transport, flow.remote))
        for endpoint_id in found:
            self._timeline.record(endpoint_id, "registration", {"event": "connection closed"})

    async def _sweep_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_S)
            try:
                await self._sweep()
            except RingbackError as error:
                # Those whose time is over are never found; the next turn deletes them.
                _log.warning("expired registrations not deleted", code=error.code)

    async def _sweep(self) -> None:
        now = self._wall_ms()
        for endpoint_id, contact in await self._database.write(lambda session: store.drop_expired(session, now)):
            self._timeline.record(endpoint_id, "registration", {"event": "expired", "contact": contact})
        self._sources = {host: expires for host, expires in self._sources.items() if expires > now}

    def _note(self, login: Login, event: str, **fields: object) -> None:
        self._timeline.record(login.endpoint_id, "registration", {"event": event, **fields})

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("registration failed", exc_info=error)


def _challenge_lines(challenges: tuple[str, ...]) -> HeaderLines:
    return tuple(("www-authenticate", value) for value in challenges)
