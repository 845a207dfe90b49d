"""Dialogs (RFC 3261 §12): what two peers must agree on to speak inside a call, and requests made from it.

A dialog is a flat record: it can be written down and taken up again by another process.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from ringback.errors import ProtocolError
from ringback.sip.address import parse_name_addr
from ringback.sip.flow import Flow
from ringback.sip.header_fields import Headers
from ringback.sip.message import SipRequest, SipResponse
from ringback.sip.uri import SipUri, Uri, parse_uri_or_opaque

MAX_ROUTES = 32
"""Longest route set taken from a peer."""


class MalformedDialog(ProtocolError):
    """A message that should found a dialog lacks what a dialog needs."""

    default_code = "malformed-dialog"


class DialogId(NamedTuple):
    """Names a dialog at our side; `remote_tag` is empty for RFC 2543 peers."""

    call_id: str
    local_tag: str
    remote_tag: str


def dialog_id_of(request: SipRequest) -> DialogId:
    """Return the dialog that a received request names."""
    return DialogId(request.call_id, request.to.tag or "", request.from_.tag or "")


@dataclass(slots=True)
class Dialog:
    """One dialog, early or confirmed.

    `local_address` and `remote_address` are whole From/To values with tags, as sent and as received. `remote_target`
    is the peer's Contact URI. `route_set` is in sending order. `owns_call_id` decides the back-off after 491.
    `flow` is where the peer's last message came from, or where our INVITE went.
    """

    dialog_id: DialogId
    local_address: str
    remote_address: str
    local_cseq: int
    remote_cseq: int
    remote_target: str
    route_set: tuple[str, ...]
    contact: str
    owns_call_id: bool
    flow: Flow

    def next_cseq(self) -> int:
        """Return the number for a new request of ours, one above the last."""
        self.local_cseq += 1
        return self.local_cseq

    def accepts_cseq(self, request: SipRequest) -> bool:
        """Return whether a request of the peer comes in order, and remember its number (RFC 3261 §12.2.2)."""
        number = request.cseq.number
        if number <= self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def refresh_target(self, message: SipRequest | SipResponse) -> None:
        """Take the peer's Contact as the new remote target, if there is one; the route set never changes."""
        contacts = message.contacts
        if contacts:
            self.remote_target = contacts[0].uri_text

    def next_hop(self) -> Uri:
        """Return the URI that names where requests go: the first route, else the remote target."""
        if self.route_set:
            return parse_name_addr(self.route_set[0]).uri
        return parse_uri_or_opaque(self.remote_target)

    def request(
        self,
        method: str,
        cseq: int,
        via: str,
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
    ) -> SipRequest:
        """Return a request inside the dialog.

        Args:
            cseq: `next_cseq()`, or the INVITE's number for its ACK.
            via: Our Via value with a fresh branch.
        Spec: RFC 3261 §12.2.1.1; a first route without `lr` becomes the Request-URI and the target goes last.
        """
        uri_text, routes = routed(self.remote_target, self.route_set)
        lines = Headers()
        lines.add("via", via)
        for route in routes:
            lines.add("route", route)
        lines.add("max-forwards", "70")
        lines.add("from", self.local_address)
        lines.add("to", self.remote_address)
        lines.add("call-id", self.dialog_id.call_id)
        lines.add("cseq", f"{cseq} {method}")
        for name, value in headers:
            lines.add(name, value)
        return SipRequest(method, uri_text, lines, body)


def routed(target: str, route_set: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
    """Return Request-URI and Route values for `target` over `route_set`, strict first hop included."""
    if not route_set:
        return target, route_set
    first = parse_name_addr(route_set[0]).uri
    if isinstance(first, SipUri) and not first.is_loose_route:
        return str(first), (*route_set[1:], f"<{target}>")
    return target, route_set


def dialog_of_uas(request: SipRequest, local_tag: str, contact: str, flow: Flow) -> Dialog:
    """Return the dialog that our response to a received INVITE founds.

    Leniency: without a Contact, as RFC 2543 allows (RFC 4475 §3.4.1), the From URI is the target.

    Raises:
        MalformedDialog: too many Record-Routes.
    """
    route_set = _bounded(request.headers.all("record-route"))
    return Dialog(
        dialog_id=DialogId(request.call_id, local_tag, request.from_.tag or ""),
        local_address=f"{request.headers.get('to')};tag={local_tag}",
        remote_address=request.headers.get("from") or "",
        local_cseq=0,
        remote_cseq=request.cseq.number,
        remote_target=(request.contacts or (request.from_,))[0].uri_text,
        route_set=route_set,
        contact=contact,
        owns_call_id=False,
        flow=flow,
    )


def dialog_of_uac(request: SipRequest, response: SipResponse, contact: str, flow: Flow) -> Dialog:
    """Return the dialog that a response to our INVITE founds.

    Leniency: without a Contact in the response, the INVITE's Request-URI stays the target.

    Raises:
        MalformedDialog: too many Record-Routes.
    """
    route_set = _bounded(tuple(reversed(response.headers.all("record-route"))))
    return Dialog(
        dialog_id=DialogId(request.call_id, request.from_.tag or "", response.to.tag or ""),
        local_address=request.headers.get("from") or "",
        remote_address=response.headers.get("to") or "",
        local_cseq=request.cseq.number,
        remote_cseq=-1,
        remote_target=response.contacts[0].uri_text if response.contacts else request.uri_text,
        route_set=route_set,
        contact=contact,
        owns_call_id=True,
        flow=flow,
    )


def _bounded(routes: tuple[str, ...]) -> tuple[str, ...]:
    if len(routes) > MAX_ROUTES:
        raise MalformedDialog(f"found {len(routes)} Record-Routes, allowed are {MAX_ROUTES}")
    return routes
