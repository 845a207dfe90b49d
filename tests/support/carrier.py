"""A carrier's gateway over UDP that asks for a password, written apart from the product's SIP.

It challenges the first INVITE of each call (401 or 407, MD5 or SHA-256), checks the digest with `hashlib`, rings,
answers PCMU and returns every RTP packet with a sequence of its own, so that who talks hears himself.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

_HASHES = {"MD5": hashlib.md5, "SHA-256": hashlib.sha256}
_SDP = (
    "v=0\r\no=gw 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\n"
)


@dataclass(frozen=True)
class CarrierRequest:
    """One SIP request as it arrived."""

    method: str
    uri: str
    headers: dict[str, list[str]]
    body: str

    def first(self, name: str) -> str:
        """Return the first value of a header, or nothing."""
        return (self.headers.get(name.lower()) or [""])[0]


@dataclass
class Carrier:
    """State: serves within `carrier()`. `requests` holds all that arrived, retransmissions included."""

    status: int = 407
    algorithm: str = "MD5"
    username: str = "acme"
    password: str = "s3cret"
    realm: str = "carrier.example"
    port: int = 0
    requests: list[CarrierRequest] = field(default_factory=list)
    packets: int = 0
    hang_ups: int = 0
    nonces: int = 0
    _rtp_port: int = 0

    def invites(self) -> list[CarrierRequest]:
        """Return the INVITEs that arrived, each once: whoever is answered late sends again."""
        found = {
            request.first("CSeq") + request.first("Call-ID"): request
            for request in reversed(self.requests)
            if request.method == "INVITE"
        }
        return list(found.values())[::-1]

    def answers_to(self, request: CarrierRequest) -> list[bytes]:
        """Return what is sent back."""
        match request.method:
            case "INVITE" if not self.is_authorized(request):
                self.nonces += 1
                name = "WWW-Authenticate" if self.status == 401 else "Proxy-Authenticate"
                challenge = (
                    f'Digest realm="{self.realm}", nonce="n{self.nonces}", algorithm={self.algorithm}, '
                    'qop="auth", opaque="o"'
                )
                return [self._response(request, self.status, "Who are you", [(name, challenge)])]
            case "INVITE":
                contact = [("Contact", f"<sip:gw@127.0.0.1:{self.port}>")]
                sdp = _SDP.format(port=self._rtp_port)
                return [
                    self._response(request, 180, "Ringing", contact),
                    self._response(request, 200, "OK", contact, sdp),
                ]
            case "BYE":
                return [self._response(request, 200, "OK")]
            case _:
                return []

    def is_authorized(self, request: CarrierRequest) -> bool:
        """Return whether the request proves knowledge of the password (RFC 7616 §3.4)."""
        given = request.first("Authorization" if self.status == 401 else "Proxy-Authorization")
        fields = {name: quoted or bare for name, quoted, bare in re.findall(r'(\w+)=(?:"([^"]*)"|([^\s,]+))', given)}
        if not given.startswith("Digest ") or fields.get("username") != self.username:
            return False
        assert fields["realm"] == self.realm
        assert fields["uri"] == request.uri
        assert fields["opaque"] == "o"
        assert re.fullmatch(r"[0-9a-f]{8}", fields["nc"])
        one = self._hash(f"{self.username}:{self.realm}:{self.password}")
        two = self._hash(f"{request.method}:{request.uri}")
        wanted = self._hash(f"{one}:{fields['nonce']}:{fields['nc']}:{fields['cnonce']}:{fields['qop']}:{two}")
        return fields["response"] == wanted

    def _hash(self, text: str) -> str:
        return _HASHES[self.algorithm](text.encode()).hexdigest()

    def _response(
        self, request: CarrierRequest, status: int, reason: str, headers: Iterable[tuple[str, str]] = (), body: str = ""
    ) -> bytes:
        to = request.first("To")
        if ";tag=" not in to:
            # One tag for all responses to one INVITE; another one after the challenge, as from another fork.
            to += f";tag=gw{request.first('CSeq').split()[0]}"
        copied = [(name, value) for name in ("Via", "Record-Route") for value in request.headers.get(name.lower(), [])]
        lines = [f"SIP/2.0 {status} {reason}", *(f"{name}: {value}" for name, value in copied)]
        lines += [f"From: {request.first('From')}", f"To: {to}"]
        lines += [f"Call-ID: {request.first('Call-ID')}", f"CSeq: {request.first('CSeq')}"]
        lines += [f"{name}: {value}" for name, value in headers]
        if body:
            lines.append("Content-Type: application/sdp")
        return ("\r\n".join([*lines, f"Content-Length: {len(body)}"]) + "\r\n\r\n" + body).encode()


class _Sip(asyncio.DatagramProtocol):
    def __init__(self, gateway: Carrier) -> None:
        self.gateway = gateway

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        head, _, body = data.decode().partition("\r\n\r\n")
        first, *lines = head.split("\r\n")
        if not first.endswith("SIP/2.0"):
            return
        headers: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers.setdefault(name.strip().lower(), []).append(value.strip())
        method, uri, _ = first.split(" ")
        request = CarrierRequest(method, uri, headers, body)
        names = ("CSeq", "Call-ID")
        is_repeat = any(all(old.first(name) == request.first(name) for name in names) for old in self.gateway.requests)
        self.gateway.requests.append(request)
        if is_repeat and method == "INVITE":
            return
        if method == "BYE" and not is_repeat:
            self.gateway.hang_ups += 1
        for answer in self.gateway.answers_to(request):
            self.transport.sendto(answer, addr)


class _Echo(asyncio.DatagramProtocol):
    """Returns RTP with an SSRC of its own."""

    def __init__(self, gateway: Carrier) -> None:
        self.gateway = gateway

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        self.gateway.packets += 1
        self.transport.sendto(data[:8] + struct.pack("!I", 0x600DCAFE) + data[12:], addr)


@asynccontextmanager
async def carrier(port: int, **settings: object) -> AsyncIterator[Carrier]:
    """Run a gateway on a loopback port."""
    gateway = Carrier(**settings)  # type: ignore[arg-type]  # fields of the class
    loop = asyncio.get_running_loop()
    echo, _ = await loop.create_datagram_endpoint(lambda: _Echo(gateway), ("127.0.0.1", 0))
    gateway._rtp_port = echo.get_extra_info("sockname")[1]
    sip, _ = await loop.create_datagram_endpoint(lambda: _Sip(gateway), ("127.0.0.1", port))
    gateway.port = port
    try:
        yield gateway
    finally:
        sip.close()
        echo.close()
        await asyncio.sleep(0)
