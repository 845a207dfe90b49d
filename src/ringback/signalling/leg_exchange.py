"""The offers and answers of one leg, each put into force by its media session."""

from __future__ import annotations

from collections.abc import Callable

from ringback.errors import MediaError, RingbackError
from ringback.media.control.port import SessionListener
from ringback.sdp.errors import MalformedSdp, NoCommonCodec
from ringback.sdp.parser import parse_sdp
from ringback.sdp.session import SessionDescription
from ringback.signalling.errors import LegOver
from ringback.signalling.leg import Trigger
from ringback.signalling.leg_audio import LegAudio
from ringback.signalling.leg_reports import LegReports
from ringback.signalling.sip_port import SipPort
from ringback.sip.endpoint import InviteId, Progressed, Reoffered


class LegExchange:
    """What both sides of a leg say in SDP: each method is one exchange, and the leg runs one at a time.

    How it went comes by `feed` (a trigger of the leg's machine) and `fail`; no method raises what a peer or a worker
    can cause.

    Attributes:
        local_sdp: Our last offer, or our answer to the INVITE.
        has_early_media: Whether the callee is heard before the answer.
    """

    __slots__ = ("_audio", "_fail", "_feed", "_reports", "_sip", "has_early_media", "local_sdp")

    def __init__(
        self,
        sip: SipPort,
        audio: LegAudio,
        reports: LegReports,
        *,
        feed: Callable[[Trigger], None],
        fail: Callable[[RingbackError], None],
    ) -> None:
        self._sip = sip
        self._audio = audio
        self._reports = reports
        self._feed = feed
        self._fail = fail
        self.local_sdp = b""
        self.has_early_media = False

    async def open(self, listener: SessionListener, *, signalling_host: str, offer: SessionDescription | None) -> None:
        """Open the session and answer the INVITE's offer, or make ours when there is none."""
        try:
            await self._audio.open(listener, signalling_host=signalling_host, offer=offer)
            if offer is None:
                self.local_sdp = self._audio.offer()
                self._feed(Trigger.OFFER_READY)
            else:
                self.local_sdp, _ = await self._audio.answer(offer)
                self._feed(Trigger.MEDIA_READY)
        except (MediaError, MalformedSdp) as error:
            self._fail(error)

    async def agree(self, sdp: bytes | None) -> None:
        """Take the answer to our offer; `None` when the message that should bring it has no body."""
        try:
            if sdp is not None:
                await self._audio.apply(sdp)
            elif not self.has_early_media:
                raise NoCommonCodec("found no SDP where the answer to our offer belongs")
            self._feed(Trigger.AGREED)
        except (MediaError, MalformedSdp) as error:
            self._fail(error)

    async def take_early_media(self, event: Progressed, sdp: bytes) -> None:
        """Take the answer of a provisional response, and report that the callee rings."""
        try:
            await self._audio.apply(sdp)
            self.has_early_media = True
        except (NoCommonCodec, MalformedSdp) as error:
            # Early media is a courtesy: the 2xx decides whether the call can be had.
            self._reports.note("early media refused", detail=str(error))
        except MediaError as error:
            self._fail(error)
            return
        self._reports.ringing(event.status, has_early_media=self.has_early_media)

    async def renegotiate(self, invite_id: InviteId, event: Reoffered) -> None:
        """Answer a re-INVITE or UPDATE; refusing it leaves everything as it was."""
        try:
            if event.sdp is None:
                self._sip.accept_reoffer(invite_id, self._audio.offer())
                return
            answer, changed = await self._audio.answer(parse_sdp(event.sdp))
        except MalformedSdp as error:
            self._refuse(invite_id, 400, error, "Bad SDP")
        except NoCommonCodec as error:
            self._refuse(invite_id, error.sip_status, error)
        except (MediaError, LegOver) as error:
            self._refuse(invite_id, 500, error)
        else:
            self._sip.accept_reoffer(invite_id, answer)
            if changed:
                self._report_renegotiated()

    async def conclude(self, sdp: bytes) -> None:
        """Take the answer to the offer that we made when a re-INVITE brought none."""
        try:
            if await self._audio.apply(sdp):
                self._report_renegotiated()
        except (MediaError, MalformedSdp) as error:
            self._fail(error)

    def _refuse(self, invite_id: InviteId, status: int, error: RingbackError, reason: str = "") -> None:
        self._sip.refuse_reoffer(invite_id, status, reason)
        self._reports.note("re-INVITE refused", status=status, detail=str(error))

    def _report_renegotiated(self) -> None:
        remote = self._audio.remote
        if remote is not None:
            self._reports.renegotiated(remote)
