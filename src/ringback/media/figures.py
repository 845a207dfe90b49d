"""The figures of one leg, gathered from its parts."""

from __future__ import annotations

from ringback.ids import SessionId
from ringback.media.control.events import SessionClosed, SessionStats
from ringback.media.control.values import SessionEnd
from ringback.media.playout import SAMPLES_PER_MS, Playout
from ringback.media.receive import Receiver
from ringback.media.rtp.sender import RtpSender
from ringback.media.stats import Quality


def quality_of(receiver: Receiver, sender: RtpSender, playout: Playout, *, malformed: int, refused: int) -> Quality:
    """Return every figure so far; packets that were `malformed` or `refused` never reached the receiver."""
    return Quality(
        received_packets=receiver.received,
        sent_packets=sender.sent,
        lost_packets=receiver.lost,
        late_packets=receiver.late,
        duplicate_packets=receiver.duplicates,
        unusable_packets=receiver.unusable + malformed,
        refused_packets=refused,
        flooded_frames=receiver.flooded,
        concealed_ms=receiver.concealed_samples // SAMPLES_PER_MS,
        skipped_frames=receiver.skipped_frames,
        inserted_frames=receiver.inserted_frames,
        restarts=receiver.restarts,
        jitter_us=receiver.jitter_us,
        reorder_window_ms=receiver.window_ms,
        queued_ms=playout.level_ms,
        playout_gaps=playout.gaps,
        playout_trimmed_ms=playout.trimmed_samples // SAMPLES_PER_MS,
        suppressed_packets=sender.suppressed,
    )


def stats_of(session_id: SessionId, receiver: Receiver, sender: RtpSender, playout: Playout) -> SessionStats:
    """Return the figures that are reported while a session lives."""
    return SessionStats(
        session_id=session_id,
        received_packets=receiver.received,
        sent_packets=sender.sent,
        lost_packets=receiver.lost,
        concealed_ms=receiver.concealed_samples // SAMPLES_PER_MS,
        jitter_us=receiver.jitter_us,
        queued_ms=playout.level_ms,
    )


def totals_of(
    session_id: SessionId,
    reason: SessionEnd,
    receiver: Receiver,
    sender: RtpSender,
    playout: Playout,
    *,
    malformed: int,
    refused: int,
) -> SessionClosed:
    """Return the last event of a session."""
    return SessionClosed(
        session_id=session_id,
        reason=reason,
        received_packets=receiver.received,
        sent_packets=sender.sent,
        lost_packets=receiver.lost,
        refused_packets=refused,
        concealed_ms=receiver.concealed_samples // SAMPLES_PER_MS,
        jitter_us=receiver.jitter_us,
        late_packets=receiver.late,
        duplicate_packets=receiver.duplicates,
        unusable_packets=receiver.unusable + malformed,
        playout_gaps=playout.gaps,
        playout_cut_ms=playout.trimmed_samples // SAMPLES_PER_MS,
    )
