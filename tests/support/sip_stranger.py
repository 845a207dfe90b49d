"""A UDP socket that speaks SIP word by word: whatever a phone would never send."""

from __future__ import annotations

import asyncio
import contextlib
import socket

from ringback.testing.platform import Platform

ECHO = "15550001000"
_AGAIN_S = 1.0
GOOD_SDP = (
    "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio 40000 RTP/AVP {formats}\r\n{more}"
)


class Stranger:
    """A UDP socket that sends requests and reads what comes back."""

    def __init__(self, platform: Platform, host: str = "127.0.0.1") -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((host, 0))
        self.socket.setblocking(False)
        self.host, self.port = self.socket.getsockname()
        self._target = (platform.sip_host, platform.sip_port)
        self._number = 0
        self._answer = ""

    def __enter__(self) -> Stranger:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.socket.close()

    def send(self, data: bytes) -> None:
        try:
            self.socket.sendto(data, self._target)
        except (BlockingIOError, OSError):
            # A full buffer loses a datagram, as the network would.
            pass

    async def answer(self, data: bytes, timeout_s: float = 20) -> str:
        """Return the first final response to a request; that to an INVITE is acknowledged.

        It is sent again like any request over UDP: a platform that is flooded may have no room for it.
        """
        text = "SIP/2.0 1"
        async with asyncio.timeout(timeout_s):
            while text.startswith("SIP/2.0 1"):
                self.send(data)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_AGAIN_S):
                        while (text := await self._next()).startswith("SIP/2.0 1") or text == self._answer:
                            pass
        self._answer = text
        if data.startswith(b"INVITE"):
            to = next(line for line in text.split("\r\n") if line.startswith("To:"))
            lines = data.decode().partition("\r\n\r\n")[0].replace("INVITE", "ACK").split("\r\n")
            kept = [line for line in lines if not line.startswith(("To:", "Content-"))]
            self.send("\r\n".join([*kept, to, "Content-Length: 0", "", ""]).encode())
        return text

    async def _next(self) -> str:
        return (await asyncio.get_running_loop().sock_recv(self.socket, 65_535)).decode()

    def heard(self) -> int:
        """Return how many datagrams have come, besides repeats of the last answer."""
        count = 0
        while True:
            try:
                count += self.socket.recv(65_535).decode() != self._answer
            except BlockingIOError:
                return count

    def request(
        self, method: str = "INVITE", uri: str = f"sip:{ECHO}@127.0.0.1", body: str = "", without: str = "", **more: str
    ) -> bytes:
        """Return a request; `without` leaves out a header, `more` replaces or adds some, `_` in names is `-`."""
        self._number += 1
        headers = {
            "Via": f"SIP/2.0/UDP {self.host}:{self.port};branch=z9hG4bK{self.port}x{self._number};rport",
            "Max-Forwards": "70",
            "From": f"<sip:stranger@{self.host}>;tag=s{self._number}",
            "To": f"<{uri[:100]}>",
            "Call-ID": f"{self.port}-{self._number}@{self.host}",
            "CSeq": f"1 {method}",
            "Contact": f"<sip:stranger@{self.host}:{self.port}>",
        }
        if body:
            headers["Content-Type"] = "application/sdp"
        headers |= {name.replace("_", "-"): value for name, value in more.items()}
        headers.pop(without, None)
        lines = [f"{method} {uri} SIP/2.0", *(f"{name}: {value}" for name, value in headers.items())]
        return ("\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]) + body).encode()

    async def serve(self, status: str, body: str, timeout_s: float = 20) -> list[str]:
        """Answer the next INVITE with this, take what follows up to BYE, and return the methods in order."""
        methods: list[str] = []
        async with asyncio.timeout(timeout_s):
            while "BYE" not in methods:
                text = await self._next()
                method = text.partition(" ")[0]
                # Late answers make requests, and what answers them, come twice.
                if method not in methods:
                    methods.append(method)
                if method in ("INVITE", "BYE"):
                    self._reply(text, status if method == "INVITE" else "200 OK", body)
        return methods

    def _reply(self, request: str, status: str, body: str) -> None:
        wanted = ("via:", "from:", "to:", "call-id:", "cseq:", "record-route:")
        lines = [line for line in request.split("\r\n") if line.lower().startswith(wanted)]
        lines = [
            f"{line};tag=stranger" if line.lower().startswith("to:") and "tag=" not in line else line for line in lines
        ]
        if not request.startswith("INVITE"):
            body = ""
        more = [f"Contact: <sip:stranger@{self.host}:{self.port}>", f"Content-Length: {len(body)}"]
        more += ["Content-Type: application/sdp"] if body else []
        self.send("\r\n".join([f"SIP/2.0 {status}", *lines, *more, "", body]).encode())


def sdp(formats: str, more: str = "") -> str:
    return GOOD_SDP.format(formats=formats, more=more)
