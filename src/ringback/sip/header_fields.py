"""The header fields of a message: an ordered map that keeps spelling and order, with views that are read once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar, cast

from ringback.sip.errors import UnsafeHeader
from ringback.sip.headers.names import CORE_HEADERS, LIST_HEADERS, canonical_name, is_header_name, wire_name
from ringback.sip.syntax import refuse_unsafe, split_list

ViewT = TypeVar("ViewT")


class Latin1Text(str):
    """A header value that arrived in Latin-1: read as text, sent back with its own bytes."""

    __slots__ = ()


class Headers:
    """An ordered multi-map of header lines.

    Names are accepted in any spelling and compact form, and kept canonical (lower-case, long). The order of lines is
    kept. Values are checked when they are added, so nothing can break out of its line.
    """

    __slots__ = ("_index", "_lines", "_version", "_views")

    def __init__(self, pairs: Iterable[tuple[str, str]] = ()) -> None:
        self._lines: list[tuple[str, str, str]] = []
        self._index: dict[str, list[str]] | None = None
        self._views: dict[str, Any] = {}
        self._version = 0
        for name, value in pairs:
            self.add(name, value)

    @classmethod
    def from_parsed(
        cls,
        lines: list[tuple[str, str, str]],
        index: dict[str, list[str]],
        views: dict[str, Any],
    ) -> Headers:
        """Return headers over lines of (canonical name, value, name as spelled) that the parser has checked.

        State: takes its arguments over; `index` holds every value by canonical name, `views` what is already typed.
        """
        headers = cls.__new__(cls)
        headers._lines = lines
        headers._index = index
        headers._views = views
        headers._version = 0
        return headers

    @property
    def version(self) -> int:
        """Return a number that grows with every change."""
        return self._version

    def get(self, name: str, default: str | None = None) -> str | None:
        """Return the first value of `name` as written, or `default`."""
        values = self._values(name)
        return values[0] if values else default

    def lines(self, name: str) -> tuple[str, ...]:
        """Return every value of `name` as written, one per line."""
        return tuple(self._values(name))

    def all(self, name: str) -> tuple[str, ...]:
        """Return every value of `name`; lines of list headers are split at their commas, empty elements left out."""
        values = self._values(name)
        if canonical_name(name) not in LIST_HEADERS:
            return tuple(values)
        return tuple(element for value in values for element in split_list(value) if element)

    def add(self, name: str, value: str) -> None:
        """Append one line.

        Raises:
            UnsafeHeader: the name is no token, or the value holds CR, LF or NUL.
        """
        self._lines.append(self._checked(name, value))
        self._changed()

    def insert_first(self, name: str, value: str) -> None:
        """Put one line before all others, as a new Via stands.

        Raises:
            UnsafeHeader: as `add`.
        """
        self._lines.insert(0, self._checked(name, value))
        self._changed()

    def set(self, name: str, value: str) -> None:
        """Replace the first line of `name`, drop its others, append it when there is none.

        Raises:
            UnsafeHeader: as `add`.
        """
        line = self._checked(name, value)
        canonical = line[0]
        kept: list[tuple[str, str, str]] = []
        placed = False
        for existing in self._lines:
            if existing[0] != canonical:
                kept.append(existing)
            elif not placed:
                kept.append(line)
                placed = True
        if not placed:
            kept.append(line)
        self._lines = kept
        self._changed()

    def set_first_value(self, name: str, value: str) -> None:
        """Replace the first value of `name` (of its first line's list) and keep all others.

        Raises:
            UnsafeHeader: as `add`.
        """
        line = self._checked(name, value)
        for position, (canonical, existing, spelled) in enumerate(self._lines):
            if canonical != line[0]:
                continue
            rest = split_list(existing)[1:] if canonical in LIST_HEADERS else []
            self._lines[position] = (canonical, ", ".join([value, *rest]), spelled)
            self._changed()
            return
        self._lines.append(line)
        self._changed()

    def remove(self, name: str) -> None:
        """Drop every line of `name`; nothing happens when there is none."""
        canonical = canonical_name(name)
        kept = [line for line in self._lines if line[0] != canonical]
        if len(kept) != len(self._lines):
            self._lines = kept
            self._changed()

    def copy(self) -> Headers:
        """Return an independent copy."""
        headers = Headers()
        headers._lines = self._lines.copy()
        return headers

    def spelled_pairs(self) -> list[tuple[str, str]]:
        """Return (name, value) of each line, unknown names spelled as they came in: for applications and logs."""
        return [(wire_name(canonical, spelled), value) for canonical, value, spelled in self._lines]

    def view(self, key: str, compute: Callable[[Headers], ViewT]) -> ViewT:
        """Return `compute(self)`, remembered under `key` until a header changes."""
        try:
            return cast(ViewT, self._views[key])
        except KeyError:
            result = compute(self)
            self._views[key] = result
            return result

    def __contains__(self, name: str) -> bool:
        """Return whether a line of `name` exists."""
        return bool(self._values(name))

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Yield (canonical name, value) of each line in order."""
        return ((canonical, value) for canonical, value, _ in self._lines)

    def __len__(self) -> int:
        """Return the number of lines."""
        return len(self._lines)

    def __eq__(self, other: object) -> bool:
        """Return whether both hold the same lines in the same order, spelling aside."""
        return isinstance(other, Headers) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]  # mutable

    def __repr__(self) -> str:
        """Return the names only: values may be private."""
        return f"Headers({[canonical for canonical, _, _ in self._lines]})"

    def _values(self, name: str) -> list[str]:
        index = self._index
        if index is None:
            index = {}
            for canonical, value, _ in self._lines:
                index.setdefault(canonical, []).append(value)
            self._index = index
        return index.get(name) or index.get(canonical_name(name)) or []

    def _changed(self) -> None:
        self._index = None
        self._views = {}
        self._version += 1

    @staticmethod
    def _checked(name: str, value: str) -> tuple[str, str, str]:
        if not is_header_name(name):
            raise UnsafeHeader(f"found header name {name!r}, allowed are token characters", header=name)
        refuse_unsafe(name, value)
        return canonical_name(name), value, name


def application_header(name: str, value: str) -> tuple[str, str]:
    """Return the pair, checked to be a header that an application may add to a message of ours.

    Raises:
        UnsafeHeader: the name is no token or belongs to the SIP layer, or the value holds CR, LF or NUL.
    """
    if not is_header_name(name):
        raise UnsafeHeader(f"found header name {name!r}, allowed are token characters", header=name)
    if canonical_name(name) in CORE_HEADERS:
        raise UnsafeHeader(f"found header {name}, allowed are headers that the SIP layer does not write", header=name)
    refuse_unsafe(name, value)
    return name, value
