"""Calls from endpoints: who must prove to be one, and who has.

A caller with credentials for our realm is judged by them. One without is asked for them when its phone is registered
from where it calls, or when it calls itself by an endpoint's name on this machine; every other INVITE is none of the
door's business: strangers stay unanswered, trunks and the development phone call as ever.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Final, Protocol

from ringback.endpoints.endpoint import Login
from ringback.endpoints.secrets import REALM
from ringback.endpoints.store import is_username
from ringback.errors import RingbackError
from ringback.signalling.authenticator import Authenticator, Judgement, Outcome
from ringback.signalling.domains import OwnDomains
from ringback.sip.digest_server import claim_of
from ringback.sip.endpoint import HeaderLines, InviteId, InviteReceived
from ringback.storage.database import Database
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)

_NAME_DIGITS: Final = 12
"""Every endpoint's name ends in so many digits."""


class DoorSip(Protocol):
    """What the door needs of SIP."""

    def challenge(self, invite_id: InviteId, challenges: tuple[str, ...]) -> bool:
        """Refuse an INVITE with 407."""

    def reject(self, invite_id: InviteId, status: int, reason: str = "", headers: HeaderLines = ()) -> bool:
        """Refuse an INVITE."""

    def drop(self, invite_id: InviteId) -> bool:
        """Never answer an INVITE."""


class LegMaker(Protocol):
    """Lets a call in; `signalling.legs.Legs.receive`."""

    def __call__(self, event: InviteReceived, login: Login | None = None, *, is_judged: bool = False) -> None:
        """Make a leg of an INVITE, or turn it away."""


class EndpointDoor:
    """Judges INVITEs; fulfils `signalling.legs.Door`.

    Args:
        is_source: Whether a phone is registered from an address.
        let_in: Called for every INVITE that was taken and may go on.
    """

    def __init__(
        self,
        database: Database,
        sip: DoorSip,
        authenticator: Authenticator,
        domains: OwnDomains,
        *,
        is_source: Callable[[str], bool],
        let_in: LegMaker,
    ) -> None:
        self._database = database
        self._sip = sip
        self._authenticator = authenticator
        self._domains = domains
        self._is_source = is_source
        self._let_in = let_in
        self._judging: dict[InviteId, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        """Return how many INVITEs are being judged."""
        return len(self._judging)

    async def close(self) -> None:
        """Stop judging."""
        tasks = tuple(self._judging.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def takes(self, event: InviteReceived, *, is_stranger: bool, is_trunk: bool) -> bool:
        """Return whether the door answers this INVITE, or lets it in later by `let_in`."""
        request, source_host = event.request, event.flow.remote[0]
        if claim_of(request, REALM) is not None:
            judgement = self._authenticator.at_sight(request, "", source_host)
            if judgement is None:
                self._spawn(event, self._judge(event))
            else:
                self._answer(event, judgement)
            return True
        if is_stranger:
            if self._is_source(source_host):
                self._challenge(event)
                return True
            return False
        user = "" if is_trunk else self._domains.user_of(event.request.from_.uri_text)
        if not user[-_NAME_DIGITS:].isdigit() or len(user) <= _NAME_DIGITS:
            return False
        self._spawn(event, self._look_up(event, user))
        return True

    def forget(self, invite_id: InviteId) -> None:
        """Learn that a caller gave up."""
        task = self._judging.pop(invite_id, None)
        if task is not None:
            task.cancel()

    async def _judge(self, event: InviteReceived) -> None:
        judgement = await self._authenticator.judge(event.request, event.flow.remote[0])
        if self._judging.pop(event.invite_id, None) is not None:
            self._answer(event, judgement)

    async def _look_up(self, event: InviteReceived, user: str) -> None:
        is_endpoint = await self._database.read(lambda session: is_username(session, user))
        if self._judging.pop(event.invite_id, None) is None:
            return
        if is_endpoint:
            self._challenge(event)
        else:
            self._admit(event)

    def _challenge(self, event: InviteReceived) -> None:
        self._answer(event, self._authenticator.challenge())

    def _answer(self, event: InviteReceived, judgement: Judgement) -> None:
        match judgement.outcome:
            case Outcome.ADMITTED:
                self._admit(event, judgement.login)
            case Outcome.CHALLENGED | Outcome.REFUSED:
                self._sip.challenge(event.invite_id, judgement.challenges)
            case Outcome.MISDIRECTED:
                self._sip.reject(event.invite_id, 400, "Digest Is For Another URI")
            case Outcome.SILENCED:
                self._sip.drop(event.invite_id)

    def _admit(self, event: InviteReceived, login: Login | None = None) -> None:
        try:
            self._let_in(event, login, is_judged=True)
        except Exception as error:
            # Whoever was judged waits for an answer, and nobody else knows of the INVITE any more.
            _log.error("caller not let in", exc_info=error)
            self._unavailable(event.invite_id)

    def _unavailable(self, invite_id: InviteId) -> None:
        self._sip.reject(invite_id, 503, "", (("Retry-After", "5"),))

    def _spawn(self, event: InviteReceived, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work, name=f"invite {event.invite_id}")
        self._judging[event.invite_id] = task
        task.add_done_callback(lambda done: self._done(event.invite_id, done))

    def _done(self, invite_id: InviteId, task: asyncio.Task[None]) -> None:
        # A task that ran to its end has taken itself out; one that failed owes the caller an answer.
        if self._judging.pop(invite_id, None) is None or task.cancelled():
            return
        error = task.exception()
        self._unavailable(invite_id)
        if isinstance(error, RingbackError):
            _log.warning("caller not judged", code=error.code)
        else:
            _log.error("caller not judged", exc_info=error)
