"""A name server on loopback that answers from a dictionary."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message
import dns.rcode
import dns.rrset

Zone = dict[tuple[str, str], list[str]]
"""Records by (kind, name): the text of each, as in a zone file."""


class DnsServer(asyncio.DatagramProtocol):
    """Answers from its zone, counts questions, and can be told to fail."""

    def __init__(self, zone: Zone) -> None:
        self.zone = zone
        self.is_failing = False
        self.questions: list[tuple[str, str]] = []
        self._transport: asyncio.DatagramTransport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        question = query.question[0]
        name = question.name.to_text(omit_final_dot=True).lower()
        kind = dns.rdatatype.to_text(question.rdtype)
        self.questions.append((kind, name))
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        records = self.zone.get((kind, name))
        if self.is_failing:
            response.set_rcode(dns.rcode.SERVFAIL)
        elif records:
            response.answer.append(dns.rrset.from_text(question.name, 60, "IN", kind, *records))
        elif not any(known == name for _, known in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        assert self._transport is not None
        self._transport.sendto(response.to_wire(), addr)


@asynccontextmanager
async def dns_server(zone: Zone) -> AsyncIterator[tuple[DnsServer, tuple[str, int]]]:
    """Run a server; yield it and its address."""
    loop = asyncio.get_running_loop()
    transport, server = await loop.create_datagram_endpoint(lambda: DnsServer(zone), local_addr=("127.0.0.1", 0))
    try:
        yield server, transport.get_extra_info("sockname")[:2]
    finally:
        transport.close()
