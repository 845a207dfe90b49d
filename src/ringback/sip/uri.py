"""SIP, SIPS and tel URIs; any other scheme stays opaque (RFC 3261 §19.1, RFC 3966)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from ipaddress import AddressValueError, IPv6Address
from typing import Final

from ringback.sip.errors import MalformedSip, UnsafeHeader
from ringback.sip.syntax import Params, is_digits, parse_params

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*")
_HOST = re.compile(r"[A-Za-z0-9._-]+")
URI_UNSAFE = re.compile(r'[\0-\x20<>"\x7f]')
"""What no URI may hold, lest it break out of `<...>` or of a start line."""
_USER_SAFE = "-_.!~*'()&=+$,;?/#"
_NO_PARAMS: Final[Params] = {}

_COMPARED_ALWAYS = ("user", "ttl", "method", "maddr", "transport")
_SEPARATORS = str.maketrans("", "", "-.() ")


@dataclass(frozen=True, slots=True)
class SipUri:
    """One `sip:` or `sips:` URI.

    `user`, `password`, parameter values and `headers` keep their `%` escapes; `user_text` is the decoded form.
    `host` keeps the brackets of an IPv6 address.
    """

    host: str
    user: str | None = None
    port: int | None = None
    params: Params = field(default_factory=dict)
    headers: str = ""
    scheme: str = "sip"
    password: str | None = None

    @property
    def user_text(self) -> str:
        """Return the user part with `%` escapes decoded, empty when there is none."""
        return unescape(self.user) if self.user else ""

    @property
    def is_secure(self) -> bool:
        """Return whether the scheme is `sips`."""
        return self.scheme == "sips"

    @property
    def transport(self) -> str | None:
        """Return the `transport` parameter in lower case, or `None`."""
        value = self.params.get("transport")
        return value.lower() if value else None

    @property
    def is_loose_route(self) -> bool:
        """Return whether `lr` is present, with any value (`lr`, `lr=on`, `lr=true`)."""
        return "lr" in self.params

    @property
    def host_and_port(self) -> str:
        """Return `host` or `host:port`."""
        return self.host if self.port is None else f"{self.host}:{self.port}"

    def matches(self, other: Uri) -> bool:
        """Return whether both name the same resource by RFC 3261 §19.1.4."""
        return isinstance(other, SipUri) and _sip_uris_match(self, other)

    def __str__(self) -> str:
        """Return the URI's text."""
        user = self.user
        text = f"{self.scheme}:"
        if user is not None:
            text += user if self.password is None else f"{user}:{self.password}"
            text += "@"
        text += self.host
        if self.port is not None:
            text += f":{self.port}"
        for name, value in self.params.items():
            text += f";{name}" if value is None else f";{name}={value}"
        return f"{text}?{self.headers}" if self.headers else text


@dataclass(frozen=True, slots=True)
class TelUri:
    """One `tel:` URI; `number` is as written, with its visual separators (RFC 3966)."""

    number: str
    params: Params = field(default_factory=dict)
    scheme: str = "tel"

    @property
    def digits(self) -> str:
        """Return the number without visual separators; a leading `+` stays."""
        return self.number.translate(_SEPARATORS)

    @property
    def user_text(self) -> str:
        """Return the number without visual separators, as `SipUri.user_text` would carry it."""
        return self.digits

    @property
    def phone_context(self) -> str | None:
        """Return the `phone-context` parameter, or `None`."""
        return self.params.get("phone-context")

    def matches(self, other: Uri) -> bool:
        """Return whether both name the same number by RFC 3966 §4."""
        return (
            isinstance(other, TelUri)
            and self.digits.lower() == other.digits.lower()
            and _folded(self.params) == _folded(other.params)
        )

    def __str__(self) -> str:
        """Return the URI's text."""
        return f"tel:{self.number}" + "".join(
            f";{name}" if value is None else f";{name}={value}" for name, value in self.params.items()
        )


@dataclass(frozen=True, slots=True)
class OpaqueUri:
    """A URI that is kept and compared as text: an unknown scheme (or none), or a SIP URI that cannot be read."""

    scheme: str
    rest: str

    @property
    def user_text(self) -> str:
        """Return nothing: an opaque URI has no user part."""
        return ""

    def matches(self, other: Uri) -> bool:
        """Return whether both texts are equal."""
        return self == other

    def __str__(self) -> str:
        """Return the URI's text."""
        return f"{self.scheme}:{self.rest}" if self.scheme else self.rest


Uri = SipUri | TelUri | OpaqueUri


def parse_uri(text: str) -> Uri:
    """Return the URI that `text` spells.

    Leniency: scheme in any case; `_` in hosts; any character but white space, `<`, `>` and `"` in the user part;
    three colons in an IPv6 address that ends in IPv4 (RFC 5118 §4.10).

    Raises:
        MalformedSip: no scheme, an empty or impossible host or port, white space, `<`, `>` or `"`.
    """
    if URI_UNSAFE.search(text) is not None:
        raise MalformedSip("found white space, a control character, quote or bracket in a URI", code="malformed-uri")
    scheme, colon, rest = text.partition(":")
    kind = scheme.lower()
    if kind in ("sip", "sips"):
        return _parse_sip(kind, rest)
    if not colon or not rest or _SCHEME.fullmatch(scheme) is None:
        raise MalformedSip("found a URI without a scheme", code="malformed-uri")
    if kind == "tel":
        number, _, params = rest.partition(";")
        return TelUri(number, parse_params(params) if params else _NO_PARAMS)
    return OpaqueUri(scheme, rest)


