"""Errors of the session description room."""

from __future__ import annotations

from ringback.errors import Bug, MediaError, ProtocolError


class MalformedSdp(ProtocolError):
    """A session description that cannot be read."""

    default_code = "malformed-sdp"


class NoCommonCodec(MediaError):
    """No audio line of the peer holds a codec that we speak, or the peer refused ours. SIP status 488."""

    default_code = "no-common-codec"
    sip_status = 488


class NoCommonProfile(NoCommonCodec):
    """Every audio line of the peer asks for a transport that we do not speak, such as SRTP. SIP status 488."""

    default_code = "no-common-profile"


class UnsafeSdp(Bug):
    """A value of our own would break out of its line."""

    default_code = "unsafe-sdp"
