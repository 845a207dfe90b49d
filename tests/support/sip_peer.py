"""A SIP peer driven by the test, message by message, on the fake network."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from ringback.machine import Instant
from ringback.sip.address import name_addr
from ringback.sip.digest import Credentials
from ringback.sip.endpoint import DatagramArrived, InviteId, MessageArrived, OutboundInvite
from ringback.sip.flow import Flow, Target, Transport
from ringback.sip.header_fields import Headers
from ringback.sip.message import SipMessage, SipRequest, SipResponse, response_to
from ringback.sip.parser import parse_message
from ringback.sip.settings import SipSettings
from tests.support.sip_network import Network, Node, target

OURS, THEIRS = "10.0.0.1", "10.0.0.9"
OFFER, ANSWER, NEW_OFFER = b"v=0\r\ns=offer\r\n", b"v=0\r\ns=answer\r\n", b"v=0\r\ns=new offer\r\n"


class Peer:
    """Keeps what it receives, sends what it is told; no timers of its own."""

    def __init__(self, network: Network, node: Node, host: str = THEIRS, transport: Transport = Transport.UDP) -> None:
        self.network = network
        self.node = node
        self.host = host
        self.transport = transport
        self.received: list[tuple[Instant, SipMessage]] = []
        self.endpoint = self
        self._branch = 0
        network.add(host, self)

    # The loop contract of a node.

    def pump(self) -> None:
        """Do nothing: sending is immediate."""

    def poll_timeout(self) -> Instant | None:
        return None

    def handle_timeout(self, now: Instant) -> None:
        """Do nothing: no timers."""

    def handle_input(self, now: Instant, event: Any) -> None:
        message = event.message if isinstance(event, MessageArrived) else parse_message(event.payload)
        self.received.append((now, message))

    # Sending.

    def send(self, message: SipMessage) -> None:
        """Send a message to the node and let it arrive."""
        self.send_bytes(message.to_bytes())

    def send_bytes(self, payload: bytes, port: int = 5060) -> None:
        """Send bytes to the node and let them arrive."""
        local = (self.node.host, 5060)
        flow = Flow(self.transport, local, (self.host, port), 1 if self.transport is Transport.TCP else 0)
        if self.transport is Transport.TCP:
            self.node.endpoint.handle_input(self.network.now, MessageArrived(flow, parse_message(payload)))
        else:
            self.node.endpoint.handle_input(self.network.now, DatagramArrived(flow, payload))
        self.network.run(2)

    def new_via(self) -> str:
        """Return a Via value with a fresh branch."""
        self._branch += 1
        return f"SIP/2.0/{self.transport.value} {self.host}:5060;branch=z9hG4bKpeer{self._branch};rport"

    # What has come.

    def requests(self, method: str) -> list[SipRequest]:
        """Return the requests received so far."""
        messages = [message for _, message in self.received]
        return [message for message in messages if isinstance(message, SipRequest) and message.method == method]

    def statuses(self, method: str) -> list[int]:
        """Return the statuses received so far for a method."""
        return [response.status for response in self.responses(method)]

    def responses(self, method: str) -> list[SipResponse]:
        """Return the responses received so far for a method."""
        messages = [message for _, message in self.received]
        return [message for message in messages if isinstance(message, SipResponse) and message.cseq.method == method]

    def times(self, method: str, status: int | None = None) -> list[int]:
        """Return when requests of a method, or responses of a status to it, came, in milliseconds."""
        return [
            at // 1_000_000
            for at, message in self.received
            if message.cseq.method == method
            and (status is None) == isinstance(message, SipRequest)
            and (status is None or (isinstance(message, SipResponse) and message.status == status))
        ]

    def respond(
        self,
        request: SipRequest,
        status: int,
        *,
        tag: str = "peer",
        sdp: bytes = b"",
        headers: Iterable[tuple[str, str]] = (),
        contact: str | None = None,
    ) -> None:
        """Answer a request."""
        lines = list(headers)
        if contact is None and 100 < status < 300:
            contact = f"<sip:peer@{self.host}:5060>"
        if contact:
            lines.append(("contact", contact))
        if sdp:
            lines.append(("content-type", "application/sdp"))
        self.send(response_to(request, status, to_tag=tag if status > 100 else None, headers=lines, body=sdp))


class Caller(Peer):
    """A peer that calls the node."""

    def __init__(self, network: Network, node: Node, host: str = THEIRS, transport: Transport = Transport.UDP) -> None:
        super().__init__(network, node, host, transport)
        self.cseq = 1
        self.call_id = "call-of-peer"
        self.uri = f"sip:100@{OURS}"
        self.invite_request: SipRequest | None = None

    def request(
        self,
        method: str,
        *,
        cseq: int | None = None,
        via: str | None = None,
        to_tag: str | None = None,
        body: bytes = b"",
        headers: Iterable[tuple[str, str]] = (),
        contact: str | None = "",
    ) -> SipRequest:
        """Return a request of this caller, in the dialog once there is one."""
        lines = Headers()
        lines.add("via", via or self.new_via())
        lines.add("max-forwards", "70")
        lines.add("from", f"<sip:peer@{self.host}>;tag=peer-tag")
        tag = self.tag if to_tag is None else to_tag
        lines.add("to", f"<sip:100@{OURS}>" + (f";tag={tag}" if tag else ""))
        lines.add("call-id", self.call_id)
        lines.add("cseq", f"{self.cseq if cseq is None else cseq} {method}")
        if contact is not None:
            lines.add("contact", contact or f"<sip:peer@{self.host}:5060>")
        for name, value in headers:
            lines.add(name, value)
        if body and "content-type" not in lines:
            lines.add("content-type", "application/sdp")
        return SipRequest(method, self.uri, lines, body)

    @property
    def tag(self) -> str:
        """Return the node's tag, once a response has brought it."""
        tags = [response.to.tag for response in self.responses("INVITE") if response.to.tag]
        return tags[0] if tags and tags[0] else ""

    def invite(self, offer: bytes = OFFER, headers: Iterable[tuple[str, str]] = ()) -> InviteId:
        """Send an INVITE and return the node's id for it."""
        self.invite_request = self.request("INVITE", body=offer, to_tag="", headers=headers)
        self.send(self.invite_request)
        invite_id: InviteId = self.node.events[-1].invite_id
        return invite_id

    def in_dialog(self, method: str, body: bytes = b"", headers: Iterable[tuple[str, str]] = (), **more: Any) -> None:
        """Send a further request in the dialog, with the next number."""
        self.cseq += 1
        self.send(self.request(method, body=body, headers=headers, **more))

    def ack(self, body: bytes = b"", cseq: int = 1, via: str | None = None) -> None:
        """Acknowledge a 2xx."""
        self.send(self.request("ACK", cseq=cseq, body=body, via=via))

    def cancel(self) -> None:
        """Cancel the INVITE."""
        assert self.invite_request is not None
        via = self.invite_request.headers.get("via")
        self.send(self.request("CANCEL", cseq=1, via=via, to_tag="", contact=None))


