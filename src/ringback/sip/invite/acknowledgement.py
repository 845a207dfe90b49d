"""The ACK of a 2xx, which is a request of the usage and not of a transaction (RFC 3261 §13.2.2.4)."""

from __future__ import annotations

from ringback.sip.dialog import Dialog
from ringback.sip.flow import Transmit
from ringback.sip.invite.body import SDP_TYPE
from ringback.sip.invite.host import InviteHost
from ringback.sip.message import SipRequest


def acknowledge(host: InviteHost, dialog: Dialog, invite: SipRequest, sdp: bytes | None) -> Transmit:
    """Send the ACK of a 2xx and return it for repeats (RFC 3261 §13.2.2.4).

    Its CSeq number and credentials are the INVITE's, its branch is its own.
    """
    path = host.path_of(dialog)
    headers: list[tuple[str, str]] = [("user-agent", host.settings.user_agent)]
    for name in ("authorization", "proxy-authorization"):
        headers += [(name, value) for value in invite.headers.all(name)]
    if sdp is not None:
        headers.append(("content-type", SDP_TYPE))
    via = path.via(host.new_token())
    ack = dialog.request("ACK", invite.cseq.number, via, tuple(headers), sdp or b"")
    transmit = Transmit(ack.to_bytes(), path.destination, None, path.fallback)
    host.transmit(transmit)
    return transmit
