"""Every audio stream of the node: starting, reporting, billing, stopping.

Fulfils `api.ports.StreamsPort` and `callflow.port.FlowStreams`. The WebSocket lives in a media worker; this room sees
its life only.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace

from ringback import clock, ids
from ringback.accounts.account import Account
from ringback.billing.cdr import billed_duration_s, duration_s
from ringback.billing.rating import RateTable, amount, money
from ringback.calls.live import LiveCall
from ringback.calls.service import CallService
from ringback.errors import EgressError, InvalidParameter, NotFound, RingbackError
from ringback.ids import CallUuid, CommandId, StreamId
from ringback.media.control.commands import CloseStream, HoldStream, OpenStream
from ringback.media.control.events import (
    DELAY_CUT,
    NoiseSuppressionEnded,
    NoiseSuppressionSet,
    StreamCheckpointPlayed,
    StreamCleared,
    StreamClosed,
    StreamConnectFailed,
    StreamDegraded,
    StreamDropped,
    StreamEvent,
    StreamFaulted,
    StreamFirstAudio,
    StreamOpened,
)
from ringback.media.control.values import Address, DelayPolicy, StreamEnd
from ringback.signalling.errors import LegOver
from ringback.storage.database import Database, Session
from ringback.streams import store
from ringback.streams.away import AwayRules, rules_of
from ringback.streams.spec import StreamSpec, check_combination, content_format
from ringback.streams.state import LOST_DETAIL, TABLE, State, Trigger, status_reason, trigger_of
from ringback.streams.switches import StreamSwitches, delivered, handshake_headers, is_unreadable
from ringback.streams.views import StreamView
from ringback.webhooks.fetcher import CallbackKind
from ringback.webhooks.payloads import StreamFacts, stream_status_params
from ringback.webhooks.signature import stream_signature_headers
from ringback.webhooks.store import OutboundCallback, enqueue


@dataclass(frozen=True, slots=True)
class Reachable:
    """Where a stream's WebSocket is dialled."""

    url: str
    """As it goes into the request: ASCII, without fragment."""
    addresses: Sequence[tuple[str, int]]


ResolveUrl = Callable[[str], Awaitable[Reachable]]
"""Returns where a ws(s) URL is, checked, or raises `errors.EgressError`."""
FetchAudio = Callable[[str], Awaitable[str]]
"""Returns the path of a local copy of the wav or mp3 at a URL, or raises `errors.EgressError`."""

_STOP_PATIENCE_S = 0.5
"""How long a stop request waits for the stream to be over, so that an immediate look-up finds its end."""
_FALLBACK_ENDS = frozenset({StreamEnd.CONNECTION_LOST, StreamEnd.CONNECT_FAILED})


@dataclass(frozen=True, slots=True)
class StreamSettings:
    """Bounds of streams (reference: reliability.md section 4)."""

    one_way_max: int = 4
    two_way_max: int = 1
    connect_timeout_ms: int = 5_000
    connect_attempts: int = 3
    connect_gap_ms: int = 1_000
    playout_max_ms: int = 60_000
    uplink_max_ms: int = 2_000
    subprotocol: str = "audio.drachtio.org"
    send_stop: bool = True
    verify_tls: bool = True
    dead_after_ms: int = 4_000
    delay_policy: DelayPolicy = DelayPolicy.DROP_OLDEST
    away: AwayRules = field(default_factory=AwayRules)
    switches: StreamSwitches = field(default_factory=StreamSwitches)


