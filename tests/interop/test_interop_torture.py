"""Every message of RFC 4475 and RFC 5118 over real sockets against a running platform, each with its verdict.

No peer is needed. Responses come back to the socket that sent, whatever Via says.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest
from tests.support.sip_vectors import rfc4475, rfc4475_names, rfc5118, rfc5118_names

from ringback.testing.platform import Platform

DROPPED: frozenset[int] = frozenset()
REFUSED = frozenset({400})
CALLED = frozenset({404, 488})
"""An INVITE that passes: nobody has its number, or its SDP has no codec of ours."""
UNKNOWN = frozenset({405})
"""A method that passes and that this version does not speak."""
CHALLENGED = frozenset({401})
"""A REGISTER that passes, from a phone that has to say who it is."""
FINE = frozenset({200})
GIVEN: dict[str, frozenset[int]] = {
    "wsinv": frozenset({481}),
    "intmeth": UNKNOWN,
    "esc01": CALLED,
    "escnull": CHALLENGED,
    "esc02": UNKNOWN,
    "lwsdisp": FINE,
    "longreq": CALLED,
    "dblreq": CHALLENGED,
    "semiuri": FINE,
    "transports": FINE,
    "mpart01": UNKNOWN,
    "unreason": DROPPED,
    "noreason": DROPPED,
    "badinv01": REFUSED,
    "clerr": REFUSED,
    "ncl": REFUSED,
    "scalar02": REFUSED,
    "scalarlg": DROPPED,
    "quotbal": REFUSED,
    "ltgtruri": REFUSED,
    "lwsruri": REFUSED,
    "lwsstart": REFUSED,
    "trws": REFUSED,
    "escruri": REFUSED,
    "baddate": CALLED,
    "regbadct": REFUSED,
    "badaspec": REFUSED,
    "baddn": REFUSED | FINE,
    "badvers": frozenset({505}),
    "mismatch01": REFUSED,
    "mismatch02": REFUSED | {501},
    "bigcode": DROPPED,
    "badbranch": REFUSED | FINE,
    "insuf": DROPPED,
    "unkscm": frozenset({416}),
    "novelsc": frozenset({416}),
    "unksm2": CHALLENGED,
    "bext01": frozenset({420}),
    "invut": frozenset({415}),
    "regaut01": CHALLENGED,
    "multi01": REFUSED,
    "mcl01": REFUSED,
    "bcast": DROPPED,
    "zeromf": FINE,
    "cparam01": CHALLENGED,
    "cparam02": CHALLENGED,
    "regescrt": CHALLENGED,
    "sdp01": frozenset({406}),
    "inv2543": CALLED,
}
OF_RFC5118: dict[str, frozenset[int]] = {
    "ipv6-bad": REFUSED,
    "ipv6-good": CHALLENGED,
    "port-ambiguous": CHALLENGED,
    "port-unambiguous": CHALLENGED,
}
WAITS_ON_A_STREAM = frozenset({"clerr", "baddn"})
"""Without a blank line, or the whole body, a stream waits for more."""
NEEDS_LENGTH = frozenset({"inv2543"})
"""No Content-Length: fine in a datagram, refused on a stream."""
HEADER_OF = {401: b"WWW-Authenticate: Digest ", 405: b"Allow: ", 420: b"Unsupported: ", 415: b"Accept: "}


@pytest.fixture(scope="module")
def quiet_platform() -> Iterator[Platform]:
    """A platform for this module; idle gauges and a log without ERROR are judged when it ends."""
    with Platform.start() as platform:
        yield platform


class Peer:
    """One socket to the platform."""

    def __init__(self, platform: Platform, kind: socket.SocketKind) -> None:
        self.is_stream = kind is socket.SOCK_STREAM
        self._socket = socket.socket(socket.AF_INET, kind)
        self._socket.settimeout(20)
        self._socket.connect((platform.sip_host, platform.sip_port))
        self._data = b""

    def __enter__(self) -> Peer:
        return self

    def __exit__(self, *_exc: object) -> None:
        self._socket.close()

    def send(self, message: bytes) -> None:
        self._socket.sendall(message)

    def response(self) -> tuple[int, bytes] | None:
        """Return the status and text of the next final response; `None` when the connection was closed."""
        while (found := self._next()) is not None:
            status = int(found.split(b" ", 2)[1])
            if status >= 200:
                return status, found
        return None

    def final(self) -> tuple[int, bytes]:
        """Return the status and text of the next final response."""
        found = self.response()
        assert found is not None, "the connection was closed"
        return found

    def assert_alive(self) -> None:
        """Check that OPTIONS is answered at once, and that nothing else comes."""
        self.send(OPTIONS)
        status, text = self.final()
        assert b"\r\nCall-ID: alive\r\n" in text, f"unasked: {text[:200]!r}"
        assert status == 200

    def _next(self) -> bytes | None:
        if not self.is_stream:
            return self._socket.recv(65_535)
        while b"\r\n\r\n" not in self._data:
            piece = self._socket.recv(65_535)
            if not piece:
                return None
            self._data += piece
        message, _, self._data = self._data.partition(b"\r\n\r\n")
        return message + b"\r\n"


OPTIONS = (
    b"OPTIONS sip:anybody@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKalive;rport\r\n"
    b"From: <sip:a@127.0.0.1>;tag=1\r\nTo: <sip:anybody@127.0.0.1>\r\nCall-ID: alive\r\nCSeq: 1 OPTIONS\r\n"
    b"Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


def judge(platform: Platform, kind: socket.SocketKind, message: bytes, verdict: frozenset[int]) -> None:
    """Send one message and check its verdict, then that the platform lives."""
    with Peer(platform, kind) as peer:
        peer.send(message)
        if verdict:
            status, text = peer.final()
            assert status in verdict, text[:300]
            assert HEADER_OF.get(status, b"") in text
        else:
            peer.assert_alive()
    with Peer(platform, socket.SOCK_DGRAM) as other:
        other.assert_alive()


def test_every_message_has_a_verdict() -> None:
    assert sorted(GIVEN) == rfc4475_names()


@pytest.mark.parametrize("name", rfc4475_names())
def test_rfc4475_over_udp(name: str, quiet_platform: Platform) -> None:
    judge(quiet_platform, socket.SOCK_DGRAM, rfc4475(name), GIVEN[name])


@pytest.mark.parametrize("name", sorted(set(rfc4475_names()) - WAITS_ON_A_STREAM))
def test_rfc4475_over_tcp(name: str, quiet_platform: Platform) -> None:
    verdict = REFUSED if name in NEEDS_LENGTH else GIVEN[name]
    judge(quiet_platform, socket.SOCK_STREAM, rfc4475(name), verdict)


@pytest.mark.parametrize("name", rfc5118_names())
@pytest.mark.parametrize("kind", [socket.SOCK_DGRAM, socket.SOCK_STREAM], ids=["udp", "tcp"])
def test_rfc5118(name: str, kind: socket.SocketKind, quiet_platform: Platform) -> None:
    accepted = DROPPED if rfc5118(name).startswith(b"SIP/2.0 ") else CALLED | UNKNOWN | FINE | {481}
    judge(quiet_platform, kind, rfc5118(name), OF_RFC5118.get(name, accepted))


def test_cancel_on_the_heels_of_its_invite(quiet_platform: Platform) -> None:
    lines = (
        "Via: SIP/2.0/UDP 127.0.0.1;branch=z9hG4bKheels;rport\r\nMax-Forwards: 70\r\nFrom: <sip:a@127.0.0.1>;tag=1\r\n"
        "To: <sip:15550001000@127.0.0.1>\r\nCall-ID: heels\r\nCSeq: 1 {0}\r\nContact: <sip:a@127.0.0.1>\r\n\r\n"
    )
    with Peer(quiet_platform, socket.SOCK_DGRAM) as peer:
        for method in ("INVITE", "CANCEL"):
            peer.send(f"{method} sip:15550001000@127.0.0.1 SIP/2.0\r\n{lines.format(method)}".encode())
        found = {text.partition(b"\r\nCSeq: 1 ")[2].split()[0]: status for status, text in (peer.final(), peer.final())}
        assert found == {b"CANCEL": 200, b"INVITE": 487}


@pytest.mark.parametrize("name", ["ncl", "mcl01", "inv2543"])
def test_a_stream_whose_framing_is_lost_is_closed(name: str, quiet_platform: Platform) -> None:
    with Peer(quiet_platform, socket.SOCK_STREAM) as peer:
        peer.send(rfc4475(name))
        assert peer.final()[0] == 400
        assert peer.response() is None
