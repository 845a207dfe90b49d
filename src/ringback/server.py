"""The composition root: builds the rooms, joins them, starts them in order, ends them in the reverse order."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import uvloop

from ringback import __version__, clock, ids
from ringback.accounts.account import Account
from ringback.accounts.application import Application
from ringback.accounts.store import ensure_account, ensure_application
from ringback.billing.rating import RateTable
from ringback.callflow.driver import CallFlows
from ringback.callflow.port import FirstRequest, FlowServices
from ringback.calls.in_call import InCallActions
from ringback.calls.live import LiveCall
from ringback.calls.service import CallService, CallSettings, RecordingRoom, StreamRoom
from ringback.conferences.service import ConferenceService
from ringback.config import AppSection, Config, TrunkSection
from ringback.dials.run import Prompt
from ringback.dials.service import DialService
from ringback.egress.download import MediaCache, MediaSettings
from ringback.egress.http import HttpClient, HttpSettings
from ringback.egress.own_addresses import own_addresses
from ringback.egress.policy import AllowRule, Mode, Policy, parse_allow, sip_refusal
from ringback.egress.resolve import Resolver, resolve_url
from ringback.errors import ConfigError, EgressError, RingbackError
from ringback.ids import AccountId, AppId
from ringback.media.control.settings import PoolSettings, WorkerSettings
from ringback.media.control.values import DelayPolicy
from ringback.media.pool.pool import MediaPool
from ringback.multiparty.invitations import Invitations
from ringback.multiparty.service import MultipartyService
from ringback.numbers.store import ensure_number
from ringback.numbers.trunks import Gateway, GatewayCredentials, NatMode, Trunk, TrunkDirection
from ringback.recognition.recognizer import Recognizer
from ringback.recognition.settings import RecognizerSettings
from ringback.recordings.files import FileSettings, RecordingFiles
from ringback.recordings.playable import PlayableFiles
from ringback.recordings.service import RecordingService, RecordingSettings
from ringback.signalling.admission import is_loopback
from ringback.signalling.authenticator import Authenticator
from ringback.signalling.domains import OwnDomains, own_domains
from ringback.signalling.endpoint_door import EndpointDoor
from ringback.signalling.legs import Legs
from ringback.signalling.registrar import Registrar, RegistrarSettings
from ringback.signalling.settings import SignallingSettings
from ringback.signalling.store import next_epoch
from ringback.sip.registrar import RegistrarRules
from ringback.sip.settings import SipSettings
from ringback.sip.transport.driver import SipDriver, interface_host
from ringback.speech.settings import SpeechSettings, SynthesiserSettings
from ringback.speech.speaker import Speaker
from ringback.speech.voices import Engine
from ringback.storage.database import Database, Session
from ringback.storage.event_log import EventLog
from ringback.streams.away import AwayRules
from ringback.streams.service import Reachable, StreamService, StreamSettings
from ringback.streams.store import close_orphaned_streams
from ringback.telemetry.logs import configure_logs, get_logger
from ringback.telemetry.measured import MeasuredSink
from ringback.telemetry.metrics import Metrics
from ringback.webhooks.fetcher import Callback, FetchSettings, WebhookFetcher
from ringback.webhooks.outbox import OutboxSender, OutboxSettings
from ringback.webhooks.retry import DeliveryRules, RetryRules
from ringback.webhooks.store import OutboundCallback, enqueue, replay, waiting_callbacks

if TYPE_CHECKING:
    from ringback.api.listener import HttpListener

_log = get_logger(__name__)

_DEFAULT_CALLS = 1_000
_FLUSH_S = 1.0
_FLUSH_POLL_S = 0.02
_GATEWAY_INTERVAL_S = 300.0
"""How often the names of trunk gateways are looked up again."""


def main(config: Config) -> int:
    """Run the server until SIGTERM or SIGINT; return its exit code."""
    configure_logs(config.observability.log, config.observability.level)
    return uvloop.run(_run_until_signal(config))


async def _run_until_signal(config: Config) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # What a start makes stays: looking for garbage in it would take a tenth of the start.
    gc.disable()
    async with Node(config):
        gc.enable()
        await stop.wait()
        _log.info("server stopping")
    return 0


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

        trunks = tuple(_trunk(section) for section in config.trunk)
        await self._start_egress()
        workers_run = await self._begin_pool()
        # The rest is built while the workers boot.
        catch_all = await self._ensure_configured()
        await self._start_speech()
        self._start_recognition()
        self._build_signalling(trunks)
        self._build_calls(trunks, catch_all)
        listener = self._build_http()
        # Before the first call can come: every open row belongs to an earlier server.
        rates = self.streams.rates
        await self.database.write(lambda session: close_orphaned_streams(session, clock.wall_ms(), rates))
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
        # The 120,000 objects of imported modules need not be looked through again while calls are set up.
        gc.freeze()
        self._is_ready = True
        _log.info("server ready", http=f"{config.http.host}:{self.http_port}", sip=config.sip.host)

    async def _ensure_configured(self) -> tuple[AccountId, AppId] | None:
        """Store the account, applications and numbers of the settings; return the application that answers the rest."""
        config = self.config

        def work(session: Session) -> tuple[AccountId, AppId] | None:
            if not config.auth.id:
                return None
            account = ensure_account(session, config.auth.id, config.auth.token.get_secret_value(), "Ringback")
            apps = {section.name: _ensure_app(session, account, section) for section in config.app}
            for number in config.number:
                ensure_number(session, number.number.lstrip("+"), account.auth_id, apps[number.app])
            return (account.auth_id, apps[config.default_app]) if config.default_app else None

        if (config.app or config.number) and not config.auth.id:
            raise ConfigError("[[app]] and [[number]] belong to an account", hint="set auth.id and auth.token")
        return await self.database.write(work)

    async def _start_egress(self) -> None:
        config = self.config
        self.policy = Policy(
            mode=Mode(config.egress.mode),
            allow=tuple(map(_allow_rule, config.egress.allow)),
            own_addresses=own_addresses(),
            own_ports=frozenset({config.http.port, config.sip.port}),
            is_plain_allowed=config.stream.allow_insecure == "always",
        )
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
        rules = RetryRules(
            connect_ms=config.webhooks.connect_ms,
            read_ms=config.webhooks.read_ms,
            total_ms=config.webhooks.total_ms,
            retries=config.webhooks.retries,
        )
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
        config = self.config.speech
        self.speaker = Speaker(
            self.config.data_dir / "speech",
            Path(_runtime_dir(self.config)) / "speech.log",
            SpeechSettings(
                prefer=tuple(map(Engine, config.prefer)),
                is_preloaded=config.preload,
                waiting_max=config.waiting_max,
                cache_max_bytes=config.cache_max_bytes,
                synthesiser=SynthesiserSettings(voices_dir=_absolute(config.voices_dir) if config.voices_dir else ""),
            ),
            count=lambda outcome: self.metrics.speech_passages_total.labels(outcome=outcome).inc(),
        )
        self._stack.push_async_callback(self.speaker.close)
        await self.speaker.start()

    def _start_recognition(self) -> None:
        config = self.config.recognition
        self.recognizer = Recognizer(
            self.config.data_dir / "recognition",
            Path(_runtime_dir(self.config)) / "recognition.log",
            RecognizerSettings(engine=config.engine, waiting_max=config.waiting_max, timeout_ms=config.timeout_ms),
        )
        self._stack.push_async_callback(self.recognizer.close)
        # A process of its own: a long recording must not keep a caller's words waiting.
        self.transcriber = Recognizer(
            self.config.data_dir / "transcription",
            Path(_runtime_dir(self.config)) / "transcription.log",
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
        config = self.config
        low, high = config.media.rtp_port_range
        settings = PoolSettings(
            runtime_dir=_runtime_dir(config),
            workers=config.media.workers,
            rtp_port_low=low,
            rtp_port_high=high,
            worker=WorkerSettings(
                detached_limit_ms=config.media.detached_limit_s * 1000,
                machine_detector=config.media.machine_detector,
                stream_ca_file=str(config.stream.ca_file.absolute()) if config.stream.ca_file else "",
                noise_engine=config.noise.engine,
                noise_streams_max=config.noise.max_streams_per_worker,
                recording_free_min_bytes=config.recording.free_min_mb * 1024**2,
            ),
        )
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
        listener = (config.sip.host, config.sip.port)
        self.sip = SipDriver(
            SipSettings(
                udp_listeners=(listener,),
                tcp_listeners=(listener,) if config.sip.tcp else (),
                public_host=config.sip.advertised_address,
                user_agent=config.sip.user_agent,
            ),
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
            RegistrarSettings(
                RegistrarRules(
                    config.endpoints.min_expires_s, config.endpoints.max_expires_s, config.endpoints.contacts_max
                )
            ),
            count=lambda outcome: self.metrics.sip_registers_total.labels(outcome=outcome).inc(),
        )
        host = config.media.host or config.sip.host
        self.legs = Legs(
            self.sip,
            self.pool,
            self.timeline,
            SignallingSettings(
                domain=self._sip_domain,
                media_host=host,
                visible_media_host=interface_host(host),
                advertised_media_host=config.media.advertised_address,
                trust_loopback=config.sip.trust_loopback,
                own_address=(self._own_sip_host, config.sip.port),
                maximum_legs=2 * (config.limits.calls or _DEFAULT_CALLS),
                media_idle_ms=config.media.idle_ms,
            ),
            trunks,
            judge_target=lambda host, port: sip_refusal(self.policy, host, port),
            find_phones=self.registrar.find_phones,
        )
        self.door = EndpointDoor(
            self.database,
            self.sip,
            authenticator,
            self._domains,
            is_source=self.registrar.is_source,
            let_in=self.legs.receive,
        )
        self.legs.door = self.door

    @property
    def _sip_address(self) -> str:
        """Return the address that peers see of our SIP listener."""
        return self.config.sip.advertised_address or interface_host(self.config.sip.host)

    @property
    def _sip_domain(self) -> str:
        """Return the host of our SIP addresses, with a port if it is not 5060."""
        host, port = self._sip_address, self.config.sip.port
        address = f"[{host}]" if ":" in host else host
        return self.config.sip.domain or (address if port == 5060 else f"{address}:{port}")

    @property
    def _domains(self) -> OwnDomains:
        """Return under which names and addresses our endpoints are called."""
        sip = self.config.sip
        is_wildcard = sip.host in ("0.0.0.0", "::")
        local = own_addresses() if is_wildcard else (sip.host,)
        names = (sip.domain, *sip.domains, *(("localhost",) if is_wildcard or is_loopback(sip.host) else ()))
        return own_domains(names, (self._sip_address, *map(str, local)), sip.port)

    @property
    def _own_sip_host(self) -> str:
        """Return the address by which we reach our own SIP listener."""
        return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.config.sip.host, self.config.sip.host)

    def _build_calls(self, trunks: Sequence[Trunk], catch_all: tuple[AccountId, AppId] | None) -> None:
        config = self.config
        own_host = f"[{self._own_sip_host}]" if ":" in self._own_sip_host else self._own_sip_host
        self.calls = CallService(
            self.database,
            self.legs,
            self.timeline,
            CallSettings(
                own_address=f"{own_host}:{config.sip.port}",
                domains=self._domains,
                maximum_calls=config.limits.calls or _DEFAULT_CALLS,
                max_call_s=config.limits.max_call_s,
                allowed_prefixes=config.limits.allowed_prefixes,
                catch_all=catch_all,
                outbound_per_second=config.limits.outbound_cps,
                queue_max=config.limits.queued_calls,
                queue_patience_s=config.limits.queue_max_s,
            ),
            trunks,
            wake_outbox=self.outbox.wake,
        )
        self.streams = StreamService(
            self.database,
            self.calls,
            self._resolve_stream,
            StreamSettings(
                connect_timeout_ms=config.stream.connect_timeout_ms,
                connect_attempts=config.stream.connect_attempts,
                connect_gap_ms=config.stream.connect_gap_ms,
                playout_max_ms=config.stream.playout_max_ms,
                uplink_max_ms=config.stream.uplink_max_ms,
                subprotocol=config.stream.subprotocol,
                send_stop=config.stream.send_stop,
                verify_tls=config.stream.verify_tls,
                dead_after_ms=config.stream.dead_after_ms,
                delay_policy=DelayPolicy(config.stream.delay_policy),
                away=AwayRules(
                    hold=config.stream.hold,
                    hold_after_ms=config.stream.hold_after_ms,
                    reconnects=config.stream.reconnects,
                    reconnect_max_ms=config.stream.reconnect_max_ms,
                    fallback_url=config.stream.fallback_url,
                    fallback_method=config.stream.fallback_method,
                    truth=config.stream.truth,
                ),
            ),
            rates=RateTable(stream_per_minute=config.billing.stream_per_minute),
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
            maximum=config.limits.calls or _DEFAULT_CALLS,
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
            maximum=config.limits.calls or _DEFAULT_CALLS,
            wake_outbox=self.outbox.wake,
        )
        self._stack.push_async_callback(self.multiparty.close)
        self.flows = CallFlows(
            FlowServices(
                documents=invitations,
                media=self.playable,
                streams=self.streams,
                timeline=self.timeline,
                callbacks=_Callbacks(self.database, self.outbox.wake),
                recordings=self.recordings,
                dials=self.dials,
                conferences=self.conferences,
                multiparty=self.multiparty,
                speech=self.recognizer,
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
                FileSettings(free_min_bytes=settings.free_min_mb * 1024**2),
            ),
            RecordingSettings(
                account_max_bytes=settings.account_max_gb * 1024**3, retention_days=settings.retention_days
            ),
            base_url=lambda: self._base_url,
            wake_outbox=self.outbox.wake,
            ears=self.transcriber,
        )

    @property
    def _base_url(self) -> str:
        """Return how customers reach the API."""
        host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(self.config.http.host, self.config.http.host)
        return self.config.http.public_url or f"http://{f'[{host}]' if ':' in host else host}:{self.http_port}"

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
            callbacks=_Callbacks(self.database, self.outbox.wake),
            readiness=_Readiness(self),
            metrics=_LiveMetrics(self),
            settings=ApiSettings(
                requests_per_window=config.limits.api_per_5s,
                recordings_need_credentials=config.recording.url_auth == "basic",
                sip_domain=self._sip_domain,
                version=__version__,
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
        return ()

    async def _refresh_gateways(self) -> None:
        while True:
            await asyncio.sleep(_GATEWAY_INTERVAL_S)
            try:
                await self.legs.learn_gateways()
            except Exception as error:
                # The next turn comes; a task that dies here would leave every gateway at its old addresses.
                _log.warning("gateways not looked up", error=repr(error))

    async def set_gauges(self) -> None:
        """Bring every gauge up to date; what workers count is up to a second old."""
        metrics = self.metrics
        with contextlib.suppress(RingbackError):
            metrics.webhook_outbox_depth.set(await self.database.read(waiting_callbacks))
            metrics.sip_registrations_active.set(await self.registrar.registered_count())
        live = self.calls.live()
        inbound = sum(call.is_inbound for call in live)
        metrics.calls_active.labels(direction="inbound").set(inbound)
        metrics.calls_active.labels(direction="outbound").set(len(live) - inbound)
        metrics.calls_queued.set(len(self.calls.outbound.queue))
        metrics.dials_active.set(self.dials.live_count)
        metrics.speech_waiting.set(self.speaker.waiting)
        metrics.recognition_waiting.set(self.recognizer.waiting)
        metrics.stream_active.set(self.streams.live_count)
        metrics.conferences_active.set(self.conferences.live_count)
        metrics.conference_members.set(self.conferences.member_count)
        metrics.multiparty_active.set(self.multiparty.live_count)
        metrics.recording_active.set(self.recordings.live_count)
        metrics.sip_invites_active.set(self.legs.live_count)
        metrics.sip_table_entries.labels(table="calls").set(self.sip.call_count)
        metrics.sip_table_entries.labels(table="transactions").set(self.sip.transaction_count)
        metrics.sip_table_entries.labels(table="connections").set(self.sip.connection_count)
        metrics.event_log_queue.set(self.event_log.waiting_events)
        metrics.event_log_dropped.set(self.event_log.counters.dropped)
        metrics.admission_limit_calls.set(self.calls.settings.maximum_calls)
        for worker in self.pool.workers():
            stats = worker.stats
            metrics.media_worker_up.labels(worker=worker.worker_id).set(worker.is_accepting)
            metrics.media_sessions_active.labels(worker=worker.worker_id).set(worker.sessions)
            if stats is not None:
                metrics.media_ports_open.labels(worker=worker.worker_id).set(stats.open_ports)
                metrics.media_tick_lateness_seconds.labels(worker=worker.worker_id).set(stats.tick_late_p99_us / 1e6)
                metrics.media_worker_rss_bytes.labels(worker=worker.worker_id).set(stats.rss_bytes)
                metrics.media_worker_cpu_seconds.labels(worker=worker.worker_id).set(stats.cpu_ns / 1e9)
            metrics.media_worker_restarts.labels(worker=worker.worker_id).set(worker.restarts)


class _Readiness:
    """Fulfils `api.ports.ReadinessPort`."""

    def __init__(self, node: Node) -> None:
        self._node = node

    def unready_reasons(self) -> Sequence[str]:
        """Return why the node is not ready."""
        return self._node.unready_reasons


class _LiveMetrics:
    """Fulfils `api.ports.MetricsPort` with gauges that are true at the moment of the scrape."""

    def __init__(self, node: Node) -> None:
        self._node = node

    async def render(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        await self._node.set_gauges()
        return self._node.metrics.render()


class _Callbacks:
    """Fulfils `api.ports.CallbacksPort` and `callflow.port.CallbackPort` with the outbox."""

    def __init__(self, database: Database, wake: Callable[[], None]) -> None:
        self._database = database
        self._wake = wake

    async def deliver(self, account: Account, url: str, method: str, params: Mapping[str, str]) -> None:
        """Queue one signed callback; it is durable when this returns."""
        callback = OutboundCallback(
            kind="api",
            account_id=account.auth_id,
            call_uuid=ids.new_uuid(),
            url=url,
            method=method,
            params=dict(params),
        )
        await self._enqueue(callback)

    async def send(self, callback: Callback) -> None:
        """Queue a callback of a call's document; it is durable when this returns."""
        params = callback.params
        await self._enqueue(
            OutboundCallback(
                kind=callback.kind.value,
                account_id=callback.account_id,
                call_uuid=callback.call_uuid,
                url=callback.url,
                method=callback.method,
                params=dict(params.items() if isinstance(params, Mapping) else params),
                is_private=callback.is_private,
            )
        )

    async def _enqueue(self, callback: OutboundCallback) -> None:
        await self._database.write(lambda session: enqueue(session, callback))
        self._wake()

    async def replay(self, account: Account, event_id: str) -> bool:
        """Queue a finished callback of the account again."""
        wall_ms = clock.wall_ms()
        is_queued = await self._database.write(lambda session: replay(session, event_id, wall_ms, account.auth_id))
        self._wake()
        return is_queued


