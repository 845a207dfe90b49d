"""What a leg refuses."""

from __future__ import annotations

from ringback.errors import MediaError


class NoCommonCodec(MediaError):
    """The negotiated codec is not one that a leg can send."""

    default_code = "no-common-codec"


class RemoteRefused(MediaError):
    """The signalled address must never be sent to."""

    default_code = "remote-refused"
