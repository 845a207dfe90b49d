"""Pages of a list: `limit`, `offset`, and `meta` with relative links (specification 4.3)."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import quote, urlencode

from fastapi import Request

from ringback.api.bodies import read_query
from ringback.api.forms import Form

LIMIT_MAX = 20
OFFSET_MAX = 100_000


@dataclass(frozen=True, slots=True)
class Page:
    """Which part of a list is wanted."""

    limit: int
    offset: int

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

    def _link(self, request: Request, offset: int) -> str:
        kept = {name: value for name, value in read_query(request).items() if name not in ("limit", "offset")}
        return f"{quote(request.scope['path'])}?{urlencode({**kept, 'limit': self.limit, 'offset': offset})}"


def read_page(form: Form) -> Page:
    """Return the page that a query asks for.

    Raises:
        InvalidParameter: `limit` is not 1 to 20, or `offset` is negative or too large.
    """
    return Page(form.integer("limit", LIMIT_MAX, 1, LIMIT_MAX), form.integer("offset", 0, 0, OFFSET_MAX))
