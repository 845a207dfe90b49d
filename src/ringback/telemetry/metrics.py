"""The metrics on `/metrics`: every name, its unit and its labels in one place.

Labels hold words from small fixed sets, never ids, numbers or addresses. One `Metrics` belongs to one server; tests
make their own.
"""

from __future__ import annotations

import platform

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.exposition import generate_latest

_SHORT = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60)
_DISK = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5)


class Metrics:
    """Every metric of the server, prefixed `ringback_`.

    Gauges are idle (0) when no call lives; the test platform asserts it.
    """

    def __init__(self, version: str) -> None:
        registry = CollectorRegistry(auto_describe=True)
        self.registry = registry

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"ringback_{name}", text, labels, registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"ringback_{name}", text, labels, registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"ringback_{name}", text, labels, buckets=buckets, registry=registry)

        self.calls_active = gauge("calls_active", "Live calls.", "direction")
        self.calls_queued = gauge("calls_queued", "Outbound calls that wait for their turn.")
        self.call_queue_seconds = histogram("call_queue_seconds", "Time that calls waited for their turn.", _SHORT)
        self.calls_total = counter("calls_total", "Ended calls.", "hangup_cause")
        self.calls_refused_total = counter("calls_refused_total", "Calls refused before they began.")
        self.legs_refused_total = counter("legs_refused_total", "Incoming and outgoing legs refused.", "reason")
        self.answer_url_seconds = histogram("answer_url_seconds", "Fetches of call documents.", _SHORT, "outcome")
        self.webhook_deliveries_total = counter("webhook_deliveries_total", "Callback attempts.", "event", "outcome")
        self.webhook_outbox_depth = gauge("webhook_outbox_depth", "Callbacks that wait to be delivered.")
        self.dials_active = gauge("dials_active", "Dials of documents with parties that are not gone.")
        self.stream_active = gauge("stream_active", "Streams that have not ended.")
        self.conferences_active = gauge("conferences_active", "Conferences that have members.")
        self.conference_members = gauge("conference_members", "Calls in conferences.")
        self.multiparty_active = gauge("multiparty_active", "Multiparty calls that have participants.")
        self.recordings_total = counter("recordings_total", "Ended recordings.", "reason")
        self.recording_dropped_audio_seconds_total = counter(
            "recording_dropped_audio_seconds_total", "Audio that the disk was too slow for."
        )
        self.recording_active = gauge("recording_active", "Recordings that have not ended.")
        self.speech_waiting = gauge("speech_waiting_passages", "Passages that wait to be synthesised.")
        self.recognition_waiting = gauge("recognition_waiting_utterances", "Utterances that wait to be recognised.")
        self.speech_passages_total = counter("speech_passages_total", "Passages that were wanted.", "outcome")
        self.stream_connect_seconds = histogram("stream_connect_seconds", "Dial to open WebSocket.", _SHORT)
        self.streams_total = counter("streams_total", "Ended streams.", "reason")
        self.stream_dropped_audio_seconds_total = counter(
            "stream_dropped_audio_seconds_total", "Audio of streams that one side never heard.", "reason"
        )
        self.noise_audio_seconds_total = counter(
            "noise_audio_seconds_total", "Audio of ended streams with noise suppression.", "engine"
        )
        self.noise_passed_audio_seconds_total = counter(
            "noise_passed_audio_seconds_total", "Audio of them that passed as it came: the engine was late.", "engine"
        )
        self.noise_cpu_seconds_total = counter(
            "noise_cpu_seconds_total", "CPU time of engines for ended streams.", "engine"
        )
        self.stream_drops_total = counter("stream_drops_total", "Agents' connections that were lost.")
        self.stream_errors_total = counter("stream_errors_total", "Faults of streams.", "code")
        self.rtp_packets_total = counter("rtp_packets_total", "RTP packets of ended sessions.", "direction")
        self.rtp_packets_lost_total = counter("rtp_packets_lost_total", "RTP packets that never came.")
        self.rtp_packets_refused_total = counter("rtp_packets_refused_total", "RTP packets from strangers.")
        self.rtp_packets_late_total = counter("rtp_packets_late_total", "RTP packets that came too late to be heard.")
        self.rtp_packets_duplicate_total = counter("rtp_packets_duplicate_total", "RTP packets that came twice.")
        self.rtp_packets_unusable_total = counter("rtp_packets_unusable_total", "Datagrams that are no usable RTP.")
        self.rtp_jitter_seconds = histogram("rtp_jitter_seconds", "Jitter of ended sessions.", _DISK)
        self.rtp_concealed_seconds_total = counter("rtp_concealed_seconds_total", "Audio made up for lost packets.")
        self.media_worker_up = gauge("media_worker_up", "1 while the worker takes new sessions, else 0.", "worker")
        self.media_sessions_active = gauge("media_sessions_active", "Open media sessions.", "worker")
        self.media_ports_open = gauge("media_ports_open", "Bound RTP ports.", "worker")
        self.media_tick_lateness_seconds = gauge("media_tick_lateness_seconds", "Pacer lateness, p99.", "worker")
        self.media_tick_late_ratio = gauge(
            "media_tick_late_ratio", "Slots that ran late, or not at all, of the last second.", "worker"
        )
        self.media_worker_busy_ratio = gauge(
            "media_worker_busy_ratio", "Of the last second, in which the loop ran or waited for a core.", "worker"
        )
        self.media_worker_load_state = gauge(
            "media_worker_load_state", "1 for the worker's state: open, strained, paced or full.", "worker", "state"
        )
        self.media_worker_spare_calls = gauge(
            "media_worker_spare_calls", "New calls that the worker takes within a second.", "worker"
        )
        self.media_stream_backlog_messages = gauge(
            "media_stream_backlog_messages", "Messages whose agents do not read them.", "worker"
        )
        self.media_worker_cpu_seconds = gauge("media_worker_cpu_seconds", "CPU time since the start.", "worker")
        self.media_worker_rss_bytes = gauge("media_worker_rss_bytes", "Resident memory.", "worker")
        self.media_worker_restarts = gauge("media_worker_restarts", "Workers of this slot that died.", "worker")
        self.sip_messages_total = counter("sip_messages_total", "SIP messages of calls.", "direction")
        self.sip_invites_active = gauge("sip_invites_active", "INVITE usages that are not over.")
        self.sip_registers_total = counter("sip_registers_total", "REGISTER requests.", "outcome")
        # Not among the idle gauges: phones stay registered between calls.
        self.sip_registrations_active = gauge("sip_registrations_active", "Endpoints that have a phone.")
        # Not among the idle gauges: transactions outlive their call by up to 32 s (RFC 3261 timers D, J, L, M).
        self.sip_table_entries = gauge("sip_table_entries", "Rows of the SIP endpoint's tables.", "table")
        self.admission_limit_calls = gauge("admission_limit_calls", "Live calls allowed.")
        self.event_log_queue = gauge("event_log_queue_rows", "Facts that wait to be written.")
        self.event_log_dropped = gauge("event_log_dropped_rows", "Facts that found the queue full.")
        self.build_info = gauge("build_info", "Version and Python, as labels.", "version", "python")
        self.build_info.labels(version=version, python=platform.python_version()).set(1)
        for direction in ("inbound", "outbound"):
            self.calls_active.labels(direction=direction)
            self.rtp_packets_total.labels(direction=direction)

    def render(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        return generate_latest(self.registry)


IDLE_GAUGES = (
    "ringback_calls_active",
    "ringback_calls_queued",
    "ringback_dials_active",
    "ringback_stream_active",
    "ringback_conferences_active",
    "ringback_conference_members",
    "ringback_multiparty_active",
    "ringback_recording_active",
    "ringback_speech_waiting_passages",
    "ringback_recognition_waiting_utterances",
    "ringback_webhook_outbox_depth",
    "ringback_media_sessions_active",
    "ringback_media_ports_open",
    "ringback_sip_invites_active",
    "ringback_event_log_queue_rows",
)
"""Gauges whose every series reads 0 when nothing happens."""
