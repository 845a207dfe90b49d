"""Measures the CPU of one inbound call: INVITE, 180, 200, ACK, BYE, its timers included, without sockets.

Run: `.venv/bin/python benchmarks/sip_inbound_call.py [calls]`. Budget: 1.5 ms per call.
"""

from __future__ import annotations

import itertools
import sys
from time import process_time_ns

from ringback.machine import MS, Instant
from ringback.sip.endpoint import DatagramArrived, Endpoint, Flow, InviteReceived, Listener, Transport
from ringback.sip.flow import Transmit
from ringback.sip.settings import SipSettings

BUDGET_US = 1_500
SDP = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=audio 20000 RTP/AVP 0 8 101\r\n"
    b"a=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\n"
)
FLOW = Flow(Transport.UDP, ("192.0.2.9", 5060), ("192.0.2.1", 5060))


def request(method: str, number: int, cseq: int, to_tag: str = "", body: bytes = b"") -> bytes:
    """Return a request as a carrier sends it."""
    tag = f";tag={to_tag}" if to_tag else ""
    lines = (
        f"{method} sip:15550001000@192.0.2.9 SIP/2.0",
        f"Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{method}{number:08x};rport",
        "Record-Route: <sip:192.0.2.1;lr>",
        "Max-Forwards: 70",
        f'From: "Alice" <sip:+15551234567@carrier.example>;tag=f{number:08x}',
        f"To: <sip:15550001000@192.0.2.9>{tag}",
        f"Call-ID: {number:032x}@192.0.2.1",
        f"CSeq: {cseq} {method}",
        "Contact: <sip:+15551234567@192.0.2.1:5060>",
        "User-Agent: Carrier SBC 9.2",
        "Allow: INVITE, ACK, CANCEL, OPTIONS, BYE, UPDATE",
        "Supported: timer",
        *(("Content-Type: application/sdp",) if body else ()),
        f"Content-Length: {len(body)}",
    )
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def run(calls: int, is_traced: bool) -> float:
    """Return microseconds of CPU per call."""
    tokens = itertools.count(1)
    endpoint = Endpoint(
        SipSettings(), lambda: f"{next(tokens):016x}", lambda: 0.5, is_trusted=lambda _: True, is_traced=is_traced
    )
    endpoint.listeners = (Listener(Transport.UDP, "192.0.2.9", 5060, "192.0.2.9", 5060),)
    now = Instant(0)

    def drain() -> str:
        tag = ""
        while (output := endpoint.poll_output()) is not None:
            if isinstance(output, InviteReceived):
                endpoint.progress(now, output.invite_id, 180)
                endpoint.answer(now, output.invite_id, SDP, (("X-CallUUID", "3f1c"),))
            elif isinstance(output, Transmit) and output.payload.startswith(b"SIP/2.0 200"):
                tag = output.payload.partition(b"To: ")[2].partition(b"tag=")[2].partition(b"\r\n")[0].decode()
        endpoint.poll_timeout()
        return tag

    started = process_time_ns()
    for number in range(calls):
        now = Instant(now + 10 * MS)
        endpoint.handle_timeout(now)
        endpoint.handle_input(now, DatagramArrived(FLOW, request("INVITE", number, 1, body=SDP)))
        tag = drain()
        endpoint.handle_input(now, DatagramArrived(FLOW, request("ACK", number, 1, tag)))
        drain()
        endpoint.handle_input(now, DatagramArrived(FLOW, request("BYE", number, 2, tag)))
        drain()
    endpoint.handle_timeout(Instant(now + 100_000 * MS))
    elapsed_us = (process_time_ns() - started) / 1_000
    if not endpoint.is_idle:
        raise SystemExit("calls were left behind")
    return elapsed_us / calls


def main() -> None:
    """Print the cost of a call, and fail beyond the budget."""
    calls = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    plain, traced = (min(run(calls, is_traced) for _ in range(3)) for is_traced in (False, True))
    sys.stdout.write(f"inbound call: {plain:.0f} us, with traces {traced:.0f} us, budget {BUDGET_US} us\n")
    if plain > BUDGET_US:
        raise SystemExit("over budget")


if __name__ == "__main__":
    main()
