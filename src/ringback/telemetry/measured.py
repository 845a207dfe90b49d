"""Counts facts on their way into the event log, so that a fact and its metric can never disagree."""

from __future__ import annotations

from collections.abc import Mapping

from ringback.telemetry.events import EventSink
from ringback.telemetry.metrics import Metrics

_DOCUMENTS = frozenset({"answer", "fallback", "action", "transfer", "redirect"})


class MeasuredSink:
    """An `EventSink` that counts each fact, then hands it on."""

    def __init__(self, sink: EventSink, metrics: Metrics) -> None:
        self._sink = sink
        self._metrics = metrics
        self._count = {
            "call": self._call,
            "webhook": self._webhook,
            "stream": self._stream,
            "media": self._media,
            "quality": self._quality,
            "sip": self._sip,
        }

    def record(self, call_uuid: str, kind: str, fields: Mapping[str, object]) -> None:
        """Take one fact; never blocks, never raises."""
        count = self._count.get(kind)
        if count is not None:
            count(fields)
        self._sink.record(call_uuid, kind, fields)

    def _call(self, fields: Mapping[str, object]) -> None:
        match fields.get("state"):
            case "ended":
                self._metrics.calls_total.labels(hangup_cause=str(fields.get("name", ""))).inc()
            case "refused":
                self._metrics.calls_refused_total.inc()
            case "dialling" if "queue_ms" in fields:
                self._metrics.call_queue_seconds.observe(_number(fields, "queue_ms") / 1000)
            case _:
                # Other states are moments of a call that is counted at its end.
                return

    def _webhook(self, fields: Mapping[str, object]) -> None:
        target, outcome = str(fields.get("target", "")), str(fields.get("outcome", ""))
        if target in _DOCUMENTS:
            self._metrics.answer_url_seconds.labels(outcome=outcome).observe(_number(fields, "total_ms") / 1000)
        else:
            self._metrics.webhook_deliveries_total.labels(event=target, outcome=outcome).inc()

    def _stream(self, fields: Mapping[str, object]) -> None:
        match fields.get("event"):
            case "opened":
                self._metrics.stream_connect_seconds.observe(_number(fields, "connect_ms") / 1000)
            case "closed":
                self._metrics.streams_total.labels(reason=str(fields.get("reason", ""))).inc()
            case "fault":
                code = str(fields.get("reason", ""))
                self._metrics.stream_errors_total.labels(code=code).inc(_number(fields, "count"))
                self._lost_audio(fields)
            case "delay cut":
                self._lost_audio(fields)
            case "dropped":
                self._metrics.stream_drops_total.inc()
            case "noise cancellation ended":
                engine = str(fields.get("engine", ""))
                self._metrics.noise_cpu_seconds_total.labels(engine=engine).inc(_number(fields, "cpu_us") / 1e6)
                self._metrics.noise_audio_seconds_total.labels(engine=engine).inc(_number(fields, "frames") / 50)
                passed_s = _number(fields, "passed_frames") / 50
                self._metrics.noise_passed_audio_seconds_total.labels(engine=engine).inc(passed_s)
            case _:
                # Control messages are facts for people, not for counters.
                return

    def _media(self, fields: Mapping[str, object]) -> None:
        if fields.get("event") == "recording finished":
            self._metrics.recordings_total.labels(reason=str(fields.get("reason", ""))).inc()
            self._metrics.recording_dropped_audio_seconds_total.inc(_number(fields, "dropped_ms") / 1000)

    def _lost_audio(self, fields: Mapping[str, object]) -> None:
        if lost_ms := _number(fields, "ms"):
            reason = str(fields.get("reason", ""))
            self._metrics.stream_dropped_audio_seconds_total.labels(reason=reason).inc(lost_ms / 1000)

    def _quality(self, fields: Mapping[str, object]) -> None:
        metrics = self._metrics
        metrics.rtp_packets_total.labels(direction="inbound").inc(_number(fields, "received_packets"))
        metrics.rtp_packets_total.labels(direction="outbound").inc(_number(fields, "sent_packets"))
        metrics.rtp_packets_lost_total.inc(_number(fields, "lost_packets"))
        metrics.rtp_packets_refused_total.inc(_number(fields, "refused_packets"))
        metrics.rtp_packets_late_total.inc(_number(fields, "late_packets"))
        metrics.rtp_packets_duplicate_total.inc(_number(fields, "duplicate_packets"))
        metrics.rtp_packets_unusable_total.inc(_number(fields, "unusable_packets"))
        metrics.rtp_concealed_seconds_total.inc(_number(fields, "concealed_ms") / 1000)
        metrics.rtp_jitter_seconds.observe(_number(fields, "jitter_us") / 1e6)

    def _sip(self, fields: Mapping[str, object]) -> None:
        self._metrics.sip_messages_total.labels(direction=str(fields.get("direction", ""))).inc()


def _number(fields: Mapping[str, object], name: str) -> float:
    value = fields.get(name)
    return max(0.0, float(value)) if isinstance(value, int | float) else 0.0
