"""Moments in filters (specification 4.6)."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import assert_never

from ringback.api.forms import Form, invalid, shown
from ringback.calls.views import Bound, Comparison

_DAY = r"\d{4}-\d{2}-\d{2}"
_ZONE = r"(?:[+-]\d{2}:\d{2})?"
_MOMENT = re.compile(rf"({_DAY}(?:[ T]\d{{2}}:\d{{2}}(?::\d{{2}}(?:\.\d{{1,6}})?)?)?)({_ZONE})", re.ASCII)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def read_moments(form: Form, name: str) -> tuple[Bound, ...]:
    """Return the bounds that a query sets on a time, as `name` and as `name__gt`, `__gte`, `__lt`, `__lte`.

    A moment without fractions is the whole second: answers show nothing finer, and what they show must be found.

    Raises:
        InvalidParameter: one is no moment.
    """
    found: list[Bound] = []
    for comparison in Comparison:
        is_precise = "." in form.text(f"{name}{comparison.value}")
        start = read_moment(form, f"{name}{comparison.value}")
        if start is None:
            continue
        end = start + (1 if is_precise else 1_000)
        match comparison:
            case Comparison.EQUAL:
                found += [Bound(Comparison.AT_LEAST, start), Bound(Comparison.LESS, end)]
            case Comparison.GREATER:
                found.append(Bound(Comparison.AT_LEAST, end))
            case Comparison.AT_LEAST:
                found.append(Bound(Comparison.AT_LEAST, start))
            case Comparison.LESS:
                found.append(Bound(Comparison.LESS, start))
            case Comparison.AT_MOST:
                found.append(Bound(Comparison.LESS, end))
            case _:
                assert_never(comparison)
    return tuple(found)


def read_moment(form: Form, name: str) -> int | None:
    """Return a moment in UTC as `wall_ms`, or `None` when it was not sent.

    Raises:
        InvalidParameter: it is none.
    """
    text = form.text(name, max_chars=40, about="`YYYY-MM-DD HH:MM[:ss[.uuuuuu]]`, UTC unless an offset follows.")
    if not text:
        return None
    try:
        found = _MOMENT.fullmatch(text)
        if found is None:
            raise ValueError
        local, zone = found.groups()
        moment = datetime.fromisoformat(local.ljust(26, "0") if "." in local else local)
        # A day with an offset is no ISO 8601 text: the offset is read with a time.
        moment = moment.replace(tzinfo=datetime.fromisoformat(f"2000-01-01 00:00{zone}").tzinfo or UTC)
    except ValueError:
        invalid(name, f"{shown(text)}, expected YYYY-MM-DD HH:MM[:ss[.uuuuuu]]")
    return (moment - _EPOCH) // timedelta(milliseconds=1)
