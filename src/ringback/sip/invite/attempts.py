"""The attempts of an outgoing call: which target is next, and the requests that go to it."""

from __future__ import annotations

from ringback.sip.dialog import routed
from ringback.sip.flow import Target, Transport
from ringback.sip.header_fields import Headers, application_header
from ringback.sip.invite.body import SDP_TYPE
from ringback.sip.invite.host import ALLOW, Path
from ringback.sip.invite.values import HeaderLines, OutboundInvite
from ringback.sip.message import SipRequest


class Attempts:
    """Targets not tried yet, each with our path to it, in order.

    Large requests prefer TCP where the same host offers it; its UDP entry stays for a refusal (RFC 3261 §18.1.1).
    """

    __slots__ = ("_left",)

    def __init__(self, left: list[tuple[Target, Path]]) -> None:
        self._left = left

    def __len__(self) -> int:
        return len(self._left)

    def take(self, is_large: bool) -> Path:
        """Return the path to try next and forget it; at least one must be left."""
        index = 0
        first = self._left[0][0]
        if is_large and first.transport is Transport.UDP:
            for position, (target, _) in enumerate(self._left):
                if target.transport is Transport.TCP and target.host == first.host:
                    index = position
                    break
        return self._left.pop(index)[1]


def invite_of(
    outbound: OutboundInvite,
    path: Path,
    *,
    call_id: str,
    from_tag: str,
    cseq: int,
    token: str,
    user_agent: str,
    authorization: HeaderLines = (),
) -> SipRequest:
    """Return the INVITE of one attempt.

    Raises:
        UnsafeHeader: a value of `outbound` would break out of its place, or a header is not the application's.
    """
    uri_text, routes = routed(outbound.request_uri, outbound.route)
    headers = Headers()
    headers.add("via", path.via(token))
    for route in routes:
        headers.add("route", route)
    headers.add("max-forwards", str(outbound.max_forwards))
    headers.add("from", str(outbound.from_.without_params().with_tag(from_tag)))
    headers.add("to", str(outbound.to.without_params()))
    headers.add("call-id", call_id)
    headers.add("cseq", f"{cseq} INVITE")
    headers.add("contact", path.contact(outbound.contact_user))
    headers.add("user-agent", user_agent)
    headers.add("allow", ALLOW)
    for name, value in authorization:
        headers.add(name, value)
    for name, value in outbound.headers:
        headers.add(*application_header(name, value))
    if outbound.sdp is not None:
        headers.add("content-type", SDP_TYPE)
    return SipRequest("INVITE", uri_text, headers, outbound.sdp or b"")


def cancel_of(invite: SipRequest, extra: HeaderLines) -> SipRequest:
    """Return the CANCEL of an INVITE: same branch, Request-URI, Route and CSeq number (RFC 3261 §9.1)."""
    sent = invite.headers
    headers = Headers()
    headers.add("via", sent.get("via") or "")
    for route in sent.lines("route"):
        headers.add("route", route)
    headers.add("max-forwards", "70")
    for name in ("from", "to", "call-id"):
        headers.add(name, sent.get(name) or "")
    headers.add("cseq", f"{invite.cseq.number} CANCEL")
    for name, value in extra:
        headers.add(name, value)
    return SipRequest("CANCEL", invite.uri_text, headers, b"")
