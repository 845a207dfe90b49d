"""The registry of legs: incoming INVITEs become legs here, outbound legs are made here, and none is forgotten."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from ringback.media.control.port import MediaPort
from ringback.numbers.trunks import Trunk
from ringback.signalling.events import DialRequest
from ringback.signalling.settings import SignallingSettings
from ringback.signalling.sip_leg import SipLeg
from ringback.signalling.sip_port import SipPort
from ringback.sip.endpoint import InviteEvent
from ringback.telemetry.events import EventSink


class Legs:
    """All legs of the node, keyed by their INVITE usage.

    Attributes:
        on_incoming: Called once with every admitted inbound leg; it sets `leg.listener` before it returns.
        trunks: Who may call in; replaced as a whole when the configuration changes.
    """

    on_incoming: Callable[[SipLeg], None]
    trunks: tuple[Trunk, ...]

    def __init__(
        self,
        sip: SipPort,
        media: MediaPort,
        timeline: EventSink,
        settings: SignallingSettings,
        trunks: Iterable[Trunk] = (),
    ) -> None:
        raise NotImplementedError

    def handle_sip_event(self, event: InviteEvent) -> None:
        """Take one event of the SIP endpoint: `SipDriver(on_event=legs.handle_sip_event)`."""
        raise NotImplementedError

    def dial(self, request: DialRequest) -> SipLeg:
        """Return a new outbound leg that starts by itself; set its `listener` before yielding to the loop.

        Raises:
            TooManyLegs: The node is full or drains.
        """
        raise NotImplementedError

    @property
    def live_count(self) -> int:
        """Return how many legs have not ended."""
        raise NotImplementedError

    def live(self) -> tuple[SipLeg, ...]:
        """Return the legs that have not ended."""
        raise NotImplementedError

    def call_uuid_of(self, invite_id: str) -> str | None:
        """Return the call that an INVITE usage belongs to, until its `InviteEnded`."""
        raise NotImplementedError

    def drain(self) -> None:
        """Refuse new legs in both directions from now on; live ones go on."""
        raise NotImplementedError

    async def close(self) -> None:
        """Drain, hang up every leg and return when all have ended."""
        raise NotImplementedError
