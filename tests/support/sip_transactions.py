"""A transaction layer on fake time, with a usage that keeps everything it is told."""

from __future__ import annotations

from dataclasses import replace

from ringback.machine import MS, Instant
from ringback.sip.flow import Flow, Transmit, Transport
from ringback.sip.header_fields import Headers
from ringback.sip.message import SipRequest, SipResponse, response_to
from ringback.sip.parser import parse_message
from ringback.sip.settings import SipSettings
from ringback.sip.timers import TimerHeap
from ringback.sip.transaction.client import ClientFailure, ClientTransaction
from ringback.sip.transaction.layer import TransactionLayer
from ringback.sip.transaction.server import ServerFailure, ServerTransaction

PEER = ("192.0.2.9", 5060)
OURS = ("192.0.2.1", 5060)
UDP = Flow(Transport.UDP, OURS, PEER)
TCP = Flow(Transport.TCP, OURS, PEER, 1)


class Usage:
    """Takes the part of every usage."""

    def __init__(self) -> None:
        self.responses: list[int] = []
        self.failures: list[ClientFailure | ServerFailure] = []
        self.acks = 0
        self.cancels = 0
        self.ended = 0

    def response_received(self, now: Instant, transaction: ClientTransaction, response: SipResponse) -> None:
        self.responses.append(response.status)

    def transaction_failed(self, now: Instant, transaction: ClientTransaction, failure: ClientFailure) -> None:
        self.failures.append(failure)

    def transaction_ended(self, now: Instant, transaction: ClientTransaction) -> None:
        self.ended += 1

    def acknowledged(self, now: Instant, transaction: ServerTransaction, ack: SipRequest) -> None:
        self.acks += 1

    def cancelled(self, now: Instant, transaction: ServerTransaction, cancel: SipRequest) -> None:
        self.cancels += 1

    def response_failed(self, now: Instant, transaction: ServerTransaction, failure: ServerFailure) -> None:
        self.failures.append(failure)

    def server_transaction_ended(self, now: Instant, transaction: ServerTransaction) -> None:
        self.ended += 1


class Bench:
    """One layer, its clock, and what it sent: (milliseconds, start line)."""

    def __init__(self, settings: SipSettings | None = None) -> None:
        self.now = Instant(0)
        self.heap = TimerHeap()
        self.sent: list[tuple[int, str]] = []
        self.transmits: list[Transmit] = []
        self.layer = TransactionLayer(settings or SipSettings(), self.heap, self._transmit)
        self.usage = Usage()

    def _transmit(self, transmit: Transmit) -> None:
        self.transmits.append(transmit)
        self.sent.append((self.now // MS, transmit.payload.partition(b"\r\n")[0].decode()))

    def run_until(self, at_ms: int) -> None:
        """Fire every timer up to a point in time, each at its own."""
        while (deadline := self.heap.next_deadline()) is not None and deadline <= at_ms * MS:
            self.now = deadline
            due = self.heap.pop_due(deadline)
            assert due is not None
            due[0].handle_timer(self.now, due[1])
        self.now = Instant(at_ms * MS)

    def times(self, start: str) -> list[int]:
        """Return when messages whose start line begins with `start` were sent, in milliseconds."""
        return [at for at, line in self.sent if line.startswith(start)]

    def start_client(self, method: str, flow: Flow = UDP) -> ClientTransaction:
        return self.layer.start_client(self.now, request(method), flow, self.usage)

    def start_server(self, method: str, flow: Flow = UDP) -> ServerTransaction:
        return self.layer.start_server(self.now, request(method), flow, self.usage)

    def respond_to(self, transaction: ClientTransaction, status: int) -> None:
        """Let a response to our request arrive."""
        response = parse_message(response_to(transaction.request, status, to_tag="theirs").to_bytes())
        assert isinstance(response, SipResponse)
        assert self.layer.receive_response(self.now, response, UDP)

    def answer(self, transaction: ServerTransaction, status: int) -> None:
        """Respond to the peer's request."""
        transaction.respond(self.now, response_to(transaction.request, status, to_tag="ours"))

    def repeat(self, method: str, branch: str = "z9hG4bKone") -> bool:
        """Let a request arrive; return whether a transaction took it."""
        return self.layer.receive_request(self.now, request(method, branch=branch), UDP)

    def assert_empty(self) -> None:
        """Assert that no transaction and no timer is left."""
        assert (self.layer.client_count, self.layer.server_count, self.layer.merge_count, len(self.heap)) == (
            0,
            0,
            0,
            0,
        )


def request(
    method: str,
    *,
    branch: str = "z9hG4bKone",
    host: str = "192.0.2.1",
    call_id: str = "call-1",
    from_tag: str = "ft",
    to_tag: str = "",
    cseq: int = 1,
    uri: str = "sip:100@192.0.2.9",
) -> SipRequest:
    """Return a request as it would be parsed."""
    headers = Headers()
    headers.add("via", f"SIP/2.0/UDP {host}:5060" + (f";branch={branch}" if branch else ""))
    headers.add("from", f"<sip:a@192.0.2.1>;tag={from_tag}")
    headers.add("to", "<sip:100@192.0.2.9>" + (f";tag={to_tag}" if to_tag else ""))
    headers.add("call-id", call_id)
    headers.add("cseq", f"{cseq} {'ACK' if method == 'ACK' else method}")
    headers.add("max-forwards", "70")
    message = parse_message(SipRequest(method, uri, headers).to_bytes())
    assert isinstance(message, SipRequest)
    return message


def small_tables(limit: int) -> SipSettings:
    """Return settings with tables of `limit` transactions."""
    return replace(SipSettings(), max_server_transactions=limit, max_client_transactions=limit)
