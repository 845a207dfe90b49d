"""Moments in filters (specification 4.6)."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from ringback.api.forms import Form, invalid, shown

_DAY = r"\d{4}-\d{2}-\d{2}"
_MOMENT = re.compile(rf"{_DAY}(?:[ T]\d{{2}}:\d{{2}}(?::\d{{2}}(?:\.\d{{1,6}})?)?)?", re.ASCII)


def read_moment(form: Form, name: str) -> int | None:
    """Return a moment in UTC as `wall_ms`, or `None` when it was not sent.

    Raises:
        InvalidParameter: it is none.
    """
    text = form.text(name, max_chars=32, about="`YYYY-MM-DD HH:MM[:ss[.uuuuuu]]`, UTC")
    if not text:
        return None
    try:
        if not _MOMENT.fullmatch(text):
            raise ValueError
        moment = datetime.fromisoformat(text.ljust(26, "0") if "." in text else text).replace(tzinfo=UTC)
    except ValueError:
        invalid(name, f"{shown(text)}, expected YYYY-MM-DD HH:MM[:ss[.uuuuuu]]")
    return int(moment.timestamp() * 1000)
