from typing import Any

import pytest

from ringback.telemetry.measured import MeasuredSink
from ringback.telemetry.metrics import Metrics


class Sink:
    def __init__(self) -> None:
        self.facts: list[tuple[str, str, Any]] = []

    def record(self, call_uuid: str, kind: str, fields: Any) -> None:
        self.facts.append((call_uuid, kind, fields))


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("call", {"state": "ended", "name": "Normal Hangup"}, 'ringback_calls_total{hangup_cause="Normal Hangup"} 1.0'),
        ("call", {"state": "refused"}, "ringback_calls_refused_total 1.0"),
        (
            "webhook",
            {"target": "answer", "outcome": "ok", "total_ms": 6},
            'ringback_answer_url_seconds_count{outcome="ok"} 1.0',
        ),
        (
            "webhook",
            {"target": "hangup", "outcome": "refused"},
            'ringback_webhook_deliveries_total{event="hangup",outcome="refused"} 1.0',
        ),
        ("stream", {"event": "opened", "connect_ms": 17}, "ringback_stream_connect_seconds_sum 0.017"),
        (
            "stream",
            {"event": "closed", "reason": "timeout", "dropped_frames": 50},
            'ringback_streams_total{reason="timeout"} 1.0',
        ),
        (
            "stream",
            {"event": "fault", "reason": "uplink_dropped", "count": 50, "ms": 1_000},
            'ringback_stream_dropped_audio_seconds_total{reason="uplink_dropped"} 1.0',
        ),
        (
            "stream",
            {"event": "delay cut", "reason": "delay_cut", "count": 1, "ms": 20},
            'ringback_stream_dropped_audio_seconds_total{reason="delay_cut"} 0.02',
        ),
        ("stream", {"event": "dropped"}, "ringback_stream_drops_total 1.0"),
        (
            "stream",
            {"event": "fault", "reason": "buffer_overflow", "count": 3},
            'ringback_stream_errors_total{code="buffer_overflow"} 3.0',
        ),
        ("quality", {"sent_packets": 7}, 'ringback_rtp_packets_total{direction="outbound"} 7.0'),
        ("quality", {"late_packets": 3}, "ringback_rtp_packets_late_total 3.0"),
        ("quality", {"duplicate_packets": 3}, "ringback_rtp_packets_duplicate_total 3.0"),
        ("quality", {"unusable_packets": 3}, "ringback_rtp_packets_unusable_total 3.0"),
        ("quality", {"concealed_ms": 40}, "ringback_rtp_concealed_seconds_total 0.04"),
        (
            "media",
            {"event": "recording finished", "reason": "disk-full"},
            'ringback_recordings_total{reason="disk-full"} 1.0',
        ),
        (
            "media",
            {"event": "recording finished", "reason": "stopped", "dropped_ms": 500},
            "ringback_recording_dropped_audio_seconds_total 0.5",
        ),
        ("sip", {"direction": "in"}, 'ringback_sip_messages_total{direction="in"} 1.0'),
    ],
)
def test_each_fact_is_counted_and_handed_on(kind: str, fields: dict[str, Any], expected: str):
    sink, metrics = Sink(), Metrics("1")
    MeasuredSink(sink, metrics).record("u", kind, fields)
    assert expected in metrics.render().decode().splitlines()
    assert sink.facts == [("u", kind, fields)]


def test_odd_facts_are_handed_on_uncounted():
    sink, metrics = Sink(), Metrics("1")
    measured = MeasuredSink(sink, metrics)
    measured.record("u", "quality", {"sent_packets": "many", "jitter_us": None})
    measured.record("u", "unheard of", {})
    assert len(sink.facts) == 2
