"""The torture messages of RFC 4475 and RFC 5118, as wire bytes."""

from __future__ import annotations

import re
from pathlib import Path

_FOLDER = Path(__file__).parent.parent / "vectors" / "sip"


def rfc4475_names() -> list[str]:
    """Return the names of all messages of RFC 4475, without suffix."""
    return sorted(path.stem for path in (_FOLDER / "rfc4475").glob("*.dat"))


def rfc4475(name: str) -> bytes:
    """Return one message of RFC 4475, byte-exact."""
    return (_FOLDER / "rfc4475" / f"{name}.dat").read_bytes()


def rfc5118_names() -> list[str]:
    """Return the names of all messages of RFC 5118."""
    return sorted(path.name for path in (_FOLDER / "rfc5118").iterdir())


def rfc5118(name: str) -> bytes:
    """Return one message of RFC 5118 in wire form.

    The publication has bare LF, lacks two blank lines, and its Content-Length fits neither form: all three are mended.
    """
    published = (_FOLDER / "rfc5118" / name).read_bytes().replace(b"\n", b"\r\n")
    head, _, body = published.partition(b"\r\n\r\n")
    head = re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), head.rstrip(b"\r\n"))
    return head + b"\r\n\r\n" + body
