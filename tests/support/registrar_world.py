"""A registrar, a door and legs on a real database and a SIP endpoint in memory."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from ringback.accounts.application import Application
from ringback.accounts.store import create_application, ensure_account
from ringback.endpoints import store
from ringback.endpoints.endpoint import Endpoint
from ringback.ids import AccountId, AppId
from ringback.machine import Instant
from ringback.signalling.authenticator import Authenticator
from ringback.signalling.domains import own_domains
from ringback.signalling.endpoint_door import EndpointDoor
from ringback.signalling.registrar import Registrar, RegistrarSettings
from ringback.sip.endpoint import AskedId, HeaderLines, RegisterReceived
from ringback.sip.flow import Flow
from ringback.sip.message import SipRequest
from ringback.storage.database import Database, Session
from tests.support.fake_sip import OFFER, received
from tests.support.legs_on_fakes import LegsOnFakes, settle
from tests.support.registering import DOMAIN, PASSWORD, USERNAME, RegisteringPhone

ACCOUNT, APP, ENDPOINT_ID = AccountId("MATESTTESTTESTTEST01"), AppId("1" * 17), "1" * 14


@dataclass
class Replies:
    """Takes the answers to REGISTERs."""

    replies: list[tuple[int, str, HeaderLines]] = field(default_factory=list)
    ignored: int = 0

    def reply(self, asked_id: AskedId, status: int, reason: str = "", headers: HeaderLines = ()) -> bool:
        """Keep an answer."""
        self.replies.append((status, reason, headers))
        return True

    def ignore(self, asked_id: AskedId) -> bool:
        """Count a silence."""
        self.ignored += 1
        return True


class RegistrarWorld:
    """Everything that judges phones; `now_wall_ms` is moved by the test."""

    def __init__(self, database: Database, legs: LegsOnFakes, settings: RegistrarSettings | None = None) -> None:
        self.database = database
        self.on_fakes = legs
        self.sip = Replies()
        self.outcomes: Counter[str] = Counter()
        self.now_wall_ms = 1_700_000_000_000
        self.known: set[str] = set()
        self.clock = Instant(0)
        authenticator = Authenticator(database, ("MD5",), lambda host: host in self.known, now=lambda: self.clock)
        self.registrar = Registrar(
            database,
            self.sip,
            authenticator,
            legs.facts,
            settings or RegistrarSettings(),
            count=lambda outcome: self.outcomes.update([outcome]),
            wall_ms=lambda: self.now_wall_ms,
        )
        self.door = EndpointDoor(
            database,
            legs.sip,
            authenticator,
            own_domains(("phones.example",), (DOMAIN,), 5060),
            is_source=self.registrar.is_source,
            let_in=legs.legs.receive,
        )
        legs.legs.door = self.door

    async def fill(self) -> None:
        """Store an account with an application and an endpoint."""

        def work(session: Session) -> None:
            ensure_account(session, ACCOUNT, "token")
            create_application(session, Application(APP, ACCOUNT, "a", answer_url="http://app/"))
            store.create_endpoint(session, Endpoint(ENDPOINT_ID, ACCOUNT, USERNAME, "Alice", APP), PASSWORD)

        await self.database.write(work)
        await self.registrar.start()

    async def close(self) -> None:
        """Stop both."""
        await self.registrar.close()
        await self.door.close()

    async def ask(self, request: SipRequest, flow: Flow) -> tuple[int, str, dict[str, list[str]]]:
        """Return status, reason and headers of the answer to a REGISTER; status 0 for silence."""
        replies, ignored = len(self.sip.replies), self.sip.ignored
        self.registrar.take(RegisterReceived(AskedId("asked"), request, flow))
        while len(self.sip.replies) == replies:
            if self.sip.ignored > ignored:
                return 0, "", {}
            await asyncio.sleep(0.001)
        status, reason, headers = self.sip.replies[-1]
        found: dict[str, list[str]] = {}
        for name, value in headers:
            found.setdefault(name, []).append(value)
        return status, reason, found

    async def registered(
        self, phone: RegisteringPhone, *extra: tuple[str, str], contact: str | None = None
    ) -> tuple[int, str, dict[str, list[str]]]:
        """Return the answer to a REGISTER of a phone that answers one challenge."""
        status, reason, headers = await self.ask(phone.register(*extra, contact=contact), phone.flow)
        if status != 401:
            return status, reason, headers
        challenges = headers["www-authenticate"]
        return await self.ask(phone.register(*extra, contact=contact, challenges=challenges), phone.flow)

    async def call(self, phone: RegisteringPhone, request: SipRequest, invite_id: str) -> str:
        """Return what became of an INVITE: the verb that answered it, or `leg`."""
        calls, legs = len(self.on_fakes.sip.calls), len(self.on_fakes.incoming)
        self.on_fakes.legs.handle_sip_event(received(request, offer=OFFER, invite_id=invite_id, source_host=phone.host))
        for _ in range(2_000):
            if len(self.on_fakes.incoming) > legs:
                return "leg"
            if len(self.on_fakes.sip.calls) > calls:
                return self.on_fakes.sip.last.verb
            await asyncio.sleep(0.001)
        raise AssertionError("the INVITE was neither answered nor let in")

    def challenges(self) -> list[str]:
        """Return the challenges of the last 407."""
        return self.on_fakes.sip.of("challenge")[-1].reason.split("; ")

    async def over(self) -> None:
        """Hang up every leg and check that nothing is left but the sweep."""
        await self.on_fakes.legs.close()
        await self.close()
        await settle()
        assert len(self.door) == 0
