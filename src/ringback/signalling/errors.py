"""Errors of the signalling room."""

from __future__ import annotations

from ringback.errors import Conflict, LimitReached, MediaError


class LegOver(Conflict):
    """The leg ended, or is not far enough, for what was asked."""

    default_code = "leg-over"


class TooManyLegs(LimitReached):
    """`SignallingSettings.maximum_legs` is reached, or the node drains."""

    default_code = "too-many-legs"


class MediaSetupFailed(MediaError):
    """No media session could be opened within `SignallingSettings.setup_limit_ms`."""

    default_code = "media-setup-failed"
