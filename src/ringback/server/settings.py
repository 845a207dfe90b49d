"""Each room's part of the configuration, in the room's own words."""

from __future__ import annotations

import os
from pathlib import Path

from ringback.billing.rating import RateTable
from ringback.callflow.port import FlowSettings
from ringback.calls.service import CallSettings
from ringback.config.sections import Config
from ringback.egress.own_addresses import own_addresses
from ringback.egress.policy import AllowRule, Mode, Policy, parse_allow
from ringback.errors import ConfigError, EgressError
from ringback.ids import AccountId, AppId
from ringback.media.control.settings import LoadRules, PoolSettings, WorkerSettings
from ringback.media.control.values import DelayPolicy, PlayFormats
from ringback.recordings.files import FileSettings
from ringback.recordings.service import RecordingSettings
from ringback.server.addresses import endpoint_domains, own_sip_address, own_sip_host, sip_domain
from ringback.signalling.registrar import RegistrarSettings
from ringback.signalling.settings import SignallingSettings
from ringback.sip.registrar import RegistrarRules
from ringback.sip.settings import SipSettings
from ringback.sip.transport.driver import interface_host
from ringback.speech.settings import SpeechSettings, SynthesiserSettings
from ringback.speech.voices import Engine
from ringback.streams.away import AwayRules
from ringback.streams.service import StreamSettings
from ringback.streams.switches import StreamSwitches
from ringback.webhooks.payloads import StatusScheme
from ringback.webhooks.retry import RetryRules

_DEFAULT_CALLS = 1_000


def maximum_calls(config: Config) -> int:
    """Return how many calls may last at once."""
    return config.limits.calls or _DEFAULT_CALLS


def runtime_dir(config: Config) -> str:
    """Return the folder of sockets and of the workers' logs."""
    return os.path.abspath(config.media.runtime_dir or config.data_dir / "run")


def egress_policy(config: Config) -> Policy:
    """Return which addresses of customers may be reached.

    Raises:
        ConfigError: `egress.allow` names something that is no address, network or host.
    """
    return Policy(
        mode=Mode(config.egress.mode),
        allow=tuple(map(_allow_rule, config.egress.allow)),
        own_addresses=own_addresses(),
        own_ports=frozenset({config.http.port, config.sip.port}),
        is_plain_allowed=config.stream.allow_insecure == "always",
    )


def _allow_rule(text: str) -> AllowRule:
    try:
        return parse_allow(text)
    except EgressError as error:
        raise ConfigError(f"egress.allow: {error.message}", hint=error.hint) from error


def retry_rules(config: Config) -> RetryRules:
    """Return how long and how often a webhook is tried."""
    return RetryRules(
        connect_ms=config.webhooks.connect_ms,
        read_ms=config.webhooks.read_ms,
        total_ms=config.webhooks.total_ms,
        retries=config.webhooks.retries,
    )


def speech_settings(config: Config) -> SpeechSettings:
    """Return what says `<Speak>`, and how much of it is kept."""
    speech = config.speech
    return SpeechSettings(
        prefer=tuple(map(Engine, speech.prefer)),
        is_preloaded=speech.preload,
        waiting_max=speech.waiting_max,
        cache_max_bytes=speech.cache_max_bytes,
        synthesiser=SynthesiserSettings(voices_dir=_absolute(speech.voices_dir) if speech.voices_dir else ""),
    )


def _absolute(path: Path) -> str:
    return os.path.abspath(path)


def pool_settings(config: Config) -> PoolSettings:
    """Return how many media workers run, and what each of them is told."""
    low, high = config.media.rtp_port_range
    return PoolSettings(
        runtime_dir=runtime_dir(config),
        workers=config.media.workers,
        rtp_port_low=low,
        rtp_port_high=high,
        worker=WorkerSettings(
            detached_limit_ms=config.media.detached_limit_s * 1000,
            machine_detector=config.media.machine_detector,
            stream_ca_file=str(config.stream.ca_file.absolute()) if config.stream.ca_file else "",
            stream_ping_ms=config.stream.ping_ms,
            stream_pong_timeout_ms=config.stream.pong_within_ms,
            noise_engine=config.noise.engine,
            noise_streams_max=config.noise.max_streams_per_worker,
            recording_free_min_bytes=config.recording.free_min_mb * 1024**2,
            late_slot_ms=config.load.late_ms,
        ),
        load=LoadRules(
            is_on=config.load.admission == "on",
            sessions_min=config.load.calls_min,
            late_percent=config.load.late_percent,
            calm_percent=config.load.calm_percent,
            pace_after_ms=config.load.pace_after_s * 1000,
            full_after_ms=config.load.full_after_s * 1000,
            open_after_ms=config.load.open_after_s * 1000,
            paced_per_s=config.load.paced_cps,
        ),
    )


