"""Legs between a SIP endpoint and a media plane in memory."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from ringback.machine import Instant
from ringback.numbers.trunks import Trunk
from ringback.signalling.events import DialRequest, LegEnd, LegEnded, LegEvent
from ringback.signalling.legs import Legs
from ringback.signalling.settings import SignallingSettings
from ringback.signalling.sip_leg import SipLeg
from ringback.sip.endpoint import InviteReceived
from tests.support.fake_media import FakeMediaPort
from tests.support.fake_sip import FakeSipPort, received


class Clock:
    """A monotonic clock that a test moves."""

    def __init__(self) -> None:
        self.now = Instant(0)

    def __call__(self) -> Instant:
        """Return the time."""
        return self.now


@dataclass
class Facts:
    """An event sink that remembers."""

    rows: list[tuple[str, str, Mapping[str, object]]] = field(default_factory=list)

    def record(self, call_uuid: str, kind: str, fields: Mapping[str, object]) -> None:
        """Keep one fact."""
        self.rows.append((call_uuid, kind, fields))

    def of(self, kind: str, event: str = "") -> list[Mapping[str, object]]:
        """Return the fields of one kind, and of one `event` if given."""
        return [fields for _, found, fields in self.rows if found == kind and (not event or fields["event"] == event)]


class LegsOnFakes:
    """`Legs` on fakes.

    Attributes:
        incoming: The legs that were handed over, in order.
        events: What each leg reported, by leg id.
    """

    def __init__(self, settings: SignallingSettings | None = None, trunks: tuple[Trunk, ...] = ()) -> None:
        self.sip = FakeSipPort()
        self.media = FakeMediaPort()
        self.facts = Facts()
        self.clock = Clock()
        self.incoming: list[SipLeg] = []
        self.events: dict[str, list[LegEvent]] = {}
        self.forbidden: set[str] = set()
        self.legs = Legs(
            self.sip,
            self.media,
            self.facts,
            settings or SignallingSettings(),
            trunks,
            now=self.clock,
            judge_target=lambda host, port: f"{host} is closed" if host in self.forbidden else "",
        )
        self.legs.on_incoming = self._take

    def call_in(self, event: InviteReceived | None = None) -> SipLeg:
        """Return the leg of a new incoming call."""
        self.legs.handle_sip_event(event or received())
        return self.incoming[-1]

    async def answered_in(self, event: InviteReceived | None = None) -> SipLeg:
        """Return the leg of an incoming call that is answered."""
        leg = self.call_in(event)
        await leg.answer()
        return leg

    def dial(self, request: DialRequest | None = None) -> SipLeg:
        """Return a new outbound leg."""
        leg = self.legs.dial(
            request or DialRequest(call_uuid="uuid-1", request_uri="sip:bob@127.0.0.1:5080", from_uri="15550001000")
        )
        self._watch(leg)
        return leg

    async def dialled(self, request: DialRequest | None = None) -> SipLeg:
        """Return an outbound leg whose INVITE is sent."""
        leg = self.dial(request)
        await settle()
        return leg

    def told(self, leg: SipLeg) -> list[LegEvent]:
        """Return what the leg reported."""
        return self.events[leg.leg_id]

    def end_of(self, leg: SipLeg) -> LegEnd:
        """Return how the leg ended, after checking that it said so once and last."""
        ends = [event for event in self.told(leg) if isinstance(event, LegEnded)]
        assert len(ends) == 1
        assert self.told(leg)[-1] is ends[0]
        return ends[0].end

    async def assert_nothing_left(self) -> None:
        """Check that no leg, session, name or task is left."""
        await settle()
        assert self.legs.live_count == 0
        assert self.legs.live_of_trunk() == {}
        assert self.media.sessions == {}
        assert asyncio.all_tasks() == {asyncio.current_task()}

    def _take(self, leg: SipLeg) -> None:
        self.incoming.append(leg)
        self._watch(leg)

    def _watch(self, leg: SipLeg) -> None:
        self.events[leg.leg_id] = []
        leg.listener = self.events[leg.leg_id].append


async def settle() -> None:
    """Let everything that is ready run."""
    for _ in range(20):
        await asyncio.sleep(0)
