"""How messages find their transaction (RFC 3261 §17.1.3, §17.2.3)."""

from __future__ import annotations

from typing import NamedTuple

from ringback.sip.message import SipRequest, SipResponse


class ClientKey(NamedTuple):
    """Names a client transaction: the branch we drew and the method."""

    branch: str
    method: str


class ServerKey(NamedTuple):
    """Names a server transaction; ACK is folded to INVITE.

    With a magic cookie: branch, sent-by and method. Without one (RFC 2543 peers), or with the bare cookie of RFC 4475
    §3.2.1, Call-ID, CSeq, From tag and Request-URI stand in `legacy`.
    """

    branch: str
    sent_by: str
    method: str
    legacy: tuple[str, ...] = ()


class MergeKey(NamedTuple):
    """Names one request of a peer regardless of the path it took (RFC 3261 §8.2.2.2)."""

    call_id: str
    from_tag: str
    cseq: int
    method: str


def client_key(response: SipResponse) -> ClientKey:
    """Return the key of the client transaction that `response` belongs to."""
    return ClientKey(response.via.branch, response.cseq.method)


def server_key(request: SipRequest, method: str | None = None) -> ServerKey:
    """Return the key of the server transaction that `request` belongs to.

    Args:
        method: Looked for instead of the request's own: INVITE, for what a CANCEL cancels.
    """
    via = request.via
    if method is None:
        method = "INVITE" if request.method == "ACK" else request.method
    if via.has_magic_branch:
        return ServerKey(via.branch, via.sent_by, method)
    legacy = (request.call_id, str(request.cseq.number), request.from_.tag or "", request.uri_text)
    return ServerKey(via.branch, via.sent_by, method, legacy)


def merge_key(request: SipRequest) -> MergeKey:
    """Return the key under which copies of `request` that came over different paths meet."""
    return MergeKey(request.call_id, request.from_.tag or "", request.cseq.number, request.method)