def sip_settings(config: Config) -> SipSettings:
    """Return where SIP is spoken."""
    listener = (config.sip.host, config.sip.port)
    return SipSettings(
        udp_listeners=(listener,),
        tcp_listeners=(listener,) if config.sip.tcp else (),
        public_host=config.sip.advertised_address,
        user_agent=config.sip.user_agent,
    )


def registrar_settings(config: Config) -> RegistrarSettings:
    """Return for how long phones register, and how many of an endpoint."""
    endpoints = config.endpoints
    return RegistrarSettings(RegistrarRules(endpoints.min_expires_s, endpoints.max_expires_s, endpoints.contacts_max))


def signalling_settings(config: Config) -> SignallingSettings:
    """Return under which addresses legs are made, and how many."""
    host = config.media.host or config.sip.host
    return SignallingSettings(
        domain=sip_domain(config),
        media_host=host,
        visible_media_host=interface_host(host),
        advertised_media_host=config.media.advertised_address,
        trust_loopback=config.sip.trust_loopback,
        own_address=(own_sip_host(config), config.sip.port),
        maximum_legs=2 * maximum_calls(config),
        media_idle_ms=config.media.idle_ms,
    )


def call_settings(config: Config, catch_all: tuple[AccountId, AppId] | None) -> CallSettings:
    """Return the limits of calls; `catch_all` answers the numbers that belong to nobody."""
    return CallSettings(
        own_address=own_sip_address(config),
        domains=endpoint_domains(config),
        maximum_calls=maximum_calls(config),
        max_call_s=config.limits.max_call_s,
        allowed_prefixes=config.limits.allowed_prefixes,
        catch_all=catch_all,
        outbound_per_second=config.limits.outbound_cps,
        queue_max=config.limits.queued_calls,
        queue_patience_s=config.limits.queue_max_s,
        rates=RateTable(config.billing.call_per_minute, config.billing.stream_per_minute),
        has_plus=config.webhooks.number_plus,
    )


def stream_settings(config: Config) -> StreamSettings:
    """Return how agents' WebSockets are dialled, fed and waited for."""
    stream = config.stream
    return StreamSettings(
        connect_timeout_ms=stream.connect_timeout_ms,
        connect_attempts=stream.connect_attempts,
        connect_gap_ms=stream.connect_gap_ms,
        playout_max_ms=stream.playout_max_ms,
        uplink_max_ms=stream.uplink_max_ms,
        subprotocol=stream.subprotocol,
        send_stop=stream.send_stop,
        verify_tls=stream.verify_tls,
        dead_after_ms=stream.dead_after_ms,
        delay_policy=DelayPolicy(stream.delay_policy),
        away=AwayRules(
            hold=stream.hold,
            hold_after_ms=stream.hold_after_ms,
            reconnects=stream.reconnects,
            reconnect_max_ms=stream.reconnect_max_ms,
            fallback_url=stream.fallback_url,
            fallback_method=stream.fallback_method,
            truth=stream.truth,
        ),
        switches=StreamSwitches(
            formats=PlayFormats(stream.formats),
            has_json_headers=stream.extra_headers == "json",
            are_headers_sent=stream.handshake_headers,
            scheme=StatusScheme(stream.status_events),
            has_json_status=stream.status_body == "json",
        ),
    )


def flow_settings(config: Config) -> FlowSettings:
    """Return the bounds of documents, and what they mean where there is a choice."""
    return FlowSettings(
        does_wait_ring=config.xml.first_wait == "rings",
        has_late_transfers=config.stream.transfer == "after-stream",
    )


def recording_files(config: Config) -> FileSettings:
    """Return when the disk counts as full."""
    return FileSettings(free_min_bytes=config.recording.free_min_mb * 1024**2)


def recording_settings(config: Config) -> RecordingSettings:
    """Return how much is kept for an account, and for how long."""
    recording = config.recording
    return RecordingSettings(
        account_max_bytes=recording.account_max_gb * 1024**3,
        retention_days=recording.retention_days,
        has_plus=config.webhooks.number_plus,
    )
