"""The model of a session description (RFC 8866), and its text.

Kept are the lines that offer/answer needs: o=, s=, c=, m= and a=. Others are dropped by the parser, except b= and t=,
which mean nothing to us.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

from ringback.sdp.errors import UnsafeSdp


class Direction(Enum):
    """The direction of media, from the side of whoever wrote it (RFC 3264 §5.1)."""

    SENDRECV = "sendrecv"
    SENDONLY = "sendonly"
    RECVONLY = "recvonly"
    INACTIVE = "inactive"

    @property
    def sends(self) -> bool:
        """Return whether the writer sends."""
        return self in (Direction.SENDRECV, Direction.SENDONLY)

    @property
    def receives(self) -> bool:
        """Return whether the writer receives."""
        return self in (Direction.SENDRECV, Direction.RECVONLY)

    @property
    def reversed(self) -> Direction:
        """Return the same flow as the other side writes it."""
        return Direction.of(sends=self.receives, receives=self.sends)

    def within(self, limit: Direction) -> Direction:
        """Return this direction without what `limit` does not allow."""
        return Direction.of(sends=self.sends and limit.sends, receives=self.receives and limit.receives)

    @staticmethod
    def of(*, sends: bool, receives: bool) -> Direction:
        """Return the direction with these two properties."""
        if sends:
            return Direction.SENDRECV if receives else Direction.SENDONLY
        return Direction.RECVONLY if receives else Direction.INACTIVE


_DIRECTIONS: Final = {direction.value: direction for direction in Direction}


@dataclass(frozen=True, slots=True)
class Origin:
    """The o= line; texts, because peers write numbers of any size. Equal origins mean an unchanged description."""

    username: str
    session_id: str
    version: str
    host: str


@dataclass(frozen=True, slots=True)
class Attribute:
    """One a= line; `value` is `None` for a property attribute."""

    name: str
    value: str | None = None


@dataclass(frozen=True, slots=True)
class RtpMap:
    """One `a=rtpmap`: `encoding` as written, compare it without case."""

    payload_type: int
    encoding: str
    clock_hz: int
    channels: int = 1


STATIC_TYPES: Final = {
    0: RtpMap(0, "PCMU", 8000),
    3: RtpMap(3, "GSM", 8000),
    4: RtpMap(4, "G723", 8000),
    5: RtpMap(5, "DVI4", 8000),
    7: RtpMap(7, "LPC", 8000),
    8: RtpMap(8, "PCMA", 8000),
    9: RtpMap(9, "G722", 8000),
    12: RtpMap(12, "QCELP", 8000),
    13: RtpMap(13, "CN", 8000),
    15: RtpMap(15, "G728", 8000),
    18: RtpMap(18, "G729", 8000),
}
"""Audio payload types that need no rtpmap (RFC 3551 §6)."""


@dataclass(frozen=True, slots=True)
class Media:
    """One m= section. `host` is its own c= address, empty when the session's holds."""

    kind: str
    port: int
    protocol: str
    formats: tuple[str, ...]
    host: str = ""
    attributes: tuple[Attribute, ...] = ()

    @property
    def is_audio(self) -> bool:
        """Return whether this is an audio line."""
        return self.kind.lower() == "audio"

    @property
    def direction(self) -> Direction | None:
        """Return the first direction attribute of the section, or `None`."""
        return _direction_in(self.attributes)

    def values(self, name: str) -> Iterator[str]:
        """Yield the values of all attributes of this name."""
        for attribute in self.attributes:
            if attribute.name == name and attribute.value is not None:
                yield attribute.value

    def milliseconds(self, name: str) -> int | None:
        """Return an attribute such as `ptime` as whole milliseconds, or `None` when absent or unreadable."""
        for value in self.values(name):
            whole, _, fraction = value.strip().partition(".")
            if number(whole, 5) is not None and (not fraction or number(fraction, 9) is not None):
                return int(whole)
        return None

    def maps(self) -> dict[int, RtpMap]:
        """Return what each readable payload type of the m= line means; an rtpmap wins over the static table."""
        written: dict[int, RtpMap] = {}
        for value in self.values("rtpmap"):
            found = _read_rtpmap(value)
            if found is not None:
                written.setdefault(found.payload_type, found)
        maps: dict[int, RtpMap] = {}
        for text in self.formats:
            payload_type = number(text, 3)
            if payload_type is None or payload_type > 127:
                continue
            meaning = written.get(payload_type) or STATIC_TYPES.get(payload_type)
            if meaning is not None:
                maps[payload_type] = meaning
        return maps


@dataclass(frozen=True, slots=True)
class SessionDescription:
    """One session description. `host` is the session's c= address, empty when there is none."""

    origin: Origin
    media: tuple[Media, ...]
    host: str = ""
    name: str = "-"
    attributes: tuple[Attribute, ...] = ()

    def host_of(self, media: Media) -> str:
        """Return where the peer wants the media: the section's own c= before the session's."""
        return media.host or self.host

    def direction_of(self, media: Media) -> Direction:
        """Return the section's direction, else the session's, else sendrecv (RFC 8866 §6.7)."""
        return media.direction or _direction_in(self.attributes) or Direction.SENDRECV

    def to_bytes(self) -> bytes:
        """Return the text with CRLF line ends.

        Raises:
            UnsafeSdp: A value holds a line break or NUL.
        """
        origin = self.origin
        lines = [
            "v=0",
            f"o={origin.username} {origin.session_id} {origin.version} {_net(origin.host)}",
            f"s={self.name or '-'}",
        ]
        if self.host:
            lines.append(f"c={_net(self.host)}")
        lines.append("t=0 0")
        lines.extend(_attribute_line(attribute) for attribute in self.attributes)
        for media in self.media:
            lines.append(f"m={media.kind} {media.port} {media.protocol} {' '.join(media.formats)}")
            if media.host:
                lines.append(f"c={_net(media.host)}")
            lines.extend(_attribute_line(attribute) for attribute in media.attributes)
        for line in lines:
            if "\r" in line or "\n" in line or "\0" in line:
                raise UnsafeSdp(f"found a line break or NUL in an SDP line of type {line[:2]!r}")
        lines.append("")
        return "\r\n".join(lines).encode("utf-8", "replace")


def number(text: str, digits: int) -> int | None:
    """Return the number that `text` is, if it consists of 1 to `digits` ASCII digits."""
    if 0 < len(text) <= digits and text.isascii() and text.isdigit():
        return int(text)
    return None


def _direction_in(attributes: tuple[Attribute, ...]) -> Direction | None:
    for attribute in attributes:
        direction = _DIRECTIONS.get(attribute.name)
        if direction is not None:
            return direction
    return None


def _read_rtpmap(value: str) -> RtpMap | None:
    parts = value.split(None, 1)
    if len(parts) != 2:
        return None
    payload_type = number(parts[0], 3)
    encoding, *rest = parts[1].strip().split("/")
    clock_hz = number(rest[0].strip(), 6) if rest else None
    channels = number(rest[1].strip(), 3) if len(rest) > 1 else 1
    if payload_type is None or payload_type > 127 or not encoding or not clock_hz:
        return None
    return RtpMap(payload_type, encoding.strip(), clock_hz, channels or 1)


def _net(host: str) -> str:
    return f"IN {'IP6' if ':' in host else 'IP4'} {host}"


def _attribute_line(attribute: Attribute) -> str:
    return f"a={attribute.name}" if attribute.value is None else f"a={attribute.name}:{attribute.value}"
