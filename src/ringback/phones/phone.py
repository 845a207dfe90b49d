"""A SIP phone: places and receives calls on its own SIP socket, its own RTP sockets and its own pacer.

Example of use, inside a running loop:

    phone = Phone(PhoneSettings())
    await phone.start()
    call = await phone.call("sip:15550001000@127.0.0.1:5060")
    await call.until_answered()
    call.play(melody(seed=1, duration_ms=2000))
    ...
    call.hang_up()
    await call.until_ended()
    await phone.close()
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

from ringback.media.control.events import AnySessionEvent
from ringback.phones.audio import Pacer, PhoneAudio
from ringback.phones.call import PhoneCall
from ringback.phones.timeline import Line
from ringback.sdp.negotiate import LocalAudio
from ringback.sip.address import name_addr
from ringback.sip.digest import Credentials
from ringback.sip.endpoint import (
    HeaderLines,
    InviteEvent,
    InviteId,
    InviteReceived,
    OutboundInvite,
    Target,
    Transport,
)
from ringback.sip.settings import SipSettings
from ringback.sip.transport.driver import SipDriver

WAITING_MAX = 1_000
"""Received calls that nobody has taken yet; a further one is refused with 486."""


@dataclass(frozen=True, slots=True)
class PhoneSettings:
    """What a phone is."""

    user: str = "15550009999"
    display: str = ""
    host: str = "127.0.0.1"
    port: int = 0
    codecs: tuple[str, ...] = ("PCMU", "PCMA")
    ptime_ms: int = 20
    user_agent: str = "Ringback-Phone"
    credentials: tuple[Credentials, ...] = ()


def _ignore(_line: Line) -> None:
    """Take a line of nobody's interest."""


MakeAudio = Callable[[Pacer, Callable[[AnySessionEvent], None]], PhoneAudio]
"""Makes the audio of each call; a test may put a bad network before it."""


class Phone:
    """One phone; its calls share its SIP port and its pacer.

    State: usable between `start` and `close`. `close` ends no call politely: hang up first.
    """

    def __init__(
        self,
        settings: PhoneSettings | None = None,
        on_line: Callable[[Line], None] = _ignore,
        make_audio: MakeAudio = PhoneAudio,
    ) -> None:
        self.settings = settings or PhoneSettings()
        self.pacer = Pacer()
        self._on_line = on_line
        self._make_audio = make_audio
        here = (self.settings.host, self.settings.port)
        self._sip = SipDriver(
            SipSettings(udp_listeners=(here,), tcp_listeners=(here,), user_agent=self.settings.user_agent),
            on_event=self._handle,
            is_trusted=lambda _host: True,
        )
        self._calls: dict[InviteId, PhoneCall] = {}
        # Events of calls that have no `PhoneCall` yet: a placed one until `invite` returns its id, a received one until
        # its RTP socket is open.
        self._early: list[InviteEvent] | None = None
        self._unopened: dict[InviteId, list[InviteEvent]] = {}
        self._incoming: asyncio.Queue[PhoneCall] = asyncio.Queue(WAITING_MAX)
        self._opening: set[asyncio.Task[None]] = set()

    @property
    def uri(self) -> str:
        """Return the address at which this phone takes calls over UDP."""
        listener = self._listener(Transport.UDP)
        return f"sip:{self.settings.user}@{listener[0]}:{listener[1]}"

    @property
    def tcp_uri(self) -> str:
        """Return the address at which this phone takes calls over TCP."""
        listener = self._listener(Transport.TCP)
        return f"sip:{self.settings.user}@{listener[0]}:{listener[1]};transport=tcp"

    @property
    def is_idle(self) -> bool:
        """Return whether no call and no SIP transaction is left."""
        return not self._calls and self._sip.idle

    async def start(self) -> None:
        """Bind the SIP sockets.

        Raises:
            SipBindFailed: the port is taken.
        """
        await self._sip.start()

    async def hang_up_all(self, timeout_s: float = 2) -> None:
        """End every call and return when all are over, or after `timeout_s`."""
        calls = list(self._calls.values())
        for call in calls:
            call.hang_up()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                for call in calls:
                    await call.until_ended(timeout_s)

    async def close(self) -> None:
        """Free everything."""
        for task in self._opening:
            task.cancel()
        await self._sip.close()
        for call in list(self._calls.values()):
            call.free()
        self._calls.clear()

    async def call(
        self, uri: str, *, caller: str = "", headers: HeaderLines = (), targets: tuple[Target, ...] = ()
    ) -> PhoneCall:
        """Return a call that is being placed to `uri`.

        Args:
            caller: The user part of From instead of the phone's own.
            targets: Where to send it instead of what `uri` resolves to.
        Raises:
            RingbackError: `uri` is unusable or leads nowhere.
        """
        targets = targets or await self._sip.resolve(uri)
        call = await self._new_call(None)
        host, port = self._listener(Transport.UDP)
        outbound = OutboundInvite(
            request_uri=uri,
            from_=name_addr(f"sip:{caller or self.settings.user}@{host}:{port}", self.settings.display),
            to=name_addr(uri),
            targets=targets,
            headers=headers,
            sdp=call.first_offer(),
            credentials=self.settings.credentials,
            contact_user=caller or self.settings.user,
        )
        self._early = []
        try:
            call.invite_id = self._sip.invite(outbound)
            self._calls[call.invite_id] = call
            early, self._early = self._early, None
            for event in early:
                self._handle(event)
        except BaseException:
            self._early = None
            call.free()
            raise
        call.note_sent(uri)
        return call

    async def next_call(self, timeout_s: float = 20) -> PhoneCall:
        """Return the next call that reaches this phone; it has to be answered or rejected.

        Raises:
            TimeoutError: none came.
        """
        async with asyncio.timeout(timeout_s):
            return await self._incoming.get()

    def _listener(self, transport: Transport) -> tuple[str, int]:
        listener = next(each for each in self._sip.listeners if each.transport is transport)
        return listener.advertised_host, listener.advertised_port

    async def _new_call(self, received: InviteReceived | None) -> PhoneCall:
        call: PhoneCall | None = None

        def deliver(event: AnySessionEvent) -> None:
            if call is not None:
                call.handle_audio_event(event)

        audio = self._make_audio(self.pacer, deliver)
        await audio.open(self.settings.host)
        host, port = audio.local
        local = LocalAudio(host, port, codecs=self.settings.codecs, ptime_ms=self.settings.ptime_ms)
        call = PhoneCall(self._sip, audio, local, self._on_line, received=received)
        return call

    def _handle(self, event: InviteEvent) -> None:
        if isinstance(event, InviteReceived):
            self._unopened[event.invite_id] = []
            task = asyncio.get_running_loop().create_task(self._receive(event))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)
            return
        call = self._calls.get(event.invite_id)
        if call is None:
            waiting = self._unopened.get(event.invite_id, self._early)
            if waiting is not None:
                waiting.append(event)
            return
        call.handle_sip_event(event)
        if call.is_over:
            del self._calls[event.invite_id]

    async def _receive(self, event: InviteReceived) -> None:
        call = await self._new_call(event)
        self._calls[event.invite_id] = call
        for early in self._unopened.pop(event.invite_id):
            self._handle(early)
        try:
            self._incoming.put_nowait(call)
        except asyncio.QueueFull:
            call.reject(486)
