"""One call of a phone: its SIP dialog, its audio, and what became of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

from ringback import clock, ids
from ringback.errors import ProtocolError, RingbackError
from ringback.ids import CommandId
from ringback.machine import Instant
from ringback.media.control.commands import SetRemote
from ringback.media.control.events import AnySessionEvent, DigitReceived, MediaStarted, PlayFinished, SessionClosed
from ringback.media.control.values import Address, Codec, LatchPolicy, MediaDirection
from ringback.phones.audio import PhoneAudio
from ringback.phones.checks import Heard, judge
from ringback.phones.timeline import Line
from ringback.phones.tones import Samples, silence
from ringback.sdp.negotiate import (
    LocalAudio,
    Negotiated,
    PayloadFormat,
    SdpState,
    answer_offer,
    apply_answer,
    make_offer,
)
from ringback.sdp.parser import parse_sdp
from ringback.sdp.session import Direction
from ringback.sip.endpoint import (
    Answered,
    CancelReceived,
    Confirmed,
    HeaderLines,
    HungUp,
    InfoAnswered,
    InfoReceived,
    InviteEnded,
    InviteEvent,
    InviteId,
    InviteReceived,
    Progressed,
    Refused,
    ReofferAnswered,
    ReofferConfirmed,
    Reoffered,
    ReofferRefused,
)
from ringback.sip.message import SipMessage

CALL_UUID_HEADER = "X-CallUUID"
EndedBy = Literal["us", "them", "nobody"]


class CallNotAnswered(ProtocolError):
    """A call that the other side refused, or that reached nobody; `status` is the SIP status."""

    default_code = "call-not-answered"

    def __init__(self, message: str, *, status: int, is_local: bool) -> None:
        super().__init__(message, status=status)
        self.status = status
        self.is_local = is_local


@dataclass(frozen=True, slots=True)
class CallEnd:
    """What became of a call. `status` is the refusing SIP status, 0 for a call that was answered."""

    by: EndedBy
    status: int = 0
    reason: str = ""
    is_local: bool = False
    """The status is our own: nobody answered at all."""


class SipVerbs(Protocol):
    """The verbs of `SipDriver` that a call uses."""

    def progress(self, invite_id: InviteId, status: int, sdp: bytes | None = None, headers: HeaderLines = ()) -> bool:
        """Send a provisional response."""

    def answer(self, invite_id: InviteId, sdp: bytes, headers: HeaderLines = ()) -> bool:
        """Send the 200."""

    def reject(self, invite_id: InviteId, status: int, reason: str = "", headers: HeaderLines = ()) -> bool:
        """Send a final refusal."""

    def hangup(self, invite_id: InviteId, reason_header: str = "", headers: HeaderLines = ()) -> bool:
        """End the call as its state needs."""

    def ack_with(self, invite_id: InviteId, sdp: bytes) -> bool:
        """Answer an offer that came in a 200."""

    def reoffer(self, invite_id: InviteId, sdp: bytes | None) -> bool:
        """Send a re-INVITE."""

    def accept_reoffer(self, invite_id: InviteId, sdp: bytes) -> bool:
        """Accept a re-INVITE."""

    def refuse_reoffer(self, invite_id: InviteId, status: int, reason: str = "") -> bool:
        """Refuse a re-INVITE."""

    def send_info(self, invite_id: InviteId, content_type: str, body: bytes) -> bool:
        """Send an INFO."""


class PhoneCall:
    """One call, placed or received.

    State: `until_answered` and `until_ended` may be awaited at any time. `call_uuid` is known once the platform has
    said it. Everything is freed when `until_ended` returns.
    """

    def __init__(
        self,
        sip: SipVerbs,
        audio: PhoneAudio,
        local: LocalAudio,
        on_line: Callable[[Line], None],
        *,
        received: InviteReceived | None = None,
    ) -> None:
        self.call_uuid = ""
        self.digits = ""
        """Digits that the other side has sent."""
        self.codec = ""
        self.answered_at: Instant | None = None
        self.ended_at: Instant | None = None
        self.end: CallEnd | None = None
        self.totals: SessionClosed | None = None
        self.request = received.request if received else None
        """The INVITE of a received call."""
        self.responses: list[int] = []
        """Every status that a placed call met, in order."""
        self.invite_id = received.invite_id if received else InviteId("")
        self._sip = sip
        self._audio = audio
        self._local = local
        self._state = SdpState(session_id=ids.new_digits(9))
        self._offer = received.offer if received else None
        self._is_hanging_up = False
        self._on_line = on_line
        self._answered = asyncio.Event()
        self._over = asyncio.Event()
        self._identified = asyncio.Event()
        self._unplayed = 0
        self._played = asyncio.Event()
        self._played.set()
        if received:
            self._note_uuid(received.request)

    async def until_answered(self, timeout_s: float = 20) -> None:
        """Return when the call is answered.

        Raises:
            CallNotAnswered: it was refused, ended, or nothing happened in time.
        """
        waits = [asyncio.ensure_future(event.wait()) for event in (self._answered, self._over)]
        try:
            await asyncio.wait(waits, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
        if not self._answered.is_set():
            end = self.end or CallEnd("nobody", 0, "no answer in time", is_local=True)
            raise CallNotAnswered(f"{end.status} {end.reason}".strip(), status=end.status, is_local=end.is_local)

    async def until_identified(self) -> None:
        """Return when the platform has said the CallUUID, or the call is over without one."""
        await self._identified.wait()

    async def until_ended(self, timeout_s: float = 20) -> CallEnd:
        """Return what became of the call when nothing of it is left.

        Raises:
            TimeoutError: it goes on.
        """
        async with asyncio.timeout(timeout_s):
            await self._over.wait()
        assert self.end is not None
        return self.end

    def play(self, samples: Samples) -> None:
        """Play samples once towards the other side, behind what plays already."""
        self._unplayed += 1
        self._played.clear()
        self._audio.play(samples)

    async def until_played(self, timeout_s: float = 30) -> None:
        """Return when all that `play` was given has left this phone, or the call is over.

        Raises:
            TimeoutError: it still plays.
        """
        async with asyncio.timeout(timeout_s):
            await self._played.wait()

    def send_digits(self, digits: str) -> None:
        """Send digits as telephone events.

        Raises:
            ValueError: a character is no digit.
        """
        if not self._audio.send_digits(digits):
            raise ValueError(f"read {digits!r}, expected 0-9 * # A-D, w and W for pauses")
        self._note("digits", f"sent {digits}")

    def send_info_digits(self, digits: str) -> None:
        """Send digits as SIP INFO (`application/dtmf-relay`), one request each; the call must be answered."""
        for digit in digits:
            body = f"Signal={digit}\r\nDuration=160\r\n".encode()
            self._sip.send_info(self.invite_id, "application/dtmf-relay", body)
        self._note("digits", f"sent {digits} by INFO")

    def heard(self) -> Heard:
        """Return what came back so far, measured."""
        return judge(self._audio.take_sent(), self._audio.take_heard(), self.answered_at or clock.now())

    def heard_samples(self) -> Samples:
        """Return what came back so far, 8 kHz mono."""
        take = self._audio.take_heard()
        return take.samples if take else silence(0)

    @property
    def stood_still_ms(self) -> int:
        """Return for how long audio rested, in either direction, because a process got no processor; added up."""
        return self._audio.stood_still_ms

    def ring(self, status: int = 180) -> None:
        """Say that this phone rings."""
        self._sip.progress(self.invite_id, status)

    def ring_with_audio(self) -> None:
        """Say that this phone rings and let the caller hear it already (183 with SDP).

        Raises:
            RingbackError: the offer cannot be answered, or there was none.
        """
        if self._offer is None:
            raise ProtocolError("found no offer in the INVITE, expected one to answer early")
        outcome = answer_offer(self._state, self._local, parse_sdp(self._offer))
        assert outcome.local_sdp is not None
        self._sip.progress(self.invite_id, 183, outcome.local_sdp.to_bytes())
        self._apply(outcome, is_answer=False)

    def answer(self) -> None:
        """Answer a received call.

        Raises:
            RingbackError: the offer cannot be answered; the call has been refused with 488.
        """
        if self._offer is None:
            self._state, offer = make_offer(self._state, self._local)
            self._sip.answer(self.invite_id, offer.to_bytes())
            return
        try:
            outcome = answer_offer(self._state, self._local, parse_sdp(self._offer))
        except RingbackError:
            self._sip.reject(self.invite_id, 488)
            raise
        assert outcome.local_sdp is not None
        self._sip.answer(self.invite_id, outcome.local_sdp.to_bytes())
        self._apply(outcome)

    def reject(self, status: int = 486, reason: str = "") -> None:
        """Refuse a received call."""
        self.end = CallEnd("us", status, reason)
        self._sip.reject(self.invite_id, status, reason)

    def hang_up(self) -> None:
        """End the call, in whatever state it is; repeatable."""
        if not self._is_hanging_up:
            self._is_hanging_up = True
            self._note("hangup", "by this phone")
            self._sip.hangup(self.invite_id)

    def hold(self) -> None:
        """Ask the other side to stop sending (re-INVITE, sendonly)."""
        self.renegotiate(direction=Direction.SENDONLY)

    def resume(self) -> None:
        """End the hold."""
        self.renegotiate(direction=Direction.SENDRECV)

    def renegotiate(self, *, direction: Direction | None = None, codecs: tuple[str, ...] | None = None) -> None:
        """Send a re-INVITE with another direction or other codecs."""
        self._local = replace(
            self._local, direction=direction or self._local.direction, codecs=codecs or self._local.codecs
        )
        self._state, offer = make_offer(self._state, self._local)
        self._sip.reoffer(self.invite_id, offer.to_bytes())

    def first_offer(self) -> bytes:
        """Return the SDP of a call that is about to be placed."""
        self._state, offer = make_offer(self._state, self._local)
        return offer.to_bytes()

    def note_sent(self, uri: str) -> None:
        """Note that the INVITE has left."""
        self._note("sip", f"→ INVITE {uri}")

    @property
    def is_over(self) -> bool:
        """Return whether nothing of the call is left."""
        return self._over.is_set()

    def free(self) -> None:
        """Drop the call without a word to the other side."""
        self.end = self.end or CallEnd("nobody")
        self.ended_at = self.ended_at or clock.now()
        self._audio.close()
        self._identified.set()
        self._played.set()
        self._over.set()

    def handle_audio_event(self, event: AnySessionEvent) -> None:
        """Take an event of this call's media session."""
        match event:
            case MediaStarted():
                self._note("audio", f"first packet from {event.remote.host}:{event.remote.port}")
            case DigitReceived():
                self.digits += event.digit
                self._note("digit", f"heard {event.digit}")
            case SessionClosed():
                self.totals = event
            case PlayFinished():
                self._unplayed -= 1
                if not self._unplayed:
                    self._played.set()
            case _:
                # Other events of the session are of no interest to a phone: it judges by what it heard.
                pass

    def handle_sip_event(self, event: InviteEvent) -> None:
        """Take an event of this call's INVITE usage."""
        match event:
            case Progressed():
                self._note_response(event.response, event.status, event.reason)
                if event.sdp is not None:
                    self._apply_answer(event.sdp)
            case Answered():
                self._note_response(event.response, 200, "OK")
                self._take_answer(event.sdp)
            case Refused():
                if event.response is not None:
                    self._note_response(event.response, event.status, event.reason)
                by: EndedBy = "us" if self._is_hanging_up else "nobody" if event.local else "them"
                self.end = self.end or CallEnd(by, event.status, event.reason, event.local)
                if event.local:
                    self._note("sip", f"no answer: {event.detail.value}")
            case CancelReceived():
                self._note("sip", "← CANCEL")
                self.end = self.end or CallEnd("them", 487, "Request Terminated")
            case Confirmed():
                if event.sdp is not None:
                    self._apply_answer(event.sdp)
            case HungUp():
                self._note("hangup", "by the other side" if event.request is not None else event.detail.value)
                self.end = self.end or CallEnd("them" if event.request is not None else "nobody")
            case Reoffered():
                self._answer_reoffer(event)
            case ReofferAnswered() | ReofferConfirmed():
                if event.sdp is not None:
                    self._apply_answer(event.sdp)
            case ReofferRefused():
                self._note("sip", f"re-INVITE refused: {event.status} {event.reason}")
            case InviteEnded():
                self.end = self.end or CallEnd("us")
                self.free()
            case InviteReceived() | InfoReceived() | InfoAnswered():
                pass

    def _take_answer(self, sdp: bytes | None) -> None:
        if sdp is None:
            self._note("sip", "answered without SDP")
        self._mark_answered()
        if sdp is not None:
            self._apply_answer(sdp)

    def _apply_answer(self, sdp: bytes) -> None:
        try:
            self._apply(apply_answer(self._state, self._local, parse_sdp(sdp)))
        except RingbackError as error:
            self._note("sdp", f"unusable answer: {error}")
            self.hang_up()

    def _answer_reoffer(self, event: Reoffered) -> None:
        if event.sdp is None:
            self._state, offer = make_offer(self._state, self._local)
            self._sip.accept_reoffer(self.invite_id, offer.to_bytes())
            return
        try:
            outcome = answer_offer(self._state, self._local, parse_sdp(event.sdp))
        except RingbackError as error:
            self._note("sdp", f"unusable offer: {error}")
            self._sip.refuse_reoffer(self.invite_id, 488)
            return
        assert outcome.local_sdp is not None
        self._sip.accept_reoffer(self.invite_id, outcome.local_sdp.to_bytes())
        self._apply(outcome)

    def _apply(self, outcome: Negotiated, *, is_answer: bool = True) -> None:
        self._state = outcome.state
        if outcome.send_codec is None:
            return
        self.codec = outcome.send_codec.name
        remote = outcome.remote_address
        self._audio.set_remote(
            SetRemote(
                command_id=CommandId(""),
                session_id=self._audio.session_id,
                address=Address(*remote) if remote else Address("0.0.0.0", 0),
                codec=_codec(outcome.send_codec),
                receive_codecs=tuple(map(_codec, outcome.receive_codecs)),
                dtmf_payload_type=-1 if outcome.dtmf_payload_type is None else outcome.dtmf_payload_type,
                ptime_ms=outcome.ptime_ms,
                direction=MediaDirection(outcome.direction.value),
                latch=LatchPolicy.SIGNALLED,
                signalling_host=remote[0] if remote else "",
            )
        )
        if self.request is not None and is_answer:
            self._mark_answered()

    def _mark_answered(self) -> None:
        if self.answered_at is None:
            self.answered_at = clock.now()
            self._answered.set()

    def _note_response(self, response: SipMessage, status: int, reason: str) -> None:
        self.responses.append(status)
        self._note_uuid(response)
        self._note("sip", f"← {status} {reason}")

    def _note_uuid(self, message: SipMessage) -> None:
        self.call_uuid = self.call_uuid or message.headers.get(CALL_UUID_HEADER) or ""
        if self.call_uuid:
            self._identified.set()

    def _note(self, label: str, text: str) -> None:
        self._on_line(Line(clock.wall_ms(), label, text))


def _codec(payload: PayloadFormat) -> Codec:
    return Codec(payload.name, payload.payload_type, payload.clock_hz)
