"""One leg on SIP: drives its state machine, its INVITE usage and its media session."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import assert_never

from ringback import clock
from ringback.errors import InvalidParameter, MediaError, RingbackError
from ringback.ids import CommandId, LegId, SessionId
from ringback.machine import SECOND, Instant
from ringback.media.control.commands import ReportDigit, SessionCommand
from ringback.media.control.events import AnySessionEvent, DigitReceived, SessionClosed
from ringback.media.control.port import MediaPort, WorkerGone, WorkerLost
from ringback.sdp.errors import MalformedSdp, NoCommonCodec
from ringback.signalling.custom_headers import incoming_headers
from ringback.signalling.digits import InfoDigit, read_info
from ringback.signalling.errors import LegOver, MediaSetupFailed
from ringback.signalling.events import (
    LegEnd,
    LegEndKind,
)
from ringback.signalling.identity import clean_name
from ringback.signalling.jobs import JobQueue
from ringback.signalling.journal import written
from ringback.signalling.leg import (
    ANSWERED,
    UNANSWERED_INBOUND,
    Effect,
    Leg,
    LegInput,
    LegLimits,
    LegOutput,
    State,
    Trigger,
)
from ringback.signalling.leg_audio import LegAudio
from ringback.signalling.leg_ends import (
    end_of_dialog,
    end_of_refusal,
    reason_header,
    reason_of_end,
    status_of_cause,
    warning_header,
)
from ringback.signalling.leg_exchange import LegExchange
from ringback.signalling.leg_parts import InboundPart, LegDirection, OutboundPart, Parties
from ringback.signalling.leg_reports import LegListener, LegReports
from ringback.signalling.leg_targets import (
    FoundTargets,
    PhoneFinder,
    TargetJudge,
    any_target,
    find_targets,
    no_phones,
)
from ringback.signalling.settings import SignallingSettings
from ringback.signalling.sip_port import SipPort
from ringback.sip.endpoint import (
    Answered,
    CancelReceived,
    Confirmed,
    HungUp,
    InfoAnswered,
    InfoReceived,
    InviteEnded,
    InviteEvent,
    InviteId,
    InviteReceived,
    OutboundInvite,
    Progressed,
    Refused,
    ReofferAnswered,
    ReofferConfirmed,
    Reoffered,
    ReofferRefused,
)
from ringback.sip.header_fields import application_header
from ringback.sip.headers.reason import Reason
from ringback.telemetry.events import EventSink
from ringback.telemetry.logs import get_logger

_log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class LegServices:
    """What every leg of a node shares.

    `place` sends an INVITE and routes its events to the leg; `on_ended` takes the leg out of the registry.
    """

    sip: SipPort
    media: MediaPort
    timeline: EventSink
    settings: SignallingSettings
    place: Callable[[SipLeg, OutboundInvite], InviteId]
    on_ended: Callable[[SipLeg], None]
    now: Callable[[], Instant] = clock.now
    judge_target: TargetJudge = any_target
    find_phones: PhoneFinder = no_phones


class SipLeg:
    """One side of a call: one SIP dialog and one media session.

    Attributes:
        leg_id, session_id: Minted by `Legs`; the media session exists from `answer` (inbound) or the start (outbound).
        direction: Inbound or outbound.
        caller, callee: Digits without `+`, or a `sip:` URI.
        caller_name: Display name, empty when absent or withheld.
        is_anonymous: The caller withheld the number; `caller` is then `anonymous`.
        diverted_from: Who forwarded the call here (digits or URI), empty if nobody.
        sip_headers: Headers of the INVITE (inbound) or of the 2xx (outbound), names and values, in order.
        custom_headers: Those headers that start with `X-PH-`, with that prefix.
        source_host: Address of the signalling peer, empty until it is known.
        trunk_name: The trunk that the call came or leaves by, or empty.
        endpoint_id: The endpoint of ours that calls, or empty.
        hides_digits: Whether the event log must not show keys that come by SIP INFO; set by the leg's owner.
    """

    def __init__(
        self,
        services: LegServices,
        part: InboundPart | OutboundPart,
        parties: Parties,
        audio: LegAudio,
        *,
        leg_id: LegId,
        session_id: SessionId,
        call_uuid: str,
    ) -> None:
        self.leg_id = leg_id
        self.session_id = session_id
        self.caller = parties.caller
        self.callee = parties.callee
        self.caller_name = parties.caller_name
        self.is_anonymous = parties.is_anonymous
        self.diverted_from = parties.diverted_from
        self.sip_headers = parties.sip_headers
        self.custom_headers = incoming_headers(parties.sip_headers)
        self.source_host = parties.source_host
        self.trunk_name = parties.trunk_name
        self.endpoint_id = parties.endpoint_id
        self.invite_id = part.invite_id if isinstance(part, InboundPart) else InviteId("")
        self.direction = LegDirection.INBOUND if isinstance(part, InboundPart) else LegDirection.OUTBOUND
        settings = services.settings
        self._reports = LegReports(
            services.timeline,
            leg_id,
            self.direction,
            call_uuid=call_uuid,
            waiting_max=settings.maximum_waiting_events,
        )
        self._services = services
        self._part = part
        self._audio = audio
        self._machine = Leg(
            State.INCOMING if isinstance(part, InboundPart) else State.IDLE,
            LegLimits(
                ring_ms=part.ring_timeout_ms if isinstance(part, OutboundPart) else 0,
                setup_ms=settings.setup_limit_ms,
                release_ms=settings.release_limit_ms,
            ),
        )
        self._exchange = LegExchange(services.sip, audio, self._reports, feed=self._feed, fail=self._fail)
        self._jobs = JobQueue(self._job_failed)
        self._opened: asyncio.Event | None = None
        self.hides_digits = False
        self._settled = asyncio.Event()
        self._ended = asyncio.Event()
        self._failure: RingbackError | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_pumping = False
        self._found: FoundTargets | None = None
        self._reason_header = ""
        self._refusal_headers: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"SipLeg({self.leg_id}, {self.direction.value}, {self._machine.state.value})"

    @property
    def call_uuid(self) -> str:
        """Return the name of the call in the event log and in `X-CallUUID`."""
        return self._reports.call_uuid

    @call_uuid.setter
    def call_uuid(self, call_uuid: str) -> None:
        """Name the call anew, before the first event."""
        self._reports.call_uuid = call_uuid

    @property
    def listener(self) -> LegListener | None:
        """Receives every event of the leg; events that came before it was set are delivered when it is set."""
        return self._reports.listener

    @listener.setter
    def listener(self, listener: LegListener | None) -> None:
        self._reports.listener = listener

    @property
    def is_answered(self) -> bool:
        """Return whether a 2xx was sent or received and the leg lives."""
        return self._machine.state in ANSWERED

    @property
    def has_ended(self) -> bool:
        """Return whether `LegEnded` was reported."""
        return self._ended.is_set()

    @property
    def end(self) -> LegEnd | None:
        """Return why the leg ended, known as soon as it is over on SIP; `None` while it lives."""
        return self._machine.end

    @property
    def state(self) -> State:
        """Return how far the leg is, for logs and live views."""
        return self._machine.state

    @property
    def affinity(self) -> str:
        """Return the `DialRequest.affinity` of a leg that is to be heard with this one."""
        return self._audio.affinity

    def new_command_id(self) -> CommandId:
        """Return a fresh id for a command to `media`."""
        return self._audio.new_command_id()

    async def ring(self) -> None:
        """Send 180 to the caller; without effect when it was sent, or the leg is answered or over."""
        self._feed(Trigger.RING)

    async def start_early_media(self) -> None:
        """Open the media session, negotiate, send 183 and return when an unanswered caller can hear us; idempotent.

        A caller whose INVITE brought no offer cannot: nothing happens, and the session opens with the answer.

        Raises:
            LegOver, MediaError: As for `answer`.
        """
        if isinstance(self._part, InboundPart) and self._part.offer is None:
            self._reports.note("no early media", detail="the INVITE brought no offer")
            return
        self._feed(Trigger.EARLY_MEDIA)
        if self._machine.state is State.OPENING:
            self._opened = self._opened or asyncio.Event()
            await self._opened.wait()
        self._raise_failure()

    async def answer(self) -> None:
        """Open the media session, negotiate, send 200 and return when audio can flow; repeating it is harmless.

        On an outbound leg it waits for the callee's answer.

        Raises:
            LegOver: The leg ended before it was answered (the caller gave up, or it was rejected).
            MediaError: No media session within the limit, or no common codec; a final response was sent and
                `LegEnded` follows.
        """
        self._feed(Trigger.ANSWER)
        await self._settled.wait()
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failure is not None:
            raise self._failure
        end = self._machine.end
        if end is not None:
            if end.kind is LegEndKind.MEDIA_FAILED:
                raise MediaSetupFailed(end.detail)
            raise LegOver(f"the leg ended before it was answered: {end.kind.value}")

    async def reject(self, status: int, reason: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Refuse an inbound call with a final status of 300 to 699 and return when the leg has ended.

        An answered or outbound leg is hung up instead; an ended one is left alone.

        Raises:
            InvalidParameter: The status is no final one, or a header cannot be sent.
        """
        if self._machine.state in UNANSWERED_INBOUND:
            self.turn_away(status, reason, headers)
            await self._ended.wait()
        else:
            await self.hangup()

    def turn_away(self, status: int, reason: str = "", headers: tuple[tuple[str, str], ...] = ()) -> None:
        """Refuse an unanswered inbound call as `reject` does, without waiting for the end.

        Raises:
            InvalidParameter: The status is no final one, or a header cannot be sent.
        """
        if not 300 <= status <= 699:
            raise InvalidParameter(f"found status {status}, expected 300 to 699")
        self._refusal_headers = tuple(application_header(name, value) for name, value in headers)
        self._feed(Trigger.REJECT, LegEnd(LegEndKind.REJECTED, status, clean_name(reason)))

    async def hangup(self, q850: int = 16, text: str = "") -> None:
        """End the leg by BYE, CANCEL or a final response, as its state needs; return when it has ended. Idempotent."""
        await self._hang_up(LegEndKind.LOCAL_HANGUP, Reason("Q.850", q850, clean_name(text)))

    async def end_for_media_timeout(self) -> None:
        """End the leg like `hangup`, reported as `LegEndKind.MEDIA_TIMEOUT`: for an owner that got `MediaTimedOut`."""
        await self._hang_up(LegEndKind.MEDIA_TIMEOUT, Reason("Q.850", 41, "No RTP received"))

    async def media(self, command: SessionCommand) -> None:
        """Send a command to the leg's media session and return when the worker accepts it.

        Raises:
            LegOver: The leg has ended or its session is not open yet.
            MediaError: The worker refused the command or died.
        """
        if self._machine.end is not None:
            raise LegOver(f"the leg has ended: {self._machine.end.kind.value}")
        await self._audio.send(command)

    async def send_info(self, content_type: str, body: bytes) -> None:
        """Send a SIP INFO inside the dialog.

        Raises:
            LegOver: The leg is not answered, or over.
        """
        if not self.is_answered or not self._services.sip.send_info(self.invite_id, content_type, body):
            raise LegOver("INFO needs an answered leg")

    async def wait_ended(self) -> None:
        """Return when `LegEnded` was reported."""
        await self._ended.wait()

    def dialog_text(self) -> str:
        """Return the dialog of an answered leg as `Legs.leave` takes it, empty when there is none."""
        dialog = self._services.sip.dialog_of(self.invite_id)
        return written(dialog) if dialog is not None else ""

    def start(self) -> None:
        """Begin dialling an outbound leg; `Legs.dial` calls it."""
        self._feed(Trigger.DIAL)

    def handle_sip(self, event: InviteEvent) -> None:
        """Take one event of the leg's INVITE usage."""
        match event:
            case Progressed():
                self._feed(Trigger.PROGRESSED, event=event)
            case Answered():
                self.sip_headers = tuple(event.response.headers.spelled_pairs())
                self.custom_headers = incoming_headers(self.sip_headers)
                if self._found is not None and self._found.forks:
                    self.source_host = self._found.forks[event.fork].targets[0].host
                    self._audio.signalling_host = self.source_host
                self._feed(Trigger.ANSWERED, event=event)
            case Confirmed():
                self._feed(Trigger.ACKED, event=event)
            case Refused():
                self._feed(Trigger.REFUSED, end_of_refusal(event))
            case CancelReceived():
                reason = reason_header(event.request)
                end = LegEnd(LegEndKind.CANCELLED_BY_CALLER, 487, "Request Terminated", reason)
                self._feed(Trigger.CANCELLED, end)
            case HungUp():
                self._feed(Trigger.HUNG_UP, end_of_dialog(event))
            case Reoffered():
                self._feed(Trigger.REOFFERED, event=event)
            case ReofferConfirmed():
                if event.sdp is not None:
                    answer = event.sdp
                    self._jobs.put(lambda: self._exchange.conclude(answer))
            case InfoReceived():
                self._take_info(event)
            case InviteReceived() | ReofferAnswered() | ReofferRefused() | InfoAnswered() | InviteEnded():
                # Taken by `Legs`, or answers to what legs do not send.
                pass
            case _:
                assert_never(event)

    async def _hang_up(self, kind: LegEndKind, reason: Reason) -> None:
        if self._machine.end is None:
            self._reason_header = str(reason)
            status = status_of_cause(reason.cause or 0) if self._machine.state in UNANSWERED_INBOUND else 0
            self._feed(Trigger.HANG_UP, LegEnd(kind, status, detail=reason.text))
        await self._ended.wait()

    def _feed(self, trigger: Trigger, end: LegEnd | None = None, event: InviteEvent | None = None) -> None:
        self._machine.handle_input(self._services.now(), LegInput(trigger, end, event))
        self._pump()

    def _pump(self) -> None:
        # Verbs report events from inside themselves: the outermost call does all effects, in order.
        if self._is_pumping:
            return
        self._is_pumping = True
        try:
            while (output := self._machine.poll_output()) is not None:
                try:
                    self._carry_out(output)
                except Exception as error:
                    # A fault of ours costs this leg; its remaining effects and its neighbours go on.
                    self._job_failed(error)
        finally:
            self._is_pumping = False
        if self._machine.end is not None:
            self._settled.set()
        if self._opened is not None and self._machine.state is not State.OPENING:
            self._opened.set()
        self._arm()

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        deadline = self._machine.poll_timeout()
        if deadline is not None:
            delay_s = max(0, deadline - self._services.now()) / SECOND
            self._timer = asyncio.get_running_loop().call_later(delay_s, self._time_out)

    def _time_out(self) -> None:
        self._timer = None
        self._machine.handle_timeout(self._services.now())
        self._pump()

    def _carry_out(self, output: LegOutput) -> None:
        sip = self._services.sip
        cause = output.cause
        match output.effect:
            case Effect.RESOLVE:
                self._jobs.put(self._resolve)
            case Effect.OPEN_MEDIA:
                self._jobs.put(self._open_media)
            case Effect.SEND_RINGING:
                sip.progress(self.invite_id, 180, None, self._uuid_header())
                self._reports.note("ringing sent")
            case Effect.SEND_EARLY_MEDIA:
                sip.progress(self.invite_id, 183, self._exchange.local_sdp, self._uuid_header())
                self._reports.note("early media sent")
            case Effect.SEND_ANSWER:
                sip.answer(self.invite_id, self._exchange.local_sdp, self._uuid_header())
            case Effect.SEND_INVITE:
                self._send_invite()
            case Effect.APPLY_PROGRESS:
                self._take_progress(cause.event)
            case Effect.APPLY_ANSWER:
                sdp = cause.event.sdp if isinstance(cause.event, Answered | Confirmed) else None
                self._jobs.put(lambda: self._exchange.agree(sdp))
            case Effect.RENEGOTIATE:
                event = cause.event
                if isinstance(event, Reoffered):
                    reoffered = event
                    self._jobs.put(lambda: self._exchange.renegotiate(self.invite_id, reoffered))
            case Effect.REFUSE_REOFFER:
                sip.refuse_reoffer(self.invite_id, 491)
            case Effect.REFUSE:
                end = self._machine.end or LegEnd(LegEndKind.MEDIA_FAILED)
                sip.reject(
                    self.invite_id,
                    end.sip_status or 480,
                    end.sip_reason,
                    (*self._refusal_headers, *self._uuid_header()),
                )
            case Effect.HANG_UP:
                sip.hangup(self.invite_id, self._reason_of_end())
            case Effect.CLOSE_MEDIA:
                self._release()
            case Effect.REPORT_ANSWERED:
                self._report_answered()
            case Effect.REPORT_CONFIRMED:
                self._reports.confirmed()
            case Effect.REPORT_ENDED:
                self._report_ended()
            case Effect.ARM_RING | Effect.STOP_RING | Effect.ARM_SETUP | Effect.STOP_SETUP | Effect.ARM_RELEASE:
                # The machine keeps its own timers and never gives these out.
                pass
            case _:
                assert_never(output.effect)

    def _send_invite(self) -> None:
        part, found = self._part, self._found
        assert isinstance(part, OutboundPart)  # only outbound states lead here
        assert found is not None  # the RESOLVE that came first has set it
        invite = OutboundInvite(
            request_uri=part.invite.request_uri,
            from_=part.invite.from_,
            to=part.invite.to,
            targets=found.targets,
            forks=found.forks,
            headers=(*part.invite.headers, *self._uuid_header()),
            sdp=self._exchange.local_sdp,
            credentials=part.invite.credentials,
            route=part.invite.route,
            contact_user=part.invite.contact_user,
            max_forwards=part.invite.max_forwards,
        )
        self._reports.note("dialling", targets=len(found.targets), phones=len(found.forks), to=invite.request_uri)
        try:
            self.invite_id = self._services.place(self, invite)
        except RingbackError as error:
            self._feed(Trigger.REFUSED, LegEnd(LegEndKind.TRANSPORT, 503, "", "", str(error)))

    async def _resolve(self) -> None:
        part = self._part
        assert isinstance(part, OutboundPart)  # only outbound states lead here
        services = self._services
        found = await find_targets(part, services.sip, services.judge_target, services.find_phones)
        if isinstance(found, LegEnd):
            self._feed(Trigger.UNRESOLVED, found)
            return
        self._found = found
        self.source_host = found.host(services.settings.local_networks)
        self._feed(Trigger.RESOLVED)

    async def _open_media(self) -> None:
        offer = self._part.offer if isinstance(self._part, InboundPart) else None
        await self._exchange.open(self._take_media, signalling_host=self.source_host, offer=offer)

    def _take_progress(self, event: InviteEvent | None) -> None:
        if not isinstance(event, Progressed):
            return
        if event.sdp is None:
            self._reports.ringing(event.status, has_early_media=self._exchange.has_early_media)
        else:
            progressed, sdp = event, event.sdp
            self._jobs.put(lambda: self._exchange.take_early_media(progressed, sdp))

    def _take_info(self, event: InfoReceived) -> None:
        found = read_info(event.content_type, event.body)
        if found is None or self._machine.end is not None:
            return
        if self._audio.is_open:
            self._jobs.put(lambda: self._pass_on(found))
        else:
            self._report_digit(found)

    async def _pass_on(self, found: InfoDigit) -> None:
        # The worker hears RTP and feeds the streams: it decides whether the key counts, and tells everyone.
        try:
            await self._audio.send(
                ReportDigit(
                    command_id=self.new_command_id(),
                    session_id=self.session_id,
                    digit=found.digit,
                    duration_ms=found.duration_ms,
                )
            )
        except (MediaError, LegOver) as error:
            self._reports.note("digit lost", digit="*" if self.hides_digits else found.digit, detail=str(error))

    def _report_digit(self, found: InfoDigit) -> None:
        digit = DigitReceived(
            session_id=self.session_id, wall_ms=clock.wall_ms(), digit=found.digit, duration_ms=found.duration_ms
        )
        self._reports.media(digit)

    def _take_media(self, event: AnySessionEvent | WorkerGone) -> None:
        if isinstance(event, WorkerGone):
            self._audio.forget()
            detail = f"media worker {event.worker_id} died"
            self._failure = self._failure or WorkerLost(detail)
            self._feed(Trigger.WORKER_LOST, LegEnd(LegEndKind.WORKER_LOST, self._failure_status(), detail=detail))
            self._feed(Trigger.MEDIA_CLOSED)
            return
        self._reports.media(event)
        if isinstance(event, SessionClosed):
            self._audio.forget()
            detail = f"the media session closed by itself: {event.reason.value}"
            end = LegEnd(LegEndKind.MEDIA_FAILED, self._failure_status(), detail=detail)
            self._feed(Trigger.MEDIA_CLOSED, end)

    def _release(self) -> None:
        self._jobs.drop_waiting()
        if self._found is None and self.direction is LegDirection.OUTBOUND:
            # Only the look-up of addresses can be running; nothing is opened before it ends.
            self._jobs.cancel_running()
            self._feed(Trigger.MEDIA_CLOSED)
        elif self._jobs.is_idle and not self._audio.is_open:
            self._feed(Trigger.MEDIA_CLOSED)
        else:
            # Behind a session that is still being opened, so that no port is left.
            self._jobs.put(self._close_media)

    async def _close_media(self) -> None:
        if not self._audio.is_open:
            self._feed(Trigger.MEDIA_CLOSED)
            return
        try:
            await self._audio.close()
        except MediaError as error:
            self._reports.note("media not closed", detail=str(error))
            self._audio.forget()
            self._feed(Trigger.MEDIA_CLOSED)

    def _fail(self, error: RingbackError) -> None:
        """End the leg for what went wrong with its media or SDP."""
        self._failure = self._failure or _media_error(error)
        detail = str(error)
        if isinstance(error, NoCommonCodec | MalformedSdp):
            status = 488 if self._failure_status() else 0
            self._refusal_headers = (warning_header(detail),)
            self._feed(Trigger.CODEC_MISSING, LegEnd(LegEndKind.NO_COMMON_CODEC, status, detail=detail))
        elif isinstance(error, WorkerLost):
            self._feed(Trigger.WORKER_LOST, LegEnd(LegEndKind.WORKER_LOST, self._failure_status(), detail=detail))
        else:
            self._feed(Trigger.MEDIA_FAILED, LegEnd(LegEndKind.MEDIA_FAILED, self._failure_status(), detail=detail))

    def _failure_status(self) -> int:
        """Return the status that refuses the call for a failure of ours; 0 when no response is due any more."""
        return 503 if self._machine.state in UNANSWERED_INBOUND else 0

    def _job_failed(self, error: BaseException) -> None:
        _log.error("leg step failed", call_uuid=self.call_uuid, leg_id=self.leg_id, exc_info=error)
        self._failure = self._failure or MediaSetupFailed("an internal error ended the leg")
        status = 500 if self._machine.state in UNANSWERED_INBOUND else 0
        self._feed(Trigger.HANG_UP, LegEnd(LegEndKind.MEDIA_FAILED, status, detail=f"internal error: {error!r}"))

    def _report_answered(self) -> None:
        remote = self._audio.remote
        assert remote is not None  # an exchange was just put into force
        self._settled.set()
        self._reports.answered(self._audio.local, remote)

    def _report_ended(self) -> None:
        self._services.on_ended(self)
        self._reports.ended(self._machine.end or LegEnd(LegEndKind.MEDIA_FAILED))
        self._settled.set()
        self._ended.set()

    def _uuid_header(self) -> tuple[tuple[str, str], ...]:
        return (("X-CallUUID", self.call_uuid),) if self.call_uuid else ()

    def _reason_of_end(self) -> str:
        if self._reason_header:
            return self._reason_header
        return str(reason_of_end(self._machine.end))


def _media_error(error: RingbackError) -> RingbackError:
    """Return the error as `answer` promises it: a `MediaError`."""
    return error if isinstance(error, MediaError) else NoCommonCodec(error.message, code=error.code)
