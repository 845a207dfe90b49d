"""`<Stream>`: connect the call's audio to an agent's WebSocket.

Spec: wire spec section 2; 2.2 says which faults make the document invalid and which are bearable.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from ringback.callflow.commands import Note, StartStream, StopStream
from ringback.callflow.document import InvalidDocument
from ringback.callflow.elements.base import DocumentReplaced, Reader, Steps, next_event
from ringback.callflow.events import StreamFinished, StreamRefused, StreamStarted
from ringback.errors import InvalidParameter
from ringback.ids import StreamId
from ringback.media.control.values import StreamEnd, Track
from ringback.streams.spec import (
    DEFAULT_CONTENT_TYPE,
    DEFAULT_NOISE_LEVEL,
    DEFAULT_TIMEOUT_S,
    EXTRA_HEADERS_MAX_BYTES,
    NOISE_LEVELS,
    StreamSpec,
    check_combination,
    check_url,
    content_format,
)

_TRACKS = {track.value: track for track in Track}


@dataclass(frozen=True, slots=True)
class Stream:
    """Starts a stream; with `keep_call_alive` the document goes on when the stream is over, else at once."""

    TAG: ClassVar[str] = "Stream"
    ATTRIBUTES: ClassVar[frozenset[str]] = frozenset(
        {
            "bidirectional",
            "audioTrack",
            "streamTimeout",
            "statusCallbackUrl",
            "statusCallbackMethod",
            "contentType",
            "extraHeaders",
            "keepCallAlive",
            "noiseCancellation",
            "noiseCancellationLevel",
        }
    )

    spec: StreamSpec
    line: int = 0

    @classmethod
    def from_xml(cls, read: Reader) -> Stream:
        """Return the element.

        Raises:
            InvalidDocument: no WebSocket URL, an unknown track, a two-way stream with an outbound track, or a boolean
                that is none.
        """
        bidirectional = read.boolean("bidirectional", default=False)
        try:
            url = check_url(read.node.text)
            track = _track(read)
            check_combination(bidirectional=bidirectional, track=track)
        except InvalidParameter as error:
            raise InvalidDocument(f"<Stream>: {error.message}", read.node.line, hint=error.hint) from None
        spec = StreamSpec(
            url=url,
            bidirectional=bidirectional,
            audio_track=track,
            stream_timeout_s=_timeout_s(read),
            content_type=_content_type(read),
            status_callback_url=_callback_url(read),
            status_callback_method=_callback_method(read),
            extra_headers=_extra_headers(read),
            keep_call_alive=read.boolean("keepCallAlive", default=False),
            noise_cancellation=_noise(read),
            noise_cancellation_level=_noise_level(read),
        )
        return cls(spec, read.node.line)

    @property
    def is_answering(self) -> bool:
        """Return yes: a stream needs audio."""
        return True

    def run(self) -> Steps[None]:
        """Start the stream; block until it is over if it keeps the call alive."""
        yield StartStream(self.spec)
        stream_id: StreamId | None = None
        try:
            while True:
                match (yield from next_event()):
                    case StreamRefused(detail):
                        yield Note(f"stream not started: {detail}", self.TAG, self.line)
                        return
                    case StreamStarted(started_id):
                        stream_id = started_id
                        if not self.spec.keep_call_alive:
                            return
                    case StreamFinished(finished_id) if finished_id == stream_id:
                        return
                    case _:
                        # Other streams end, and digits reach the agent by the stream itself.
                        pass
        except DocumentReplaced:
            if stream_id is not None:
                yield StopStream(stream_id, StreamEnd.TRANSFERRED)
            raise


def _track(read: Reader) -> Track:
    text = read.text("audioTrack")
    track = _TRACKS.get(text.lower()) if text else Track.INBOUND
    if track is None:
        raise read.illegal("audioTrack", "inbound, outbound or both")
    return track


def _timeout_s(read: Reader) -> int:
    if not read.text("streamTimeout"):
        return DEFAULT_TIMEOUT_S
    value = read.whole("streamTimeout")
    if value is None or value <= 0:
        read.note(f"streamTimeout is not a positive number of seconds; {DEFAULT_TIMEOUT_S} is used")
        return DEFAULT_TIMEOUT_S
    if value > DEFAULT_TIMEOUT_S:
        read.note(f"streamTimeout is more than {DEFAULT_TIMEOUT_S}; {DEFAULT_TIMEOUT_S} is used")
        return DEFAULT_TIMEOUT_S
    return value


def _content_type(read: Reader) -> str:
    text = read.text("contentType")
    if not text:
        return DEFAULT_CONTENT_TYPE
    try:
        content_format(text)
    except InvalidParameter as error:
        read.note(f"{error}: the stream will fail and the call goes on")
    return text


def _callback_url(read: Reader) -> str:
    url = read.text("statusCallbackUrl")
    if url and not url.lower().startswith(("http://", "https://")):
        read.note(f"statusCallbackUrl {url[:80]!r} is no http or https URL; nobody is told of the stream")
        return ""
    return url


def _callback_method(read: Reader) -> str:
    method = read.method("statusCallbackMethod")
    if method not in ("GET", "POST"):
        read.note(f"statusCallbackMethod {method[:20]!r} is unknown; POST is used")
        return "POST"
    return method


def _extra_headers(read: Reader) -> str:
    text = read.node.attributes.get("extraHeaders", "")
    data = text.encode("utf-8", "replace")
    if len(data) <= EXTRA_HEADERS_MAX_BYTES:
        return text
    read.note(f"extraHeaders has {len(data)} bytes and is cut to {EXTRA_HEADERS_MAX_BYTES}")
    return data[:EXTRA_HEADERS_MAX_BYTES].decode("utf-8", "ignore")


def _noise(read: Reader) -> bool:
    text = read.text("noiseCancellation").lower()
    if text not in ("", "true", "false"):
        read.note(f"noiseCancellation {text[:20]!r} is neither true nor false; it stays off")
    return text == "true"


def _noise_level(read: Reader) -> int:
    if not read.text("noiseCancellationLevel"):
        return DEFAULT_NOISE_LEVEL
    value = read.whole("noiseCancellationLevel")
    if value is None or value not in NOISE_LEVELS:
        low, high = NOISE_LEVELS[0], NOISE_LEVELS[-1]
        read.note(f"noiseCancellationLevel is not within {low} to {high}; {DEFAULT_NOISE_LEVEL} is used")
        return DEFAULT_NOISE_LEVEL
    return value