async def _start_pool(pool: MediaPool, runtime_dir: str) -> None:
    try:
        await pool.start()
    except OSError as error:
        raise ConfigError(
            f"media.runtime_dir {runtime_dir} cannot be used: {error.strerror or error}",
            hint="name a folder that this user may write",
        ) from error


def _runtime_dir(config: Config) -> str:
    return os.path.abspath(config.media.runtime_dir or config.data_dir / "run")


def _absolute(path: Path) -> str:
    return os.path.abspath(path)


def _allow_rule(text: str) -> AllowRule:
    try:
        return parse_allow(text)
    except EgressError as error:
        raise ConfigError(f"egress.allow: {error.message}", hint=error.hint) from error


def _ensure_app(session: Session, account: Account, section: AppSection) -> AppId:
    application = Application(
        app_id=AppId(ids.new_digits(17)),
        account_id=account.auth_id,
        name=section.name,
        answer_url=section.answer_url,
        answer_method=section.answer_method,
        hangup_url=section.hangup_url,
        hangup_method=section.hangup_method,
        fallback_answer_url=section.fallback_url,
        fallback_method=section.fallback_method,
    )
    return ensure_application(session, application).app_id


def _trunk(section: TrunkSection) -> Trunk:
    credentials: tuple[GatewayCredentials, ...] = ()
    if section.auth.username:
        credentials = (
            GatewayCredentials(section.auth.username, section.auth.password.get_secret_value(), section.auth.realm),
        )
    return Trunk(
        name=section.name,
        direction=TrunkDirection(section.direction),
        gateways=tuple(
            Gateway(gateway.host, gateway.port, gateway.transport, gateway.priority, gateway.weight)
            for gateway in section.gateways
        ),
        credentials=credentials,
        allowed_addresses=section.allowed_addresses,
        numbers=section.numbers,
        caller_id=section.caller_id,
        codecs=section.codecs,
        max_calls=section.max_calls,
        max_cps=section.max_cps,
        nat=NatMode(section.nat),
        e164_plus=section.e164_plus,
        tech_prefix=section.tech_prefix,
        ringing_timeout_ms=section.ringing_timeout_s * 1000,
        headers=tuple(section.headers.items()),
        priority=section.priority,
    )