def bench(settings: SipSettings | None = None, is_traced: bool = False) -> tuple[Network, Node]:
    """Return a network with one endpoint of ours at `OURS`."""
    network = Network()
    return network, network.node(OURS, settings, is_traced)


def calling(
    node: Node,
    *,
    targets: tuple[Target, ...] = (target(THEIRS),),
    sdp: bytes | None = OFFER,
    headers: tuple[tuple[str, str], ...] = (),
    credentials: tuple[Credentials, ...] = (),
    route: tuple[str, ...] = (),
    request_uri: str = f"sip:200@{THEIRS}",
) -> InviteId:
    """Let the node place a call and let its INVITE arrive."""
    invite_id = node.endpoint.invite(
        node.now,
        OutboundInvite(
            request_uri=request_uri,
            from_=name_addr(f"sip:me@{OURS}", "Me"),
            to=name_addr(request_uri),
            targets=targets,
            headers=headers,
            sdp=sdp,
            credentials=credentials,
            route=route,
            contact_user="me",
        ),
    )
    node.network.run(2)
    return invite_id


def settle(network: Network, node: Node) -> None:
    """Let all timers run and assert that nothing is left."""
    network.run_out()
    assert node.endpoint.is_idle
    assert node.endpoint.call_count == 0
    assert node.names().count("InviteEnded") == len({event.invite_id for event in node.events})
