"""The metrics of a scrape: every gauge is read from its room at that moment."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import dataclass

from ringback.calls.service import CallService
from ringback.conferences.service import ConferenceService
from ringback.dials.service import DialService
from ringback.errors import RingbackError
from ringback.media.pool.load import LoadState
from ringback.media.pool.pool import MediaPool
from ringback.multiparty.service import MultipartyService
from ringback.recognition.recognizer import Recognizer
from ringback.recordings.service import RecordingService
from ringback.signalling.legs import Legs
from ringback.signalling.registrar import Registrar
from ringback.sip.transport.driver import SipDriver
from ringback.speech.speaker import Speaker
from ringback.storage.database import Database
from ringback.storage.event_log import EventLog
from ringback.streams.service import StreamService
from ringback.telemetry.metrics import Metrics
from ringback.webhooks.store import waiting_callbacks


@dataclass(frozen=True, kw_only=True, slots=True)
class GaugedRooms:
    """What the gauges are read from."""

    database: Database
    registrar: Registrar
    calls: CallService
    dials: DialService
    speaker: Speaker
    recognizer: Recognizer
    streams: StreamService
    conferences: ConferenceService
    multiparty: MultipartyService
    recordings: RecordingService
    legs: Legs
    sip: SipDriver
    event_log: EventLog
    pool: MediaPool


class LiveMetrics:
    """Fulfils `api.ports.MetricsPort` with gauges that are true at the moment of the scrape."""

    def __init__(self, metrics: Metrics, rooms: GaugedRooms) -> None:
        self._metrics = metrics
        self._rooms = rooms
        self._refusals_counted: Counter[str] = Counter()

    async def render(self) -> bytes:
        """Return all metrics in the Prometheus text format."""
        await self._set_gauges()
        return self._metrics.render()

    async def _set_gauges(self) -> None:
        """Bring every gauge up to date; what workers count is up to a second old."""
        self._set_live_gauges()
        metrics, rooms = self._metrics, self._rooms
        # Last: a call that is over is gone once its callbacks are stored. Read before, the outbox could still be empty
        # when the call is gone already, and a node that has callbacks to send would look idle.
        with suppress(RingbackError):
            metrics.sip_registrations_active.set(await rooms.registrar.registered_count())
            metrics.webhook_outbox_depth.set(await rooms.database.read(waiting_callbacks))

    def _set_live_gauges(self) -> None:
        """Read what the rooms hold in memory."""
        metrics, rooms = self._metrics, self._rooms
        live = rooms.calls.live()
        inbound = sum(call.is_inbound for call in live)
        metrics.calls_active.labels(direction="inbound").set(inbound)
        metrics.calls_active.labels(direction="outbound").set(len(live) - inbound)
        metrics.calls_queued.set(len(rooms.calls.outbound.queue))
        metrics.dials_active.set(rooms.dials.live_count)
        metrics.speech_waiting.set(rooms.speaker.waiting)
        metrics.recognition_waiting.set(rooms.recognizer.waiting)
        metrics.stream_active.set(rooms.streams.live_count)
        metrics.conferences_active.set(rooms.conferences.live_count)
        metrics.conference_members.set(rooms.conferences.member_count)
        metrics.multiparty_active.set(rooms.multiparty.live_count)
        metrics.recording_active.set(rooms.recordings.live_count)
        metrics.sip_invites_active.set(rooms.legs.live_count)
        metrics.sip_table_entries.labels(table="calls").set(rooms.sip.call_count)
        metrics.sip_table_entries.labels(table="transactions").set(rooms.sip.transaction_count)
        metrics.sip_table_entries.labels(table="connections").set(rooms.sip.connection_count)
        metrics.event_log_queue.set(rooms.event_log.waiting_events)
        metrics.event_log_dropped.set(rooms.event_log.counters.dropped)
        for reason, count in rooms.legs.refusals.items():
            metrics.legs_refused_total.labels(reason=reason).inc(count - self._refusals_counted[reason])
            self._refusals_counted[reason] = count
        metrics.admission_limit_calls.set(rooms.calls.settings.maximum_calls)
        for worker in rooms.pool.workers():
            stats = worker.stats
            metrics.media_worker_up.labels(worker=worker.worker_id).set(worker.is_accepting)
            metrics.media_sessions_active.labels(worker=worker.worker_id).set(worker.sessions)
            if stats is not None:
                metrics.media_ports_open.labels(worker=worker.worker_id).set(stats.open_ports)
                metrics.media_tick_lateness_seconds.labels(worker=worker.worker_id).set(stats.tick_late_p99_us / 1e6)
                metrics.media_worker_rss_bytes.labels(worker=worker.worker_id).set(stats.rss_bytes)
                metrics.media_worker_cpu_seconds.labels(worker=worker.worker_id).set(stats.cpu_ns / 1e9)
                metrics.media_stream_backlog_messages.labels(worker=worker.worker_id).set(stats.stream_backlog)
            metrics.media_tick_late_ratio.labels(worker=worker.worker_id).set(worker.late_share)
            metrics.media_worker_busy_ratio.labels(worker=worker.worker_id).set(worker.busy_share)
            metrics.media_worker_spare_calls.labels(worker=worker.worker_id).set(worker.spare)
            for state in LoadState:
                is_now = worker.load is state
                metrics.media_worker_load_state.labels(worker=worker.worker_id, state=state.value).set(is_now)
            metrics.media_worker_restarts.labels(worker=worker.worker_id).set(worker.restarts)
