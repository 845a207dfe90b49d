"""A leg's media session and the offer/answer state that governs it."""

from __future__ import annotations

from ringback.ids import CommandId, SessionId
from ringback.media.control.commands import CloseSession, OpenSession, SessionCommand, SetRemote
from ringback.media.control.port import CommandRejected, MediaPort, SessionListener
from ringback.media.control.values import Address, RejectCode
from ringback.numbers.trunks import NatMode
from ringback.sdp.errors import NoCommonCodec
from ringback.sdp.negotiate import LocalAudio, Negotiated, SdpState, answer_offer, apply_answer, check_offer, make_offer
from ringback.sdp.parser import parse_sdp
from ringback.sdp.session import SessionDescription
from ringback.signalling.errors import LegOver
from ringback.signalling.negotiate import bind_host, is_same_remote, local_audio, remote_of
from ringback.signalling.settings import SignallingSettings


class LegAudio:
    """One media session, and what both sides last said about it in SDP.

    Raises (from the async methods): `MediaError` of the port, `NoCommonCodec` and `MalformedSdp` of `sdp`. A failed
    exchange leaves state and media as they were.

    Attributes:
        signalling_host: Where the peer's SIP comes from; set anew when another phone answers than was thought.
    """

    def __init__(
        self,
        media: MediaPort,
        settings: SignallingSettings,
        session_id: SessionId,
        *,
        sdp_id: str,
        codecs: tuple[str, ...] = (),
        nat: NatMode = NatMode.AUTO,
        affinity: str = "",
    ) -> None:
        self._media = media
        self._settings = settings
        self._session_id = session_id
        self._sdp = SdpState(sdp_id)
        self._codecs = codecs or settings.codecs
        self._nat = nat
        self._affinity = affinity
        self.signalling_host = ""
        self._bound: Address | None = None
        self._remote: SetRemote | None = None
        self._is_gone = False

    @property
    def affinity(self) -> str:
        """Return the key that a session needs to be placed in the same worker as this one."""
        return self._affinity

    @property
    def is_open(self) -> bool:
        """Return whether a session lives in a worker."""
        return self._bound is not None and not self._is_gone

    @property
    def local(self) -> Address:
        """Return where RTP is bound.

        Raises:
            LegOver: The session is not open yet.
        """
        if self._bound is None:
            raise LegOver("found no media session, expected an open one")
        return self._bound

    @property
    def remote(self) -> SetRemote | None:
        """Return what the worker was last told, or `None` before the first exchange."""
        return self._remote

    async def open(
        self, listener: SessionListener, *, signalling_host: str, offer: SessionDescription | None = None
    ) -> None:
        """Bind RTP for a peer that signals from `signalling_host`, in the address family that its offer asks for."""
        media_host = check_offer(self._codecs, offer) if offer is not None else ""
        host = bind_host(self._settings, media_host or signalling_host)
        self.signalling_host = signalling_host
        opened = await self._media.open_session(
            OpenSession(
                command_id=self._media.new_command_id(),
                session_id=self._session_id,
                local_host=host,
                media_idle_ms=self._settings.media_idle_ms,
            ),
            listener,
            affinity=self._affinity,
        )
        self._bound = opened.local

    def offer(self) -> bytes:
        """Return our offer with every codec; `apply` takes the answer."""
        self._sdp, description = make_offer(self._sdp, self._audio())
        return description.to_bytes()

    async def answer(self, offer: SessionDescription) -> tuple[bytes, bool]:
        """Return our answer to an offer, put into force, and whether anything changed for the media."""
        negotiated = answer_offer(self._sdp, self._audio(), offer)
        changed = await self._put_into_force(negotiated)
        assert negotiated.local_sdp is not None  # an answer always carries its text
        return negotiated.local_sdp.to_bytes(), changed

    async def apply(self, answer: bytes) -> bool:
        """Put the peer's answer to our last offer into force; return whether anything changed for the media."""
        return await self._put_into_force(apply_answer(self._sdp, self._audio(), parse_sdp(answer)))

    async def send(self, command: SessionCommand) -> None:
        """Pass a command of the leg's owner on.

        Raises:
            LegOver: No session is open.
        """
        if not self.is_open:
            raise LegOver("found no media session, expected an open one")
        await self._media.send(command)

    async def close(self) -> None:
        """Ask the worker to close the session; `SessionClosed` follows. Nothing happens when none is open."""
        if self.is_open:
            await self._media.send(CloseSession(command_id=self._media.new_command_id(), session_id=self._session_id))

    def forget(self) -> None:
        """Note that the session no longer exists: its worker closed it or died."""
        self._is_gone = True

    def new_command_id(self) -> CommandId:
        """Return a fresh id for a command of the owner."""
        return self._media.new_command_id()

    def _audio(self) -> LocalAudio:
        return local_audio(self._settings, self._codecs, self.local, self.signalling_host)

    async def _put_into_force(self, negotiated: Negotiated) -> bool:
        command = remote_of(
            negotiated,
            command_id=self._media.new_command_id(),
            session_id=self._session_id,
            signalling_host=self.signalling_host,
            nat=self._nat,
            previous=self._remote,
        )
        changed = command is not None and not is_same_remote(self._remote, command)
        if command is not None and changed:
            try:
                await self._media.send(command)
            except CommandRejected as error:
                if error.reject is RejectCode.INVALID:
                    # The worker never sends to such an address. The peer is told about its SDP, not about workers.
                    raise NoCommonCodec(
                        f"found media at {command.address.host} port {command.address.port}, "
                        "allowed is a unicast address and a port from 1024 on",
                        code="media-address-refused",
                    ) from error
                raise
            self._remote = command
        self._sdp = negotiated.state
        return changed
