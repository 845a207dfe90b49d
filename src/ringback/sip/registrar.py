"""The registrar's rules: what a REGISTER asks for, and what becomes of an address's bindings (RFC 3261 §10.3).

Pure: bindings go in and come out as values, times of day are `wall_ms`. Who may ask is the business of `digest_server`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from ringback.sip.address import NameAddr
from ringback.sip.flow import Flow, HostPort, Target, Transport, bracketed
from ringback.sip.message import SipRequest
from ringback.sip.syntax import is_digits, quote, unquote
from ringback.sip.uri import SipUri, parse_uri_or_opaque

CONTACT_MAX_CHARS: Final = 512
PATH_MAX_CHARS: Final = 1_024
PATHS_MAX: Final = 8
USER_AGENT_MAX_CHARS: Final = 255
_CALL_ID_MAX_CHARS: Final = 255
_INSTANCE_MAX_CHARS: Final = 128
_Q_UNIT: Final = 1_000


@dataclass(frozen=True, slots=True)
class RegistrarRules:
    """Bounds of bindings.

    `contacts_max`: a contact more takes the place of the one that was refreshed longest ago, so that a phone which
    crashed under other ports never locks itself out.
    """

    min_expires_s: int = 60
    """Shorter wishes get 423 with Min-Expires."""
    max_expires_s: int = 3_600
    """Longer wishes, and none, get this."""
    contacts_max: int = 10


@dataclass(frozen=True, slots=True)
class Binding:
    """One phone of an address of record.

    Args:
        contact: The URI of its Contact: the Request-URI of calls to it, never where they are sent.
        received: Where its REGISTER came from: where calls to it are sent, whatever lies between (NAT).
        q: Preference in thousandths.
        path: Route set towards it (RFC 3327).
        instance: `+sip.instance` without quotes, and `reg_id`: a phone that moves keeps its binding (RFC 5626).
    """

    contact: str
    expires_wall_ms: int
    call_id: str
    cseq: int
    transport: Transport
    received: HostPort
    q: int = _Q_UNIT
    path: tuple[str, ...] = ()
    instance: str = ""
    reg_id: int = 0
    user_agent: str = ""
    updated_wall_ms: int = 0

    def is_same_phone(self, other: Binding) -> bool:
        """Return whether `other` is a later word of the same phone (RFC 3261 §19.1.4, RFC 5626 §6)."""
        if self.instance and self.reg_id and (self.instance, self.reg_id) == (other.instance, other.reg_id):
            return True
        return parse_uri_or_opaque(self.contact).matches(parse_uri_or_opaque(other.contact))

    def targets(self) -> tuple[Target, ...]:
        """Return where to send calls: over the flow; then to the Contact's port at the same host, if it is another."""
        host, port = self.received
        found = [Target(self.transport, host, port)]
        uri = parse_uri_or_opaque(self.contact)
        if isinstance(uri, SipUri) and not self.path and uri.host == bracketed(host) and (uri.port or 5060) != port:
            found.append(Target(self.transport, host, uri.port or 5060))
        return tuple(found)

    def contact_value(self, now_wall_ms: int) -> str:
        """Return the Contact value that tells of it in a response."""
        left_s = max(0, -(-(self.expires_wall_ms - now_wall_ms) // 1_000))
        text = f"<{self.contact}>;expires={left_s}"
        if self.q != _Q_UNIT:
            text += f";q={self.q / _Q_UNIT:g}"
        if self.instance:
            text += f";+sip.instance={quote(self.instance)}"
            text += f";reg-id={self.reg_id}" if self.reg_id else ""
        return text


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a REGISTER changes nothing, as its final response."""

    status: int
    reason: str = ""
    headers: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """What a REGISTER asks for.

    `additions` and `removals` are empty in a query. A binding of `additions` has the time it asks for in
    `expires_wall_ms`, which is checked and cut by `apply_wish`. `removes_all` stands for `Contact: *`.
    """

    call_id: str
    cseq: int
    additions: tuple[Binding, ...] = ()
    removals: tuple[Binding, ...] = ()
    removes_all: bool = False
    has_path_support: bool = False

    @property
    def is_query(self) -> bool:
        """Return whether nothing is to be changed."""
        return not (self.additions or self.removals or self.removes_all)


@dataclass(frozen=True, slots=True)
class Change:
    """What became of an address's bindings."""

    bindings: tuple[Binding, ...]
    displaced: tuple[Binding, ...] = ()
    """Those that had to make room."""


def read_wish(request: SipRequest, flow: Flow, rules: RegistrarRules, now_wall_ms: int) -> Wish | Refusal:
    """Return what a REGISTER asks for, or why it cannot be granted whoever asks.

    Leniency: an unreadable time counts as none (RFC 3261 §10.2.1.1), an unreadable q as 1.
    """
    call_id, cseq = request.call_id[:_CALL_ID_MAX_CHARS], request.cseq.number
    has_path_support = "path" in (tag.lower() for tag in request.headers.all("supported"))
    if request.has_wildcard_contact:
        # The parser lets it through alone and with Expires 0 only.
        return Wish(call_id, cseq, removes_all=True, has_path_support=has_path_support)
    path = request.headers.all("path")
    if len(path) > PATHS_MAX or sum(map(len, path)) > PATH_MAX_CHARS:
        return Refusal(400, "Path Too Long")
    if len(request.contacts) > rules.contacts_max:
        return Refusal(400, f"At Most {rules.contacts_max} Contacts")
    additions: list[Binding] = []
    removals: list[Binding] = []
    for contact in request.contacts:
        refusal = _refusal_of(contact)
        if refusal is not None:
            return refusal
        expires_s = _expires_s(contact, request.expires, rules.max_expires_s)
        if 0 < expires_s < rules.min_expires_s:
            return Refusal(423, headers=(("min-expires", str(rules.min_expires_s)),))
        binding = Binding(
            contact=contact.uri_text,
            expires_wall_ms=now_wall_ms + min(expires_s, rules.max_expires_s) * 1_000,
            call_id=call_id,
            cseq=cseq,
            transport=flow.transport,
            received=flow.remote,
            q=_q(contact),
            path=path,
            instance=unquote(contact.params.get("+sip.instance") or "")[:_INSTANCE_MAX_CHARS],
            reg_id=_reg_id(contact),
            user_agent=(request.headers.get("user-agent") or "")[:USER_AGENT_MAX_CHARS],
            updated_wall_ms=now_wall_ms,
        )
        (additions if expires_s else removals).append(binding)
    return Wish(call_id, cseq, tuple(additions), tuple(removals), has_path_support=has_path_support)


def apply_wish(bindings: Sequence[Binding], wish: Wish, rules: RegistrarRules, now_wall_ms: int) -> Change | Refusal:
    """Return the bindings after a granted wish: all of it or nothing (RFC 3261 §10.3 steps 6 and 7)."""
    kept = [binding for binding in bindings if binding.expires_wall_ms > now_wall_ms]
    touched = (*wish.additions, *wish.removals)
    for binding in kept:
        is_meant = wish.removes_all or any(binding.is_same_phone(each) for each in touched)
        if is_meant and binding.call_id == wish.call_id and wish.cseq <= binding.cseq:
            return Refusal(500, "CSeq Out of Order")
    if wish.removes_all:
        return Change(())
    kept = [binding for binding in kept if not any(binding.is_same_phone(each) for each in touched)]
    fresh: list[Binding] = []
    for addition in wish.additions:
        # A contact that is named twice is one; its last word counts.
        fresh = [each for each in fresh if not each.is_same_phone(addition)]
        fresh.append(addition)
    kept.sort(key=lambda binding: binding.updated_wall_ms)
    excess = max(0, len(kept) + len(fresh) - rules.contacts_max)
    return Change((*kept[excess:], *fresh), tuple(kept[:excess]))


def _refusal_of(contact: NameAddr) -> Refusal | None:
    uri = contact.uri
    if not isinstance(uri, SipUri) or uri.is_secure or uri.headers:
        return Refusal(400, "Contact Is No sip: URI")
    return Refusal(400, "Contact Too Long") if len(contact.uri_text) > CONTACT_MAX_CHARS else None


def _expires_s(contact: NameAddr, of_request: int | None, longest_s: int) -> int:
    text = contact.params.get("expires")
    if text is not None:
        return int(text) if is_digits(text) and len(text) <= 10 else longest_s
    return longest_s if of_request is None else of_request


def _q(contact: NameAddr) -> int:
    text = contact.params.get("q") or ""
    whole, _, fraction = text.partition(".")
    if whole != "0" or len(fraction) > 3 or not (not fraction or is_digits(fraction)):
        return _Q_UNIT
    return int(fraction.ljust(3, "0") or "0")


def _reg_id(contact: NameAddr) -> int:
    text = contact.params.get("reg-id") or ""
    return int(text) if is_digits(text) and len(text) <= 9 else 0
