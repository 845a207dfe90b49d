"""Bounded, lenient reading of session descriptions.

Accepted and repaired: LF line ends, white space round lines and between fields, missing s= and t=, unknown lines,
lines without `=`, Latin-1 text, attribute names in any case. Refused: what leaves no meaning to act on.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from ringback.sdp.errors import MalformedSdp
from ringback.sdp.session import Attribute, Media, Origin, SessionDescription, number

MAXIMUM_BYTES: Final = 16 * 1024
MAXIMUM_MEDIA: Final = 16
MAXIMUM_LINES_PER_MEDIA: Final = 100
"""Also the bound of the session's own lines."""


@dataclass(slots=True)
class _Section:
    """The lines below one m= line, or the session's own."""

    host: str = ""
    attributes: list[Attribute] = field(default_factory=list)
    lines: int = 0


def parse_sdp(data: bytes) -> SessionDescription:
    """Return the description that `data` holds.

    Raises:
        MalformedSdp: Over a limit, no v=0, no readable o=, or an unreadable c= or m= line.
    """
    if len(data) > MAXIMUM_BYTES:
        raise MalformedSdp(
            f"read {len(data)} bytes of SDP, expected at most {MAXIMUM_BYTES}", code="sdp-too-long", bytes=len(data)
        )
    origin: Origin | None = None
    name = "-"
    has_version = False
    session = section = _Section()
    sections: list[tuple[Media, _Section]] = []
    for line in _decode(data).replace("\0", "").replace("\r", "\n").split("\n"):
        line = line.strip(" \t")
        if len(line) < 2 or line[1] != "=":
            continue
        kind, value = line[0], line[2:].strip(" \t")
        if not has_version and kind != "v":
            raise MalformedSdp(f"found a {kind}= line first in SDP, expected v=0", code="sdp-no-version")
        if kind == "m":
            if len(sections) == MAXIMUM_MEDIA:
                raise MalformedSdp(
                    f"read more than {MAXIMUM_MEDIA} media lines in SDP, expected at most {MAXIMUM_MEDIA}",
                    code="sdp-too-many-media",
                )
            section = _Section()
            sections.append((_read_media(value), section))
        section.lines += 1
        if section.lines > MAXIMUM_LINES_PER_MEDIA:
            raise MalformedSdp(
                f"read {section.lines} lines in one section of SDP, expected at most {MAXIMUM_LINES_PER_MEDIA}",
                code="sdp-too-many-lines",
            )
        if kind == "v":
            if value != "0":
                raise MalformedSdp(f"found SDP version {value[:20]!r}, expected 0", code="sdp-version")
            has_version = True
        elif kind == "o":
            origin = origin or _read_origin(value)
        elif kind == "s":
            name = value or "-"
        elif kind == "c":
            section.host = section.host or _read_connection(value)
        elif kind == "a":
            attribute = _read_attribute(value)
            if attribute is not None:
                section.attributes.append(attribute)
    if not has_version:
        raise MalformedSdp("found no v=0 line in SDP", code="sdp-no-version")
    if origin is None:
        raise MalformedSdp("found no o= line in SDP", code="sdp-no-origin")
    return SessionDescription(
        origin=origin,
        media=tuple(
            replace(head, host=section.host, attributes=tuple(section.attributes)) for head, section in sections
        ),
        host=session.host,
        name=name,
        attributes=tuple(session.attributes),
    )


def _decode(data: bytes) -> str:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return data.decode("latin-1")


def _fields(value: str) -> list[str]:
    return [part for part in value.replace("\t", " ").split(" ") if part]


def _read_origin(value: str) -> Origin:
    fields = _fields(value)
    if len(fields) < 6:
        # Some devices leave the user name out (RFC 8866 §5.2 wants "-").
        if len(fields) == 5 and number(fields[0], 20) is not None and number(fields[1], 20) is not None:
            fields.insert(0, "-")
        else:
            raise MalformedSdp(f"found {len(fields)} fields in the o= line of SDP, expected 6", code="sdp-origin")
    return Origin(fields[0], fields[1], fields[2], fields[5])


def _read_connection(value: str) -> str:
    fields = _fields(value)
    if len(fields) < 3 or fields[0].upper() != "IN" or fields[1].upper() not in ("IP4", "IP6"):
        raise MalformedSdp(f"found c={value[:60]!r} in SDP, expected IN IP4 or IP6 and an address", code="sdp-address")
    host = fields[2].partition("/")[0].strip("[]")
    if not host or not all(33 <= ord(character) < 127 for character in host):
        raise MalformedSdp(f"found c={value[:60]!r} in SDP, expected an address", code="sdp-address")
    return host


def _read_attribute(value: str) -> Attribute | None:
    name, colon, text = value.partition(":")
    name = name.strip().lower()
    return Attribute(name, text.strip() if colon else None) if name else None


def _read_media(value: str) -> Media:
    fields = _fields(value)
    if len(fields) < 3 or not all(33 <= ord(character) < 127 for part in fields for character in part):
        raise MalformedSdp(f"found m={value[:60]!r} in SDP, expected kind, port, profile and formats", code="sdp-media")
    port = number(fields[1].partition("/")[0], 5)
    if port is None or port > 65535:
        raise MalformedSdp(f"found media port {fields[1][:20]!r} in SDP, expected 0 to 65535", code="sdp-port")
    return Media(fields[0], port, fields[2], tuple(fields[3:]))
