"""Quality of one leg as figures that people compare: loss, jitter, concealment, an estimated opinion score."""

from __future__ import annotations

import msgspec

_R_CLEAN = 93.2
_DELAY_MS = 40.0
"""Delay that every call has besides jitter: packetisation and a phone's buffer."""


class Quality(msgspec.Struct, frozen=True, kw_only=True):
    """Totals of one leg so far."""

    received_packets: int
    sent_packets: int
    lost_packets: int
    late_packets: int
    duplicate_packets: int
    unusable_packets: int
    refused_packets: int
    """Packets of sources that the latch did not admit."""
    flooded_frames: int
    concealed_ms: int
    skipped_frames: int
    inserted_frames: int
    restarts: int
    jitter_us: int
    reorder_window_ms: int
    queued_ms: int
    playout_gaps: int
    playout_trimmed_ms: int
    suppressed_packets: int
    """Packets not sent because the leg was on hold or had no remote."""

    @property
    def loss_percent(self) -> float:
        """Return the share of packets that never came."""
        expected = self.received_packets + self.lost_packets
        return 100.0 * self.lost_packets / expected if expected else 0.0

    @property
    def mos(self) -> float:
        """Return the estimated mean opinion score, 1.0 to 4.4 (E-model of ITU-T G.107, G.711 with concealment)."""
        return estimated_mos(self.loss_percent, self.jitter_us / 1000.0)


def estimated_mos(loss_percent: float, jitter_ms: float) -> float:
    """Return the E-model's opinion score for a loss and a jitter; the delay is taken as 40 ms plus twice the jitter."""
    delay = _DELAY_MS + 2.0 * jitter_ms
    delay_impairment = 0.024 * delay + (0.11 * (delay - 177.3) if delay > 177.3 else 0.0)
    # G.711 with concealment: Ie 0, Bpl 25.1 (ITU-T G.113 Appendix I).
    loss_impairment = 95.0 * loss_percent / (loss_percent + 25.1)
    rating = max(0.0, min(100.0, _R_CLEAN - delay_impairment - loss_impairment))
    score = 1.0 + 0.035 * rating + rating * (rating - 60.0) * (100.0 - rating) * 7e-6
    return round(max(1.0, min(4.5, score)), 2)