def parse_uri_or_opaque(text: str) -> Uri:
    """Return the URI that `text` spells, as an `OpaqueUri` when it cannot be read; never raises."""
    try:
        return parse_uri(text)
    except MalformedSip:
        scheme, colon, rest = text.partition(":")
        return OpaqueUri(scheme, rest) if colon else OpaqueUri("", text)


def parse_host_port(text: str) -> tuple[str, int | None]:
    """Return host and port of `host`, `host:port`, `[address]` or `[address]:port`.

    Raises:
        MalformedSip: the host is empty or has impossible characters, or the port is no number up to 65535.
    """
    if text.startswith("["):
        address, bracket, after = text.partition("]")
        if not bracket or not _is_ipv6(address[1:]):
            raise MalformedSip("found an unreadable IPv6 address", code="malformed-host")
        host = address + "]"
        if not after:
            return host, None
        if not after.startswith(":"):
            raise MalformedSip("found text behind an IPv6 address", code="malformed-host")
        port = after[1:]
    else:
        host, colon, port = text.partition(":")
        if _HOST.fullmatch(host) is None:
            raise MalformedSip("found an empty or impossible host", code="malformed-host")
        if not colon:
            return host, None
    if not is_digits(port) or len(port) > 5 or (number := int(port)) > 65535:
        raise MalformedSip("found an impossible port, allowed is 0 to 65535", code="malformed-host")
    return host, number


def unescape(text: str) -> str:
    """Return `text` with `%` escapes decoded as UTF-8, or Latin-1 where that fails; a stray `%` stays, and `%00`.

    No database and no webhook could carry a NUL on.
    """
    if "%" not in text:
        return text
    pieces = text.split("%")
    decoded = bytearray(pieces[0].encode("utf-8", "replace"))
    for piece in pieces[1:]:
        try:
            is_pair = len(piece) > 1 and piece[:2].isalnum() and piece[:2].isascii()
            decoded.append((int(piece[:2], 16) or -1) if is_pair else -1)
            decoded += piece[2:].encode("utf-8", "replace")
        except ValueError:
            decoded += b"%" + piece.encode("utf-8", "replace")
    try:
        return decoded.decode()
    except UnicodeDecodeError:
        return decoded.decode("latin-1")


def escape_user(text: str) -> str:
    """Return `text` as a legal user part: other characters become `%` escapes of their UTF-8 bytes."""
    return "".join(
        chr(byte) if (byte < 128 and chr(byte).isalnum()) or chr(byte) in _USER_SAFE else f"%{byte:02X}"
        for byte in text.encode("utf-8", "replace")
    )


def safe_uri_text(uri: Uri | str) -> str:
    """Return the URI's text, checked to stay inside `<...>` and inside a start line.

    Raises:
        UnsafeHeader: it holds white space, a control character, a quote or an angle bracket.
    """
    text = str(uri)
    if not text or URI_UNSAFE.search(text) is not None:
        raise UnsafeHeader(
            f"found URI {text!r}, allowed is text without spaces, quotes, brackets and control characters"
        )
    return text


def _parse_sip(scheme: str, rest: str) -> SipUri:
    user: str | None
    user, at, host_part = rest.partition("@")
    password: str | None = None
    if at:
        if ":" in user:
            user, _, password = user.partition(":")
        if not user:
            raise MalformedSip("found an empty user part in a URI", code="malformed-uri")
    else:
        user, host_part = None, rest
    headers = ""
    params: Params = _NO_PARAMS
    if "?" in host_part:
        host_part, _, headers = host_part.partition("?")
    if ";" in host_part:
        host_part, _, param_text = host_part.partition(";")
        params = parse_params(param_text)
    host, port = parse_host_port(host_part)
    return SipUri(host, user, port, params, headers, scheme, password)


def _is_ipv6(text: str) -> bool:
    if "%" in text:
        return False
    if ":::" in text and "." in text:
        text = text.replace(":::", "::", 1)
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True


def _canonical_host(host: str) -> str:
    if host.startswith("["):
        try:
            return str(IPv6Address(host[1:-1].replace(":::", "::", 1)))
        except AddressValueError:
            return host.lower()
    return host.lower()


def _folded(params: Params) -> dict[str, str | None]:
    return {name: unescape(value).lower() if value else value for name, value in params.items()}


def _header_set(headers: str) -> list[tuple[str, str]]:
    pairs = (entry.partition("=") for entry in headers.split("&") if entry)
    return sorted((unescape(name).lower(), unescape(value)) for name, _, value in pairs)


def _sip_uris_match(one: SipUri, two: SipUri) -> bool:
    if (
        one.scheme != two.scheme
        or one.user_text != two.user_text
        or unescape(one.password or "") != unescape(two.password or "")
        or one.port != two.port
        or _canonical_host(one.host) != _canonical_host(two.host)
        or _header_set(one.headers) != _header_set(two.headers)
    ):
        return False
    first, second = _folded(one.params), _folded(two.params)
    if any(first.get(name, "") != second.get(name, "") for name in _COMPARED_ALWAYS):
        return False
    return all(first[name] == second[name] for name in first.keys() & second.keys())
