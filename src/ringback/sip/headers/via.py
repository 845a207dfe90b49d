"""Via: the path of a request and the way back for its responses (RFC 3261 §20.42, RFC 3581)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from ringback.sip.errors import MalformedSip, UnsafeHeader
from ringback.sip.syntax import Params, format_params, is_digits, is_token, parse_params, split_list
from ringback.sip.uri import parse_host_port

MAGIC_COOKIE = "z9hG4bK"
"""What an RFC 3261 branch starts with."""

_USUAL_START: Final = {f"SIP/2.0/{transport} ": transport for transport in ("UDP", "TCP", "TLS", "WSS")}


@dataclass(frozen=True, slots=True)
class Via:
    """One hop: transport, sent-by and parameters.

    `transport` is upper-case; `host` keeps the brackets of an IPv6 address; `port` is `None` when not written.
    """

    transport: str
    host: str
    port: int | None = None
    params: Params = field(default_factory=dict)
    version: str = "2.0"

    @property
    def branch(self) -> str:
        """Return the branch, empty when absent."""
        return self.params.get("branch") or ""

    @property
    def has_magic_branch(self) -> bool:
        """Return whether the branch is unique by RFC 3261: the magic cookie and something behind it."""
        branch = self.branch
        return len(branch) > len(MAGIC_COOKIE) and branch[: len(MAGIC_COOKIE)].lower() == MAGIC_COOKIE.lower()

    @property
    def sent_by(self) -> str:
        """Return `host:port` in lower case with the transport's default port filled in: a matching key."""
        return f"{self.host.lower()}:{self.port or self.default_port}"

    @property
    def default_port(self) -> int:
        """Return 5061 for TLS, else 5060."""
        return 5061 if self.transport == "TLS" else 5060

    @property
    def received(self) -> str | None:
        """Return the `received` address without brackets, or `None` (RFC 5118 §4.5)."""
        value = self.params.get("received")
        return value.strip("[]") or None if value else None

    @property
    def has_rport(self) -> bool:
        """Return whether the sender asked for its source port (RFC 3581)."""
        return "rport" in self.params

    @property
    def rport(self) -> int | None:
        """Return the filled-in `rport`, or `None` (`rport` and `rport=` ask, they do not tell)."""
        value = self.params.get("rport")
        return int(value) if value and is_digits(value) and len(value) <= 5 and int(value) <= 65535 else None

    def with_source(self, host: str, port: int) -> Via:
        """Return the hop as a server stores it: `received` = `host`, and `rport` = `port` when it was asked for.

        Spec: RFC 3581 §4. `received` is always written, so a value that came over the wire is never believed.
        """
        params = {**self.params, "received": host}
        if "rport" in params:
            params["rport"] = str(port)
        return Via(self.transport, self.host, self.port, params, self.version)

    def __str__(self) -> str:
        """Return the header value.

        Raises:
            UnsafeHeader: a part would break out of its place.
        """
        if not is_token(self.transport) or not is_token(self.version):
            raise UnsafeHeader(f"found Via transport {self.transport!r}, allowed are token characters")
        try:
            parse_host_port(self.host)
        except MalformedSip as error:
            raise UnsafeHeader(f"found Via host {self.host!r}, allowed is a host name or address") from error
        port = "" if self.port is None else f":{self.port}"
        return f"SIP/{self.version}/{self.transport} {self.host}{port}{format_params(self.params)}"


def parse_via(text: str) -> Via:
    """Return the one hop that `text` holds.

    Leniency: white space round every separator, any transport, any version (the start line decides about that).

    Raises:
        MalformedSip: not `SIP/version/transport host`, or an impossible host or port.
    """
    usual = _USUAL_START.get(text[:12])
    if usual is not None:
        # Measured 2026-11: saves a third of 3.8 µs on the form that nearly every peer sends.
        sent_by, semicolon, params = text[12:].partition(";")
        if " " not in sent_by and "\t" not in sent_by:
            host, port = parse_host_port(sent_by)
            return Via(usual, host, port, parse_params(params) if semicolon else {})
    protocol, semicolon, params = text.partition(";")
    parts = protocol.split("/", 2)
    if len(parts) != 3 or parts[0].strip().upper() != "SIP":
        raise MalformedSip("found a Via that does not start with SIP/2.0/transport", code="malformed-via")
    transport_and_host = parts[2].split(None, 1)
    if len(transport_and_host) != 2 or not is_token(transport_and_host[0]) or not is_token(parts[1].strip()):
        raise MalformedSip("found a Via without version, transport or host", code="malformed-via")
    sent_by = transport_and_host[1].rstrip()
    if " " in sent_by or "\t" in sent_by:
        sent_by = ":".join(piece.strip() for piece in sent_by.split(":"))
    host, port = parse_host_port(sent_by)
    return Via(
        transport_and_host[0].upper(),
        host,
        port,
        parse_params(params) if semicolon else {},
        parts[1].strip(),
    )


def parse_vias(values: Iterable[str]) -> tuple[Via, ...]:
    """Return every hop, topmost first.

    Raises:
        MalformedSip: as `parse_via`, and for an empty list element (a stray comma).
    """
    return tuple([parse_via(element) for value in values for element in split_list(value)])