@dataclass
class LiveStream:
    """A stream that has not ended."""

    stream_id: StreamId
    call: LiveCall
    spec: StreamSpec
    view: StreamView
    away: AwayRules
    state: State = State.INITIATED
    events_sent: int = field(default=0)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the end is in the database."""


class StreamService:
    """All streams of the node."""

    def __init__(
        self,
        database: Database,
        calls: CallService,
        resolve: ResolveUrl,
        settings: StreamSettings,
        rates: RateTable | None = None,
        wake_outbox: Callable[[], None] = lambda: None,
        fetch_audio: FetchAudio | None = None,
    ) -> None:
        self.settings = settings
        self._database = database
        self._calls = calls
        self._resolve = resolve
        self.rates = rates or RateTable()
        self._wake_outbox = wake_outbox
        self._fetch_audio = fetch_audio
        self._live: dict[StreamId, LiveStream] = {}

    @property
    def live_count(self) -> int:
        """Return how many streams have not ended."""
        return len(self._live)

    # ── REST ───────────────────────────────────────────────────────────────────────────────────────────────────────

    async def start(self, account: Account, call_uuid: CallUuid, spec: StreamSpec) -> StreamId:
        """Start a stream on a live call of the account and return its id; connecting goes on.

        Raises:
            NotFound: no such answered call.
            InvalidParameter: the content type or the combination is invalid, the URL is streamed to already, or the
                call has all the streams it may have.
        """
        call = self._calls.find_of(account, call_uuid)
        if call is None or not call.is_answered:
            raise NotFound("not found", hint="streams start on an answered call")
        content_format(spec.content_type)
        await self._refuse_unreachable(spec.url)
        return await self._start(call, spec)

    async def _refuse_unreachable(self, url: str) -> None:
        try:
            await self._resolve(url)
        except EgressError as error:
            raise InvalidParameter(f"service_url parameter is invalid: {error}", field="service_url") from error

    async def get(self, account: Account, call_uuid: CallUuid, stream_id: StreamId) -> StreamView | None:
        """Return a stream, live or ended, or `None`."""
        return await self._database.read(
            lambda session: store.find_stream(session, account.auth_id, call_uuid, stream_id)
        )

    async def list(
        self, account: Account, call_uuid: CallUuid, limit: int, offset: int
    ) -> tuple[Sequence[StreamView], int]:
        """Return one page of a call's streams, newest first, and how many there are.

        Raises:
            NotFound: no such call.
        """
        if not await self._calls.has_call(account, call_uuid):
            raise NotFound("not found")
        return await self._database.read(
            lambda session: store.list_streams(session, account.auth_id, call_uuid, limit, offset)
        )

    async def stop(self, account: Account, call_uuid: CallUuid, stream_id: StreamId) -> bool:
        """Stop a live stream; `False` when the account's call has none of that name."""
        stream = self._live.get(stream_id)
        if stream is None or stream.call.call_uuid != call_uuid or stream.call.account_id != account.auth_id:
            return False
        await self._stop_and_wait([stream])
        return True

    async def stop_all(self, account: Account, call_uuid: CallUuid) -> int:
        """Stop every stream of a live call; return how many.

        Raises:
            NotFound: no such live call.
        """
        call = self._calls.find_of(account, call_uuid)
        if call is None:
            raise NotFound("not found")
        streams = self._of(call)
        await self._stop_and_wait(streams)
        return len(streams)

    async def _stop_and_wait(self, streams: Sequence[LiveStream]) -> None:
        """Stop the streams and wait a little: an agent that does not answer the close must not hold the request."""
        for stream in streams:
            await self._stop(stream, StreamEnd.API_REQUEST)
        if streams:
            waiting = [asyncio.create_task(stream.over.wait()) for stream in streams]
            _, pending = await asyncio.wait(waiting, timeout=_STOP_PATIENCE_S)
            for task in pending:
                task.cancel()

    # ── call flow ──────────────────────────────────────────────────────────────────────────────────────────────────

    async def start_stream(self, call_uuid: CallUuid, spec: StreamSpec) -> StreamId:
        """Start a stream for `<Stream>`; an unknown content type makes one that fails.

        Raises:
            RingbackError: the call is gone, or a rule or bound forbids the stream.
        """
        call = self._calls.find(call_uuid)
        if call is None:
            raise NotFound("the call is over")
        return await self._start(call, spec)

    async def stop_stream(self, call_uuid: CallUuid, stream_id: StreamId, reason: StreamEnd) -> None:
        """Stop a stream; does nothing when it is over."""
        stream = self._live.get(stream_id)
        if stream is not None and stream.call.call_uuid == call_uuid:
            await self._stop(stream, reason)

    # ── starting and stopping ──────────────────────────────────────────────────────────────────────────────────────

    def _of(self, call: LiveCall) -> Sequence[LiveStream]:
        return [stream for stream in self._live.values() if stream.call is call]

    def _check(self, call: LiveCall, spec: StreamSpec) -> None:
        """Raise when the call may not have this stream too (spec 1.5)."""
        check_combination(bidirectional=spec.bidirectional, track=spec.audio_track)
        others = self._of(call)
        if any(other.spec.url == spec.url for other in others):
            raise InvalidParameter(
                "service_url parameter is invalid: the call streams to this URL already", field="service_url"
            )
        same_kind = sum(other.spec.bidirectional == spec.bidirectional for other in others)
        if spec.bidirectional and same_kind >= self.settings.two_way_max:
            raise InvalidParameter(
                "bidirectional parameter is invalid: the call has a bidirectional stream already",
                hint="stop it first, or start a one-way stream",
                field="bidirectional",
            )
        if not spec.bidirectional and same_kind >= self.settings.one_way_max:
            raise InvalidParameter(
                f"bidirectional parameter is invalid: the call has {same_kind} one-way streams already",
                hint="stop one first",
                field="bidirectional",
            )

    async def _start(self, call: LiveCall, spec: StreamSpec) -> StreamId:
        if call.is_over:
            # It ended while the URL was looked up: its hang-up callback is the last one.
            raise NotFound("not found", hint="the call has ended")
        self._check(call, spec)
        stream_id = StreamId(ids.new_uuid())
        view = StreamView(
            stream_id=stream_id,
            call_uuid=call.call_uuid,
            service_url=spec.url,
            bidirectional=spec.bidirectional,
            audio_track=spec.audio_track,
            content_type=spec.content_type,
            status=State.INITIATED,
            created_wall_ms=clock.wall_ms(),
            status_callback_url=spec.status_callback_url,
        )
        away, notes = rules_of(self.settings.away, spec.extra_headers, holds_document=spec.keep_call_alive)
        stream = LiveStream(stream_id, call, spec, view, away)
        self._live[stream_id] = stream
        call.note(
            "stream",
            event="initiated",
            stream_id=stream_id,
            url=spec.url,
            bidirectional=spec.bidirectional,
            track=spec.audio_track.value,
            content_type=spec.content_type,
        )
        self._note_ignored(stream, notes)
        try:
            await self._database.write(lambda session: store.insert_stream(session, call.account_id, view, spec))
        except BaseException:
            # The call may have ended meanwhile and taken its streams along.
            self._live.pop(stream_id, None)
            raise
        call.spawn(self._open(stream))
        return stream_id

    async def _open(self, stream: LiveStream) -> None:
        """Resolve the URL and tell the worker to dial; what fails here ends the stream, not the call."""
        spec, call = stream.spec, stream.call
        try:
            audio_format = content_format(spec.content_type)
        except InvalidParameter as error:
            self._end(stream, StreamEnd.INVALID_CONTENT_TYPE, str(error))
            return
        try:
            found = await self._resolve(spec.url)
        except EgressError as error:
            self._end(stream, StreamEnd.CONNECT_FAILED, str(error))
            return
        if stream.stream_id not in self._live:
            return
        switches = self.settings.switches
        pairs, notes = handshake_headers(spec.extra_headers) if switches.are_headers_sent else ((), ())
        if (switches.has_json_headers or switches.are_headers_sent) and is_unreadable(spec.extra_headers):
            notes = ("extra headers begin as a JSON object and cannot be read as one: no pair was found in them",)
        self._note_ignored(stream, notes)
        command = OpenStream(
            command_id=CommandId(ids.new_token()),
            session_id=call.leg.session_id,
            stream_id=stream.stream_id,
            url=found.url,
            headers=(*stream_signature_headers(spec.url, ids.new_digits(20), call.signing, found.url), *pairs),
            addresses=tuple(Address(host, port) for host, port in found.addresses),
            call_uuid=call.call_uuid,
            account_id=call.account_id,
            track=spec.audio_track,
            bidirectional=spec.bidirectional,
            format=audio_format,
            extra_headers=delivered(spec.extra_headers, is_json=switches.has_json_headers),
            timeout_ms=spec.stream_timeout_s * 1000,
            connect_timeout_ms=self.settings.connect_timeout_ms,
            connect_attempts=self.settings.connect_attempts,
            connect_gap_ms=self.settings.connect_gap_ms,
            subprotocol=self.settings.subprotocol,
            send_stop=self.settings.send_stop,
            verify_tls=self.settings.verify_tls,
            playout_max_ms=self.settings.playout_max_ms,
            uplink_max_ms=self.settings.uplink_max_ms,
            reconnects=stream.away.reconnects,
            redial_max_ms=stream.away.redial_max_ms,
            hold=stream.away.has_hold and spec.bidirectional,
            hold_after_ms=stream.away.hold_after_ms,
            delay_policy=self.settings.delay_policy,
            dead_after_ms=self.settings.dead_after_ms,
            truth=stream.away.truth,
            formats=switches.formats,
            noise_level=spec.noise_cancellation_level if spec.noise_cancellation else 0,
        )
        try:
            await call.leg.media(command)
        except LegOver:
            self._end(stream, StreamEnd.CALL_ENDED, "")
        except RingbackError as error:
            self._end(stream, StreamEnd.CONNECT_FAILED, str(error))
        else:
            if stream.away.hold_url and spec.bidirectional:
                await self._bring_hold_sound(stream)

    def _note_ignored(self, stream: LiveStream, texts: Sequence[str]) -> None:
        for text in texts:
            stream.call.note("stream", event="option ignored", stream_id=stream.stream_id, detail=text)

    async def _bring_hold_sound(self, stream: LiveStream) -> None:
        """Fetch the hold sound and hand it to the worker; without it the built-in tone is heard."""
        if self._fetch_audio is None:
            return
        try:
            path = await self._fetch_audio(stream.away.hold_url)
            await stream.call.leg.media(
                HoldStream(
                    command_id=CommandId(ids.new_token()),
                    session_id=stream.call.leg.session_id,
                    stream_id=stream.stream_id,
                    path=path,
                )
            )
        except RingbackError as error:
            if stream.stream_id in self._live:
                self._note_ignored(stream, [f"hold sound not usable, the tone is heard instead: {error}"])

    async def _stop(self, stream: LiveStream, reason: StreamEnd) -> None:
        command = CloseStream(
            command_id=CommandId(ids.new_token()),
            session_id=stream.call.leg.session_id,
            stream_id=stream.stream_id,
            reason=reason,
        )
        try:
            await stream.call.leg.media(command)
        except RingbackError:
            # The worker does not know it (not dialled yet, or gone): its end is ours to declare.
            self._end(stream, reason, "")

    # ── what the worker reports ────────────────────────────────────────────────────────────────────────────────────

    def handle(self, call: LiveCall, event: StreamEvent) -> None:
        """Take one event of a stream of `call`."""
        match event:
            case StreamOpened():
                self._note(call, event, "opened", connect_ms=event.connect_ms, attempts=event.attempts)
                self._opened(event)
            case StreamConnectFailed():
                self._note(call, event, "connect failed", attempt=event.attempt, detail=event.detail)
            case StreamDropped():
                self._note(call, event, "dropped", close_code=event.close_code, detail=event.detail)
                self._dropped(event)
            case StreamFirstAudio():
                self._note(call, event, "first audio", after_open_ms=event.after_open_ms)
            case StreamCheckpointPlayed():
                self._note(call, event, "playedStream", checkpoint=event.name)
            case StreamCleared():
                self._note(
                    call,
                    event,
                    "clearedAudio",
                    dropped_ms=event.dropped_ms,
                    dropped_checkpoints=event.dropped_checkpoints,
                )
            case StreamDegraded():
                self._note(call, event, "degraded", percent=event.percent, queued_ms=event.queued_ms)
                self._degraded(event)
            case StreamFaulted():
                # Undone delay is nobody's fault.
                name = "delay cut" if event.reason == DELAY_CUT else "fault"
                self._note(call, event, name, reason=event.reason, count=event.count, detail=event.detail, ms=event.ms)
            case NoiseSuppressionSet():
                name = "noise cancellation" if event.engine else "noise cancellation unavailable"
                fields = {"engine": event.engine, "level": event.level, "lag_ms": event.lag_ms, "detail": event.detail}
                self._note(call, event, name, **fields)
            case NoiseSuppressionEnded():
                self._note(
                    call,
                    event,
                    "noise cancellation ended",
                    engine=event.engine,
                    frames=event.frames,
                    passed_frames=event.passed_frames,
                    cpu_us=event.cpu_us,
                )
            case StreamClosed():
                self._note(
                    call,
                    event,
                    "closed",
                    reason=event.reason.value,
                    duration_ms=event.duration_ms,
                    sent_frames=event.sent_frames,
                    dropped_frames=event.dropped_frames,
                    received_messages=event.received_messages,
                    played_ms=event.played_ms,
                    close_code=event.close_code,
                    detail=event.detail,
                )
                stream = self._live.get(event.stream_id)
                if stream is not None:
                    self._end(stream, event.reason, event.detail)

    def call_gone(self, call: LiveCall) -> None:
        """End the streams of a call whose media session is closed and that did not report their end."""
        for stream in self._of(call):
            self._end(stream, StreamEnd.CALL_ENDED, "the media session closed")

    def _opened(self, event: StreamOpened) -> None:
        stream = self._live.get(event.stream_id)
        if stream is None or (stream.state, Trigger.OPEN) not in TABLE:
            return
        stream.state, callback = TABLE[stream.state, Trigger.OPEN]
        # A stream that dropped and came back goes on where it began.
        started_wall_ms = stream.view.started_wall_ms or event.wall_ms or clock.wall_ms()
        stream.view = replace(stream.view, started_wall_ms=started_wall_ms, status=stream.state)
        status = stream.state.value
        self._store(stream, callback, {"status": status, "started_wall_ms": started_wall_ms}, started_wall_ms)

    def _dropped(self, event: StreamDropped) -> None:
        """Report a lost connection that the worker tries to replace; the stream lives on."""
        stream = self._live.get(event.stream_id)
        if stream is None or (stream.state, Trigger.DROP) not in TABLE:
            return
        stream.state, callback = TABLE[stream.state, Trigger.DROP]
        stream.view = replace(stream.view, status=stream.state)
        lost = StreamEnd.CONNECTION_LOST
        self._store(
            stream,
            callback,
            {"status": stream.state.value},
            clock.wall_ms(),
            status_reason(lost),
            error=_error(lost, event.detail),
        )

    def _degraded(self, event: StreamDegraded) -> None:
        stream = self._live.get(event.stream_id)
        if stream is not None:
            self._store(stream, "DegradedStream", {}, clock.wall_ms(), f"buffer_{event.percent}_percent")

    def _end(self, stream: LiveStream, reason: StreamEnd, detail: str) -> None:
        """Complete the stream: row, status callback, the call's document. The first end stands."""
        if self._live.pop(stream.stream_id, None) is None:
            return
        stream.state, callback = TABLE[stream.state, trigger_of(reason)]
        ended_wall_ms = clock.wall_ms()
        seconds = duration_s(stream.view.started_wall_ms, ended_wall_ms)
        columns: dict[str, object] = {
            "status": stream.state.value,
            "end_reason": reason.value,
            "ended_wall_ms": ended_wall_ms,
            "bill_duration_s": seconds,
            "rounded_bill_duration_s": billed_duration_s(seconds),
            "billed_amount": money(amount(seconds, self.rates.stream_per_minute)),
        }
        if stream.state is State.FAILED:
            stream.call.note("stream", event="failed", stream_id=stream.stream_id, reason=reason.value, detail=detail)
        error = _error(reason, detail) if stream.state is State.FAILED else ""
        self._store(
            stream,
            callback,
            columns,
            ended_wall_ms,
            status_reason(reason),
            None if stream.state is State.FAILED else seconds,
            error,
        )
        if reason in _FALLBACK_ENDS and stream.spec.bidirectional and stream.away.fallback_url:
            url = stream.away.fallback_url
            stream.call.note("stream", event="fallback", stream_id=stream.stream_id, url=url, reason=reason.value)
            stream.call.spawn(stream.call.transfer(url, stream.away.fallback_method, is_fallback=True))
        stream.call.report_stream_end(stream.stream_id, reason)

    def _store(
        self,
        stream: LiveStream,
        callback: str,
        columns: dict[str, object],
        wall_ms: int,
        reason: str = "",
        seconds: int | None = None,
        error: str = "",
    ) -> None:
        """Write `columns` and the status callback in one transaction."""
        stream.events_sent += 1
        message = None
        if stream.spec.status_callback_url:
            params = stream_status_params(self._facts(stream), callback, wall_ms, reason, seconds, error)
            message = OutboundCallback(
                kind=CallbackKind.STREAM_STATUS.value,
                account_id=stream.call.account_id,
                call_uuid=stream.call.call_uuid,
                url=stream.spec.status_callback_url,
                method=stream.spec.status_callback_method,
                params=params,
                event_id=f"{stream.stream_id}:{stream.events_sent}",
                is_json=self.settings.switches.has_json_status,
            )

        def work(session: Session) -> None:
            if columns:
                store.update_stream(session, stream.stream_id, **columns)
            if message is not None:
                enqueue(session, message)

        is_over = stream.state in (State.COMPLETED, State.FAILED)

        async def written() -> None:
            try:
                await self._database.write(work)
            finally:
                if is_over:
                    stream.over.set()
            if message is not None:
                self._wake_outbox()

        stream.call.store(written)

    def _facts(self, stream: LiveStream) -> StreamFacts:
        terms, spec = stream.call.terms, stream.spec
        return StreamFacts(
            call_uuid=stream.call.call_uuid,
            stream_id=stream.stream_id,
            from_number=terms.from_number,
            to_number=terms.to_number,
            direction=terms.direction.value,
            parent_auth_id=terms.account.main_auth_id,
            service_url=spec.url,
            status_callback_url=spec.status_callback_url,
            status_callback_method=spec.status_callback_method,
            bidirectional=spec.bidirectional,
            audio_track=spec.audio_track.value,
            stream_timeout_s=spec.stream_timeout_s,
            content_type=spec.content_type,
            extra_headers=spec.extra_headers,
            keep_call_alive=spec.keep_call_alive,
            has_plus=stream.call.keeper.settings.has_plus,
            scheme=self.settings.switches.scheme,
        )

    def _note(self, call: LiveCall, event: StreamEvent, name: str, **fields: object) -> None:
        call.note("stream", event=name, stream_id=event.stream_id, **fields)


def _error(reason: StreamEnd, detail: str) -> str:
    """Return the `Error` of a DroppedStream callback: the published text for a lost connection, and what we know."""
    if reason is StreamEnd.CONNECTION_LOST:
        return f"{LOST_DETAIL}: {detail}" if detail else LOST_DETAIL
    return detail or reason.value
