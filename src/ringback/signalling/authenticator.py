"""Whether a request comes from the endpoint that it names: digest credentials against the database."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ringback import clock, ids
from ringback.endpoints.endpoint import Login
from ringback.endpoints.secrets import REALM, secrets_of
from ringback.endpoints.store import find_login
from ringback.machine import Instant
from ringback.signalling.login_limit import LoginLimit
from ringback.sip.digest_server import Claim, DigestServer, Verdict, claim_of
from ringback.sip.message import SipRequest
from ringback.storage.database import Database
from ringback.telemetry.logs import get_logger
from ringback.telemetry.redaction import AddressText

_log = get_logger(__name__)

_DECOY: Final = secrets_of("nobody", ids.new_secret()).by_algorithm()
"""Judges the password of users that do not exist, in the same time and with the same answer."""


class Outcome(Enum):
    """What a request deserves."""

    ADMITTED = "admitted"
    CHALLENGED = "challenged"
    """It has no credentials, or stale ones."""
    REFUSED = "refused"
    """Unknown user or wrong password; the answer is a challenge as well."""
    MISDIRECTED = "misdirected"
    SILENCED = "silenced"
    """Too many wrong passwords: no answer."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a request deserves, and what belongs to that."""

    outcome: Outcome
    login: Login | None = None
    challenges: tuple[str, ...] = ()


class Authenticator:
    """Judges the credentials of phones, for registrations and for calls.

    Args:
        algorithms: Offered in this order; `MD5` and `SHA-256` exist.
        is_known: Whether a source address is a trunk's or our own machine: a crowd of users may stand behind it.
    """

    def __init__(
        self,
        database: Database,
        algorithms: tuple[str, ...],
        is_known: Callable[[str], bool],
        *,
        limit: LoginLimit | None = None,
        now: Callable[[], Instant] = clock.now,
    ) -> None:
        self._database = database
        self._is_known = is_known
        self._now = now
        self._limit = limit or LoginLimit()
        self._digest = DigestServer(REALM, algorithms, ids.new_secret().encode(), ids.new_token)

    def challenge(self) -> Judgement:
        """Return what a request without credentials deserves."""
        return Judgement(Outcome.CHALLENGED, None, self._digest.challenges(self._now()))

    def at_sight(self, request: SipRequest, user: str, source_host: str) -> Judgement | None:
        """Return the judgement of a request that needs no look at the database, else `None`.

        Args:
            user: Whom the request is about, for one without credentials.
        """
        claim = claim_of(request, REALM)
        if self._limit.is_silent(self._now(), source_host, claim.username if claim is not None else user):
            return Judgement(Outcome.SILENCED)
        return None if claim is not None else self.challenge()

    async def judge(self, request: SipRequest, source_host: str) -> Judgement:
        """Return the judgement of a request that brings credentials.

        Raises:
            StorageUnavailable: the database cannot be asked.
        """
        claim = claim_of(request, REALM)
        if claim is None:
            return self.challenge()
        login = await self._database.read(lambda session: find_login(session, claim.username))
        known = login.secrets.by_algorithm() if login is not None else _DECOY
        now = self._now()
        if self._limit.is_silent(now, source_host, claim.username):
            # Wrong ones that came in the same moment have used up what this one was still let through for.
            return Judgement(Outcome.SILENCED, login)
        verdict = self._digest.judge(now, request, claim, known)
        if login is None or verdict is Verdict.WRONG:
            self._failed(now, claim, login, source_host)
            return Judgement(Outcome.REFUSED, login, self._digest.challenges(now))
        if verdict is Verdict.MISDIRECTED:
            return Judgement(Outcome.MISDIRECTED, login)
        if verdict is Verdict.STALE:
            return Judgement(Outcome.CHALLENGED, login, self._digest.challenges(now, is_stale=True))
        self._limit.succeeded(source_host, claim.username)
        return Judgement(Outcome.ADMITTED, login)

    def _failed(self, now: Instant, claim: Claim, login: Login | None, source_host: str) -> None:
        if self._limit.failed(now, source_host, claim.username, is_known=self._is_known(source_host)):
            endpoint_id = login.endpoint_id if login is not None else ""
            _log.warning(
                "phone silenced after wrong passwords", source=AddressText(source_host), endpoint_id=endpoint_id
            )
