"""What a customer asks of an audio stream, validated once: the same rules for `<Stream>` and for REST.

Spec: wire spec 2.2 (attributes), 3.1 (REST fields), 2.3 (extra headers).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from ringback.errors import InvalidParameter
from ringback.media.control.values import AudioFormat, Encoding, Track

DEFAULT_CONTENT_TYPE = "audio/x-l16;rate=8000"
DEFAULT_TIMEOUT_S = 86_400
URL_MAX_CHARS = 2048
EXTRA_HEADERS_MAX_BYTES = 512
NOISE_LEVELS = range(60, 101)
DEFAULT_NOISE_LEVEL = 85

FORMATS: Mapping[str, AudioFormat] = MappingProxyType(
    {
        "audio/x-l16;rate=8000": AudioFormat(Encoding.L16, 8000),
        "audio/x-l16;rate=16000": AudioFormat(Encoding.L16, 16000),
        "audio/x-mulaw;rate=8000": AudioFormat(Encoding.MULAW, 8000),
    }
)
"""The three content types and what they mean."""


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """One stream as the customer asked for it; build it with `checked`."""

    url: str
    bidirectional: bool = False
    audio_track: Track = Track.INBOUND
    stream_timeout_s: int = DEFAULT_TIMEOUT_S
    content_type: str = DEFAULT_CONTENT_TYPE
    status_callback_url: str = ""
    status_callback_method: str = "POST"
    extra_headers: str = ""
    keep_call_alive: bool = False
    noise_cancellation: bool = False
    noise_cancellation_level: int = DEFAULT_NOISE_LEVEL


def content_format(content_type: str) -> AudioFormat:
    """Return the format of a content type; spaces and letter case do not matter.

    Raises:
        InvalidParameter: the type is none of the three that exist.
    """
    found = FORMATS.get(content_type.replace(" ", "").lower())
    if found is None:
        allowed = ", ".join(FORMATS)
        raise InvalidParameter(
            f"content_type parameter is invalid: {content_type[:80]}",
            hint=f"use one of {allowed}",
            field="content_type",
        )
    return found


def check_url(url: str) -> str:
    """Return `url` trimmed.

    Raises:
        InvalidParameter: it is empty, too long, or not a ws:// or wss:// URL.
    """
    url = url.strip()
    if not url:
        raise InvalidParameter("service_url parameter is missing", field="service_url")
    if len(url) > URL_MAX_CHARS:
        raise InvalidParameter(
            f"service_url parameter is invalid: {len(url)} characters, at most {URL_MAX_CHARS}", field="service_url"
        )
    if not url.lower().startswith(("ws://", "wss://")):
        raise InvalidParameter(
            "service_url parameter is invalid: not a WebSocket URL",
            hint="it starts with wss:// or ws://",
            field="service_url",
        )
    return url


def check_combination(*, bidirectional: bool, track: Track) -> None:
    """Refuse a two-way stream that also asks for outbound audio (spec 2.2).

    Raises:
        InvalidParameter: the combination is illegal.
    """
    if bidirectional and track is not Track.INBOUND:
        raise InvalidParameter(
            f"audio_track parameter is invalid: {track.value} with bidirectional=true",
            hint="a bidirectional stream carries the inbound track only",
            field="audio_track",
        )


def check_extra_headers(text: str) -> str:
    """Return the extra headers unchanged.

    Raises:
        InvalidParameter: they are longer than 512 bytes.
    """
    size = len(text.encode())
    if size > EXTRA_HEADERS_MAX_BYTES:
        raise InvalidParameter(
            f"extra_headers parameter is invalid: {size} bytes, at most {EXTRA_HEADERS_MAX_BYTES}",
            field="extra_headers",
        )
    return text
