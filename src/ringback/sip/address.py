"""Name-addr and addr-spec: the values of From, To, Contact, Route, Record-Route, P-Asserted-Identity and their kin."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field

from ringback.sip.errors import MalformedSip, UnsafeHeader
from ringback.sip.syntax import Params, end_of_quoted, format_params, parse_params, quote, split_list, unquote
from ringback.sip.uri import URI_UNSAFE, Uri, parse_uri_or_opaque, safe_uri_text

_BARE_UNSAFE = re.compile(r'[\0-\x20?,">\x7f]')


@dataclass(frozen=True, slots=True)
class NameAddr:
    """One address with its display name and header parameters.

    `display` is decoded (no quotes, no escapes). `params` belong to the header, never to the URI.
    """

    uri_text: str
    display: str = ""
    params: Params = field(default_factory=dict)
    _uri: Uri | None = field(default=None, init=False, repr=False, compare=False)

    @property
    def uri(self) -> Uri:
        """Return the typed URI; an unreadable one is an `OpaqueUri`. Never raises."""
        uri = self._uri
        if uri is None:
            uri = parse_uri_or_opaque(self.uri_text)
            object.__setattr__(self, "_uri", uri)
        return uri

    @property
    def tag(self) -> str | None:
        """Return the `tag` parameter, or `None` when absent or empty (an RFC 2543 peer)."""
        return self.params.get("tag") or None

    def with_tag(self, tag: str) -> NameAddr:
        """Return the same address with `tag` as its tag."""
        return NameAddr(self.uri_text, self.display, {**self.params, "tag": tag})

    def without_params(self) -> NameAddr:
        """Return the same address without header parameters."""
        return NameAddr(self.uri_text, self.display)

    def __str__(self) -> str:
        """Return `"display" <uri>;params`, always with angle brackets.

        Raises:
            UnsafeHeader: a part would break out of its place.
        """
        text = f"<{safe_uri_text(self.uri_text)}>{format_params(self.params)}"
        return f"{quote(self.display)} {text}" if self.display else text


def name_addr(uri: Uri | str, display: str = "", params: Params | None = None) -> NameAddr:
    """Return an address built from our own values, checked for safe emission.

    Raises:
        UnsafeHeader: the URI, the name or a parameter holds what would break out of its place.
    """
    if any(character in display for character in "\r\n\0"):
        raise UnsafeHeader("found a line break or NUL in a display name")
    address = NameAddr(safe_uri_text(uri), display, dict(params or {}))
    str(address)
    return address


def parse_name_addr(text: str) -> NameAddr:
    """Return the one address that `text` holds, as in From and To.

    Leniency: no space before `<`; unquoted display names of any characters; without `<>`, parameters belong to the
    header (RFC 3261 §20).

    Raises:
        MalformedSip: an unterminated quote or bracket, white space inside `<>`, `?` or `,` or white space in a bare
            URI, an empty URI, or text behind `>` that is no parameter.
    """
    text = text.strip()
    if text.startswith('"'):
        after = end_of_quoted(text, 0)
        if after < 0:
            raise MalformedSip("found a display name without its closing quote", code="unterminated-quote")
        display = unquote(text[:after])
        opening = text.find("<", after)
        if opening < 0 or text[after:opening].strip():
            raise MalformedSip("found no <...> behind a quoted display name", code="malformed-address")
    else:
        opening = text.find("<")
        if opening < 0:
            return _parse_bare(text)
        display = text[:opening].rstrip()
    closing = text.find(">", opening)
    if closing < 0:
        raise MalformedSip("found < without >", code="malformed-address")
    uri_text = text[opening + 1 : closing]
    if not uri_text or URI_UNSAFE.search(uri_text) is not None:
        raise MalformedSip(
            "found <...> that is empty or holds white space, quotes or control characters", code="malformed-address"
        )
    rest = text[closing + 1 :].lstrip()
    if not rest:
        return NameAddr(uri_text, display)
    if not rest.startswith(";"):
        raise MalformedSip("found text behind <...>, allowed are parameters", code="malformed-address")
    return NameAddr(uri_text, display, parse_params(rest))


def parse_name_addrs(values: Iterable[str]) -> tuple[NameAddr, ...]:
    """Return the addresses of a list header (Contact, Route, ...), one or several per value.

    Leniency: empty list elements are skipped.

    Raises:
        MalformedSip: as `parse_name_addr`, for any element.
    """
    return tuple(parse_name_addr(element) for value in values for element in split_list(value) if element)


def _parse_bare(text: str) -> NameAddr:
    uri_text, semicolon, params = text.partition(";")
    uri_text = uri_text.rstrip()
    if ":" not in uri_text[1:] or _BARE_UNSAFE.search(uri_text) is not None:
        raise MalformedSip(
            "found a bare URI without scheme, or with ?, comma, quote or space",
            code="malformed-address",
            hint="such a URI must stand in <...>",
        )
    return NameAddr(uri_text, "", parse_params(params) if semicolon else {})
