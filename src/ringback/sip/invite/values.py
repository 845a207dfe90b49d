"""What the owner of a call attempt hands to the INVITE usage."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

from ringback.sip.address import NameAddr
from ringback.sip.digest import Credentials
from ringback.sip.flow import Target

InviteId = NewType("InviteId", str)
"""Names one INVITE usage, incoming or outgoing, until its `InviteEnded`."""

HeaderLines = tuple[tuple[str, str], ...]
"""Extra headers in order, name and value; values with CR, LF or NUL are refused when the message is built."""


@dataclass(frozen=True, slots=True)
class Fork:
    """One of several phones that are called at once: its Request-URI, its targets in order, the route to it."""

    request_uri: str
    targets: tuple[Target, ...]
    route: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class OutboundInvite:
    """A call to be placed.

    Args:
        request_uri: Request-URI as it goes on the wire (`sip:` or `tel:`).
        from_: Caller without a tag: the tag is drawn here.
        to: Callee without a tag.
        targets: Where to send it, in order; the next is tried after 503, time-out or a transport error.
        headers: Extra headers such as `X-PH-…`; the dialog's own headers are refused.
        sdp: The offer; None asks the peer to make one, which `ack_with` then answers.
        credentials: Tried against 401 and 407 by realm; one without a realm fits any.
        route: Preloaded Route set, each value a name-addr such as `<sip:proxy;lr>`.
        contact_user: User part of our Contact.
        max_forwards: How many further hops it may take; a call made for another takes over its rest (RFC 7332).
        forks: Phones that ring at the same time, in place of `request_uri`, `targets` and `route`.
    """

    request_uri: str
    from_: NameAddr
    to: NameAddr
    targets: tuple[Target, ...]
    headers: HeaderLines = ()
    sdp: bytes | None = None
    credentials: tuple[Credentials, ...] = ()
    route: tuple[str, ...] = ()
    contact_user: str = ""
    max_forwards: int = 70
    forks: tuple[Fork, ...] = ()
