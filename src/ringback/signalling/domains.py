"""Which SIP addresses are those of our own endpoints. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from ringback.sip.policy import is_numeric
from ringback.sip.uri import SipUri, parse_uri_or_opaque


@dataclass(frozen=True, slots=True)
class OwnDomains:
    """The hosts that stand for this node in SIP addresses, names in lower case, IPv6 addresses in brackets.

    A numeric address without a port means 5060, a name leaves it to us. Another port is another peer's.
    """

    hosts: frozenset[str] = frozenset()
    port: int = 5060

    def user_of(self, uri_text: str) -> str:
        """Return the user part of a `sip:` address at this node, or an empty text for any other."""
        uri = parse_uri_or_opaque(uri_text)
        if not isinstance(uri, SipUri) or uri.host.lower() not in self.hosts:
            return ""
        default = 5060 if is_numeric(uri.host) else self.port
        return uri.user_text if (uri.port or default) == self.port else ""


def own_domains(names: tuple[str, ...], addresses: tuple[str, ...], port: int) -> OwnDomains:
    """Return the domains of a node that has these names and numeric addresses."""
    bracketed = (f"[{address}]" if ":" in address and not address.startswith("[") else address for address in addresses)
    return OwnDomains(frozenset(host.lower() for host in (*names, *bracketed) if host), port)
