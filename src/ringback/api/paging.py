"""Pages of a list: `limit`, `offset` or `cursor`, and `meta` with relative links (specification 4.3)."""

from __future__ import annotations

import base64
import binascii
import re
from dataclasses import dataclass
from urllib.parse import parse_qs, quote, urlencode, urlsplit

from fastapi import Request

from ringback.api.bodies import read_query
from ringback.api.forms import Form, invalid, shown
from ringback.calls.views import After

LIMIT_MAX = 20
OFFSET_MAX = 100_000
_CURSOR_MAX_CHARS = 512
_POSITION = re.compile(r"([0-9]{1,6})\.([0-9]{1,15})\.([0-9A-Za-z-]{1,64})")


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted."""

    limit: int
    offset: int
    after: After | None = None
    """The last object of the page before, for a list with cursors: what has come since moves nothing."""

    @property
    def skipped(self) -> int:
        """Return how many objects are left out before the page: none behind a cursor."""
        return 0 if self.after is not None else self.offset

    def meta(self, request: Request, total: int) -> dict[str, object]:
        """Return `meta` of this page of a list of `total` objects; filters stay in the links."""
        following = self.offset + self.limit
        return {
            "limit": self.limit,
            "next": self._link(request, following) if following < total else None,
            "offset": self.offset,
            "previous": self._link(request, max(0, self.offset - self.limit)) if self.offset else None,
            "total_count": total,
        }

    def meta_with_cursor(self, request: Request, total: int, found: int, last: After | None) -> dict[str, object]:
        """Return `meta` whose `next` has a cursor besides the offset, for whoever takes which.

        Args:
            found: Objects on this page.
            last: The last of them.
        """
        meta = self.meta(request, total)
        if last is None or found < self.limit:
            return {**meta, "next": None}
        if meta["next"] is not None:
            following = self.offset + self.limit
            meta["next"] = f"{self._link(request, following)}&cursor={_cursor_of(following, last)}"
        return meta

    def _link(self, request: Request, offset: int) -> str:
        pages = ("limit", "offset", "cursor")
        kept = {name: value for name, value in read_query(request).items() if name not in pages}
        return f"{quote(request.scope['path'])}?{urlencode({**kept, 'limit': self.limit, 'offset': offset})}"


def read_page(form: Form) -> Page:
    """Return the page that a query asks for.

    Raises:
        InvalidParameter: `limit` is not 1 to 20, or `offset` is negative or too large.
    """
    return Page(form.integer("limit", LIMIT_MAX, 1, LIMIT_MAX), form.integer("offset", 0, 0, OFFSET_MAX))


def read_page_with_cursor(form: Form) -> Page:
    """Return the page that a query asks for; a cursor counts more than an offset.

    Raises:
        InvalidParameter: as `read_page`, or `cursor` is none that a `meta.next` had.
    """
    page = read_page(form)
    text = form.text("cursor", max_chars=4_096, about="From `meta.next` of the page before, or that link itself.")
    if not text:
        return page
    # Whoever takes the whole link for the cursor means the one in it.
    cursor = parse_qs(urlsplit(text).query).get("cursor", [text])[-1]
    try:
        padded = cursor[:_CURSOR_MAX_CHARS] + "=" * (-len(cursor) % 4)
        position = base64.urlsafe_b64decode(padded.encode("ascii")).decode("ascii")
    except (binascii.Error, ValueError):
        position = ""
    found = _POSITION.fullmatch(position)
    if found is None:
        invalid("cursor", f"{shown(cursor)}, expected that of a meta.next")
    return Page(page.limit, min(int(found[1]), OFFSET_MAX), After(int(found[2]), found[3]))


def _cursor_of(offset: int, last: After) -> str:
    return base64.urlsafe_b64encode(f"{offset}.{last.wall_ms}.{last.name}".encode()).decode().rstrip("=")
