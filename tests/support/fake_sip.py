"""A SIP endpoint in memory: `FakeSipPort` stands where `sip.transport.driver.SipDriver` stands, and builders of what it
reports.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ringback.errors import NotFound
from ringback.sip.dialog import Dialog
from ringback.sip.endpoint import InviteId, InviteReceived, OutboundInvite
from ringback.sip.flow import Flow, Target, Transport
from ringback.sip.invite.values import HeaderLines
from ringback.sip.message import SipRequest, SipResponse, response_to
from ringback.sip.uri import SipUri, parse_uri

OFFER = (
    b"v=0\r\no=- 77 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP 8 0 96\r\n"
    b"a=rtpmap:96 telephone-event/8000\r\na=ptime:20\r\n"
)
"""PCMA before PCMU, telephone-event as 96, at 127.0.0.1:40000."""
ANSWER = (
    b"v=0\r\no=- 88 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 50000 RTP/AVP 0 101\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\n"
)
"""PCMU at 127.0.0.1:50000."""


@dataclass(frozen=True)
class SipCall:
    """One verb as it was called."""

    verb: str
    invite_id: str
    status: int = 0
    sdp: bytes | None = None
    reason: str = ""
    headers: HeaderLines = ()

    def header(self, name: str) -> str | None:
        """Return the value of a header, or `None`."""
        return next((value for found, value in self.headers if found.lower() == name.lower()), None)


@dataclass
class FakeSipPort:
    """Implements `SipPort` by writing down what is asked.

    Attributes:
        calls: Every verb in order.
        invites: What was dialled, by id.
        targets: What `resolve` finds, by URI; other URIs with a numeric host resolve to it.
    """

    calls: list[SipCall] = field(default_factory=list)
    invites: dict[InviteId, OutboundInvite] = field(default_factory=dict)
    targets: dict[str, tuple[Target, ...]] = field(default_factory=dict)
    dialogs: dict[InviteId, Dialog] = field(default_factory=dict)
    left: list[Dialog] = field(default_factory=list)

    async def resolve(self, uri: str) -> tuple[Target, ...]:
        """Return the targets set for `uri`, or where its numeric host is."""
        if uri in self.targets:
            return self.targets[uri]
        parsed = parse_uri(uri)
        host = parsed.host.strip("[]") if isinstance(parsed, SipUri) else ""
        if not isinstance(parsed, SipUri) or not (host.replace(".", "").isdigit() or ":" in host):
            raise NotFound(f"no address for {uri}")
        return (Target(Transport.TCP if parsed.transport == "tcp" else Transport.UDP, host, parsed.port or 5060),)

    def invite(self, outbound: OutboundInvite) -> InviteId:
        """Note the call as `out-1`, `out-2`, ..."""
        invite_id = InviteId(f"out-{len(self.invites) + 1}")
        self.invites[invite_id] = outbound
        self.calls.append(SipCall("invite", invite_id, sdp=outbound.sdp, headers=outbound.headers))
        return invite_id

    def progress(self, invite_id: InviteId, status: int, sdp: bytes | None = None, headers: HeaderLines = ()) -> bool:
        """Note a provisional response."""
        return self._note(SipCall("progress", invite_id, status, sdp, headers=headers))

    def answer(self, invite_id: InviteId, sdp: bytes, headers: HeaderLines = ()) -> bool:
        """Note the 200."""
        return self._note(SipCall("answer", invite_id, 200, sdp, headers=headers))

    def reject(self, invite_id: InviteId, status: int, reason: str = "", headers: HeaderLines = ()) -> bool:
        """Note a refusal."""
        return self._note(SipCall("reject", invite_id, status, None, reason, headers))

    def challenge(self, invite_id: InviteId, challenges: tuple[str, ...]) -> bool:
        """Note a 407."""
        return self._note(SipCall("challenge", invite_id, 407, reason="; ".join(challenges)))

    def dialog_of(self, invite_id: InviteId) -> Dialog | None:
        return self.dialogs.get(invite_id)

    def leave(self, dialog: Dialog, reason_header: str = "") -> bool:
        self.left.append(dialog)
        return True

    def drop(self, invite_id: InviteId) -> bool:
        """Note a silent drop."""
        return self._note(SipCall("drop", invite_id))

    def hangup(self, invite_id: InviteId, reason_header: str = "", headers: HeaderLines = ()) -> bool:
        """Note a BYE, CANCEL or final response."""
        return self._note(SipCall("hangup", invite_id, 0, None, reason_header, headers))

    def ack_with(self, invite_id: InviteId, sdp: bytes) -> bool:
        """Note an answer in the ACK."""
        return self._note(SipCall("ack_with", invite_id, 0, sdp))

    def accept_reoffer(self, invite_id: InviteId, sdp: bytes) -> bool:
        """Note the 200 to a re-INVITE."""
        return self._note(SipCall("accept_reoffer", invite_id, 200, sdp))

    def refuse_reoffer(self, invite_id: InviteId, status: int, reason: str = "") -> bool:
        """Note the refusal of a re-INVITE."""
        return self._note(SipCall("refuse_reoffer", invite_id, status, None, reason))

    def send_info(self, invite_id: InviteId, content_type: str, body: bytes) -> bool:
        """Note an INFO."""
        return self._note(SipCall("send_info", invite_id, 0, body, content_type))

    def of(self, verb: str) -> list[SipCall]:
        """Return the calls of one verb, in order."""
        return [call for call in self.calls if call.verb == verb]

    @property
    def last(self) -> SipCall:
        """Return the last verb called."""
        return self.calls[-1]

    def _note(self, call: SipCall) -> bool:
        self.calls.append(call)
        return True


def invite_request(
    *extra: tuple[str, str],
    uri: str = "sip:15550001000@127.0.0.1",
    sender: str = '"Ann" <sip:+15557654321@127.0.0.1>;tag=a1',
) -> SipRequest:
    """Return an INVITE with `extra` headers."""
    return SipRequest(
        "INVITE",
        uri,
        [
            ("Via", "SIP/2.0/UDP 127.0.0.1:5070;branch=z9hG4bKtest"),
            ("From", sender),
            ("To", f"<{uri}>"),
            ("Call-ID", "call-1@127.0.0.1"),
            ("CSeq", "1 INVITE"),
            ("Contact", "<sip:ann@127.0.0.1:5070>"),
            *extra,
        ],
    )


def received(
    request: SipRequest | None = None,
    *,
    offer: bytes | None = OFFER,
    invite_id: str = "in-1",
    source_host: str = "127.0.0.1",
) -> InviteReceived:
    """Return the report of an incoming INVITE."""
    flow = Flow(Transport.UDP, ("127.0.0.1", 5060), (source_host, 5070))
    return InviteReceived(InviteId(invite_id), request or invite_request(), flow, offer)


def response(status: int, *extra: tuple[str, str], reason: str | None = None) -> SipResponse:
    """Return a response to the plain INVITE."""
    return response_to(invite_request(), status, reason, to_tag="b2", headers=extra)


def bye(*extra: tuple[str, str]) -> SipRequest:
    """Return a BYE of the plain call."""
    return SipRequest("BYE", "sip:ringback@127.0.0.1", [("Call-ID", "call-1@127.0.0.1"), ("CSeq", "2 BYE"), *extra])
