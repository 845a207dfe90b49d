"""What the event log says of what a call's media session reports."""

from __future__ import annotations

from ringback.media.control.events import (
    BeepHeard,
    DigitsSent,
    MachineJudged,
    MediaStarted,
    MediaTimedOut,
    PlayFinished,
    PlayStarted,
    SessionClosed,
    SilenceReached,
    SpeechCaptured,
    SpeechStarted,
)


def media_note(event: object) -> tuple[str, dict[str, object]] | None:
    """Return kind and fields of the log entry, `None` for what is not logged or is by those who act on it."""
    match event:
        case PlayStarted():
            return "media", {"event": "play started", "play_id": event.play_id}
        case PlayFinished():
            return "media", {
                "event": "play finished",
                "play_id": event.play_id,
                "reason": event.reason.value,
                "played_ms": event.played_ms,
                "detail": event.detail,
            }
        case DigitsSent():
            return "digit", {"sent": event.digits}
        case MachineJudged():
            return "machine", {
                "answerer": event.answerer.value,
                "reason": event.reason,
                "after_ms": event.after_ms,
            }
        case SpeechStarted():
            return "media", {"event": "speech started", "after_ms": event.after_ms}
        case SilenceReached():
            return "media", {"event": "silence", "silence_ms": event.silence_ms}
        case SpeechCaptured():
            return "media", {"event": "speech captured", "captured_ms": event.captured_ms}
        case BeepHeard():
            return "media", {"event": "beep", "pitch_hz": event.pitch_hz, "duration_ms": event.duration_ms}
        case MediaStarted():
            return "media", {"event": "first packet", "remote": f"{event.remote.host}:{event.remote.port}"}
        case MediaTimedOut():
            return "media", {"event": "timed out", "idle_ms": event.idle_ms}
        case SessionClosed():
            return "quality", {
                "received_packets": event.received_packets,
                "sent_packets": event.sent_packets,
                "lost_packets": event.lost_packets,
                "refused_packets": event.refused_packets,
                "concealed_ms": event.concealed_ms,
                "jitter_us": event.jitter_us,
                "late_packets": event.late_packets,
                "duplicate_packets": event.duplicate_packets,
                "unusable_packets": event.unusable_packets,
                "playout_gaps": event.playout_gaps,
                "playout_cut_ms": event.playout_cut_ms,
            }
        case _:
            return None
