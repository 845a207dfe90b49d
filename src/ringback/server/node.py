"""One server: builds the rooms, joins them, starts them in order, ends them in the reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from ringback import __version__, clock
from ringback.callflow.flows import CallFlows
from ringback.callflow.port import FirstRequest, FlowServices
from ringback.calls.in_call import InCallActions
from ringback.calls.live import LiveCall
from ringback.calls.service import CallService, RecordingRoom, StreamRoom
from ringback.conferences.service import ConferenceService
from ringback.config.sections import Config
from ringback.dials.run import Prompt
from ringback.dials.service import DialService
from ringback.egress.download import MediaCache, MediaSettings
from ringback.egress.http import HttpClient, HttpSettings
from ringback.egress.policy import sip_refusal
from ringback.egress.resolve import Resolver, resolve_url
from ringback.errors import ConfigError, RingbackError
from ringback.ids import AccountId, AppId
from ringback.media.pool.pool import MediaPool
from ringback.multiparty.invitations import Invitations
from ringback.multiparty.service import MultipartyService
from ringback.numbers.trunks import Trunk
from ringback.recognition.recognizer import Recognizer
from ringback.recognition.settings import RecognizerSettings
from ringback.recordings.files import RecordingFiles
from ringback.recordings.playable import PlayableFiles
from ringback.recordings.service import RecordingService
from ringback.server.addresses import base_url, endpoint_domains, sip_domain
from ringback.server.callbacks import OutboxCallbacks
from ringback.server.configured import configured_trunk, ensure_configured
from ringback.server.gauges import GaugedRooms, LiveMetrics
from ringback.server.settings import (
    call_settings,
    egress_policy,
    flow_settings,
    maximum_calls,
    pool_settings,
    recording_files,
    recording_settings,
    registrar_settings,
    retry_rules,
    runtime_dir,
    signalling_settings,
    sip_settings,
    speech_settings,
    stream_settings,
)
from ringback.signalling.authenticator import Authenticator
from ringback.signalling.endpoint_door import EndpointDoor
from ringback.signalling.legs import Legs
from ringback.signalling.registrar import Registrar
from ringback.signalling.store import next_epoch
from ringback.sip.transport.driver import SipDriver
from ringback.speech.speaker import Speaker
from ringback.storage.database import Database
from ringback.storage.event_log import EventLog
from ringback.streams.service import Reachable, StreamService
from ringback.streams.store import close_orphaned_streams
from ringback.telemetry.logs import get_logger
from ringback.telemetry.measured import MeasuredSink
from ringback.telemetry.metrics import Metrics
from ringback.webhooks.fetcher import FetchSettings, WebhookFetcher
from ringback.webhooks.outbox import OutboxSender, OutboxSettings
from ringback.webhooks.retry import DeliveryRules
from ringback.webhooks.store import waiting_callbacks

if TYPE_CHECKING:
    from ringback.api.listener import HttpListener

_log = get_logger(__name__)

_FLUSH_S = 1.0
_FLUSH_POLL_S = 0.02
_READINESS_INTERVAL_S = 0.5
_GATEWAY_INTERVAL_S = 300.0
"""How often the names of trunk gateways are looked up again."""


class Node:
    """One server: an async context manager whose body runs while it serves."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.metrics = Metrics(__version__)
        self._stack = AsyncExitStack()
        self._is_ready = False

    async def __aenter__(self) -> Node:
        try:
            await self._start()
        except BaseException:
            await self._stack.aclose()
            raise
        return self

    async def __aexit__(self, *_exc: object) -> None:
        self._is_ready = False
        await self._stack.aclose()

    # ── start, in the order in which rooms need each other ─────────────────────────────────────────────────────────

    async def _start(self) -> None:
        config, stack = self.config, self._stack
        config.data_dir.mkdir(parents=True, exist_ok=True)
        self.database = await Database.open(config.database_url)
        stack.push_async_callback(self.database.close)
        self.event_log = EventLog(self.database)
        self.event_log.start()
        stack.push_async_callback(self.event_log.close)
        self.timeline = MeasuredSink(self.event_log, self.metrics)

        trunks = tuple(configured_trunk(section) for section in config.trunk)
        await self._start_egress()
        workers_run = await self._begin_pool()
        # The rest is built while the workers boot.
        catch_all = await ensure_configured(self.database, config)
        await self._start_speech()
        self._start_recognition()
        self._build_signalling(trunks)
        self._build_calls(trunks, catch_all)
        listener = self._build_http()
        # Before the first call can come: every open row belongs to an earlier server.
        terms, switches = self.calls.settings, self.streams.settings.switches
        await self.database.write(
            lambda session: close_orphaned_streams(
                session, clock.wall_ms(), terms.rates, switches, has_plus=terms.has_plus
            )
        )
        abandoned = await self.calls.close_orphans()
        await self.multiparty.end_orphans()
        await workers_run
        await self.registrar.start()
        stack.push_async_callback(self.registrar.close)
        stack.push_async_callback(self.door.close)
        await self.sip.start()
        stack.push_async_callback(self.sip.close)
        self.legs.leave(abandoned)
        await self.legs.learn_gateways()
        stack.push_async_callback(self.legs.close)
        stack.push_async_callback(self.recordings.close)
        self.recordings.start()
        stack.push_async_callback(self.flows.close)
        stack.push_async_callback(self.calls.close)
        await self.calls.outbound.queue.start()
        await listener.start()
        stack.push_async_callback(listener.close)
        # Done first at the end, so that no call begins while requests and calls are being ended.
        stack.callback(self.legs.drain)
        stack.callback(asyncio.create_task(self._refresh_gateways()).cancel)
        stack.callback(asyncio.create_task(self._tell_proxies()).cancel)
        # The 120,000 objects of imported modules need not be looked through again while calls are set up.
        gc.freeze()
        self._is_ready = True
        _log.info("server ready", http=f"{config.http.host}:{self.http_port}", sip=config.sip.host)

    async def _start_egress(self) -> None:
        config = self.config
        self.policy = egress_policy(config)
        self.resolver = Resolver(self.policy)
        self._stack.callback(self.resolver.close)
        try:
            self.http = HttpClient(self.resolver, HttpSettings(ca_file=config.egress.ca_file))
        except OSError as error:
            raise ConfigError(
                f"egress.ca_file {config.egress.ca_file} cannot be used: {error.strerror or error}",
                hint="name a PEM file of certificates that this user may read",
            ) from error
        self._stack.push_async_callback(self.http.close)
        rules = retry_rules(config)
        self.documents = WebhookFetcher(
            self.http, self.timeline, FetchSettings(rules=rules, body_max_bytes=config.webhooks.body_max_bytes)
        )
        self.media_files = MediaCache(
            self.http, config.data_dir / "media", MediaSettings(file_max_bytes=config.egress.media_max_bytes)
        )
        self._stack.push_async_callback(self.media_files.close)
        delivery = DeliveryRules(give_up_ms=config.webhooks.outbox_hours * 3_600_000)
        self.outbox = OutboxSender(
            self.database, self.http, self.timeline, OutboxSettings(delivery=delivery, rules=rules)
        )
        self.outbox.start()
        self._stack.push_async_callback(self.outbox.close)
        self._stack.push_async_callback(self._flush_outbox)

    async def _start_speech(self) -> None:
        self.speaker = Speaker(
            self.config.data_dir / "speech",
            Path(runtime_dir(self.config)) / "speech.log",
            speech_settings(self.config),
            count=lambda outcome: self.metrics.speech_passages_total.labels(outcome=outcome).inc(),
        )
        self._stack.push_async_callback(self.speaker.close)
        await self.speaker.start()

    def _start_recognition(self) -> None:
        config = self.config.recognition
        self.recognizer = Recognizer(
            self.config.data_dir / "recognition",
            Path(runtime_dir(self.config)) / "recognition.log",
            RecognizerSettings(engine=config.engine, waiting_max=config.waiting_max, timeout_ms=config.timeout_ms),
        )
        self._stack.push_async_callback(self.recognizer.close)
        # A process of its own: a long recording must not keep a caller's words waiting.
        self.transcriber = Recognizer(
            self.config.data_dir / "transcription",
            Path(runtime_dir(self.config)) / "transcription.log",
            RecognizerSettings(engine=config.engine),
            is_background=True,
        )
        self._stack.push_async_callback(self.transcriber.close)

    async def _flush_outbox(self) -> None:
        """Give the last hang-up callbacks a moment to leave; what does not is sent by the next server."""
        self.outbox.wake()
        with contextlib.suppress(TimeoutError, RingbackError):
            async with asyncio.timeout(_FLUSH_S):
                # The database is the truth, and other callbacks may be waiting for their next attempt: hence polling.
                while await self.database.read(waiting_callbacks):  # noqa: ASYNC110 - the reason stands above
                    await asyncio.sleep(_FLUSH_POLL_S)

    async def _begin_pool(self) -> asyncio.Task[None]:
        """Start the workers; the task ends when all of them run, and raises what keeps them from it."""
        settings = pool_settings(self.config)
        epoch = await self.database.write(lambda session: next_epoch(session, clock.wall_ms()))
        self.pool = MediaPool(settings, epoch, commit=self._commit)
        self._stack.push_async_callback(self.pool.close)
        starting = asyncio.create_task(_start_pool(self.pool, settings.runtime_dir), name="media-pool-start")
        self._stack.callback(starting.cancel)
        return starting

    async def _commit(self) -> None:
        """Return when what the rooms wrote about the workers' events so far is durable."""
        # Rooms hand their writes to tasks; those tasks must have queued them before the barrier is.
        await asyncio.sleep(0)
        await self.database.settle()

    def _build_signalling(self, trunks: Sequence[Trunk]) -> None:
        config = self.config
        self.sip = SipDriver(
            sip_settings(config),
            on_event=lambda event: self.legs.handle_sip_event(event),
            on_trace=lambda trace: self.legs.handle_sip_trace(trace),
            is_trusted=lambda host: self.legs.may_call(host),
            on_register=lambda event: self.registrar.take(event),
            on_closed=lambda flow: self.registrar.forget_connection(flow),
            kept_connections=lambda: self.registrar.kept_connections(),
        )
        authenticator = Authenticator(self.database, config.endpoints.digest, lambda host: self.legs.may_call(host))
        self.registrar = Registrar(
            self.database,
            self.sip,
            authenticator,
            self.timeline,
            registrar_settings(config),
            count=lambda outcome: self.metrics.sip_registers_total.labels(outcome=outcome).inc(),
        )
        self.legs = Legs(
            self.sip,
            self.pool,
            self.timeline,
            signalling_settings(config),
            trunks,
            judge_target=lambda host, port: sip_refusal(self.policy, host, port),
            find_phones=self.registrar.find_phones,
        )
        self.door = EndpointDoor(
            self.database,
            self.sip,
            authenticator,
            endpoint_domains(config),
            is_source=self.registrar.is_source,
            let_in=self.legs.receive,
        )
        self.legs.door = self.door

    def _build_calls(self, trunks: Sequence[Trunk], catch_all: tuple[AccountId, AppId] | None) -> None:
        config = self.config
        self.calls = CallService(
            self.database,
            self.legs,
            self.timeline,
            call_settings(config, catch_all),
            trunks,
            wake_outbox=self.outbox.wake,
        )
        self.streams = StreamService(
            self.database,
            self.calls,
            self._resolve_stream,
            stream_settings(config),
            rates=self.calls.settings.rates,
            wake_outbox=self.outbox.wake,
            fetch_audio=self._fetch_audio,
        )
        self.dials = DialService(
            self.database,
            self.calls,
            self._start_prompt,
            config.data_dir / "sounds",
            wake_outbox=self.outbox.wake,
        )
        self.calls.speech = self.speaker
        self.recordings = self._build_recordings()
        self.playable = PlayableFiles(
            self.recordings,
            self.media_files.fetch,
            lambda: self._base_url,
            need_credentials=config.recording.url_auth == "basic",
        )
        self.conferences = ConferenceService(
            self.database,
            self.calls,
            media=self.pool,
            recordings=self.recordings,
            fetch_audio=self._fetch_audio,
            maximum=maximum_calls(config),
            wake_outbox=self.outbox.wake,
        )
        self._stack.push_async_callback(self.conferences.close)
        invitations = Invitations(self.documents)
        self.multiparty = MultipartyService(
            self.database,
            self.calls,
            invitations,
            media=self.pool,
            recordings=self.recordings,
            fetch_audio=self._fetch_audio,
            ring_tone=self.dials.ring_tone_path,
            maximum=maximum_calls(config),
            wake_outbox=self.outbox.wake,
        )
        self._stack.push_async_callback(self.multiparty.close)
        self.flows = CallFlows(
            FlowServices(
                documents=invitations,
                media=self.playable,
                streams=self.streams,
                timeline=self.timeline,
                callbacks=OutboxCallbacks(self.database, self.outbox.wake),
                recordings=self.recordings,
                dials=self.dials,
                conferences=self.conferences,
                multiparty=self.multiparty,
                speech=self.recognizer,
                settings=flow_settings(config),
            )
        )
        self.conferences.play_documents_by(self.flows.start_prompts)
        self.multiparty.play_documents_by(self.flows.start_prompts)
        self.legs.on_incoming = self.calls.incoming
        self.calls.start_flow = self._start_flow
        self.calls.start_transfer = lambda call, url, method: self.flows.start(
            call, FirstRequest(url=url, method=method, is_transfer=True)
        )
        self.calls.streams = StreamRoom(self.streams.handle, self.streams.call_gone)
        self.calls.recordings = RecordingRoom(self.recordings.handle, self.recordings.call_gone)

    async def _fetch_audio(self, url: str) -> str:
        return await self.playable.fetch(url)

    def _build_recordings(self) -> RecordingService:
        settings = self.config.recording
        return RecordingService(
            self.database,
            self.calls,
            RecordingFiles(
                settings.dir or self.config.data_dir / "recordings",
                recording_files(self.config),
            ),
            recording_settings(self.config),
            base_url=lambda: self._base_url,
            wake_outbox=self.outbox.wake,
            ears=self.transcriber,
        )

    @property
    def _base_url(self) -> str:
        """Return how customers reach the API."""
        return base_url(self.config, self.http_port)

    async def _resolve_stream(self, url: str) -> Reachable:
        schemes = ("wss",) if self.config.stream.allow_insecure == "never" else ("wss", "ws")
        checked, addresses = await resolve_url(self.resolver, url, schemes)
        return Reachable(f"{checked.scheme}://{checked.authority}{checked.target}", addresses)

    def _start_prompt(self, call: LiveCall, url: str, *, repeats: bool, on_end: Callable[[], None]) -> Prompt:
        return self.flows.start_prompt(call, url, repeats=repeats, on_end=on_end)

    def _start_flow(self, call: LiveCall) -> None:
        terms = call.terms
        self.flows.start(
            call,
            FirstRequest(
                url=terms.answer_url,
                method=terms.answer_method,
                fallback_url=terms.fallback_url,
                fallback_method=terms.fallback_method,
            ),
        )

    def _build_http(self) -> HttpListener:
        # Imported here: the web framework takes a quarter of a second, in which the workers boot.
        from ringback.api.app import build_api
        from ringback.api.listener import HttpListener
        from ringback.api.services import ApiSettings, Services

        config = self.config
        services = Services(
            database=self.database,
            calls=self.calls,
            streams=self.streams,
            conferences=self.conferences,
            multiparty=self.multiparty,
            recordings=self.recordings,
            in_call=InCallActions(self.calls, self._fetch_audio, self.speaker),
            events=self.event_log,
            callbacks=OutboxCallbacks(self.database, self.outbox.wake),
            readiness=_Readiness(self),
            metrics=LiveMetrics(self.metrics, self._gauged_rooms()),
            stock=config.stock(),
            settings=ApiSettings(
                requests_per_window=config.limits.api_per_5s,
                recordings_need_credentials=config.recording.url_auth == "basic",
                sip_domain=sip_domain(config),
                operator_id=config.auth.id,
                version=__version__,
                rates=self.calls.settings.rates,
            ),
        )
        listener = HttpListener(build_api(services), config.http.host, config.http.port)
        self.http_port = listener.port
        # Frees the port when the start fails.
        self._stack.push_async_callback(listener.close)
        return listener

    # ── while it runs ──────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def unready_reasons(self) -> Sequence[str]:
        """Return why this node takes no calls; empty when it does."""
        if not self._is_ready:
            return ("starting or stopping",)
        if not self.pool.is_ready:
            return ("no media worker runs",)
        return (self.database.fault,) if self.database.fault else ()

    async def _tell_proxies(self) -> None:
        """Let the answer to OPTIONS, by which proxies choose a node, say what /readyz says."""
        while True:
            self.sip.set_unready(bool(self.unready_reasons))
            await asyncio.sleep(_READINESS_INTERVAL_S)

    async def _refresh_gateways(self) -> None:
        while True:
            await asyncio.sleep(_GATEWAY_INTERVAL_S)
            try:
                await self.legs.learn_gateways()
            except Exception as error:
                # The next turn comes; a task that dies here would leave every gateway at its old addresses.
                _log.warning("gateways not looked up", error=repr(error))

    def _gauged_rooms(self) -> GaugedRooms:
        return GaugedRooms(
            database=self.database,
            registrar=self.registrar,
            calls=self.calls,
            dials=self.dials,
            speaker=self.speaker,
            recognizer=self.recognizer,
            streams=self.streams,
            conferences=self.conferences,
            multiparty=self.multiparty,
            recordings=self.recordings,
            legs=self.legs,
            sip=self.sip,
            event_log=self.event_log,
            pool=self.pool,
        )


class _Readiness:
    """Fulfils `api.ports.ReadinessPort`."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def unready_reasons(self) -> Sequence[str]:
        """Return why the node is not ready."""
        return self._node.unready_reasons


async def _start_pool(pool: MediaPool, runtime_dir: str) -> None:
    try:
        await pool.start()
    except OSError as error:
        raise ConfigError(
            f"media.runtime_dir {runtime_dir} cannot be used: {error.strerror or error}",
            hint="name a folder that this user may write",
        ) from error
