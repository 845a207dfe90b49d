"""REGISTERs and INVITEs of a phone that knows its password, as a registrar receives them."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from ringback.sip.digest import Challenge, Credentials, DigestClient
from ringback.sip.flow import Flow, Transport
from ringback.sip.message import SipRequest

USERNAME, PASSWORD, DOMAIN = "alice123456789012", "a-long-password", "127.0.0.1"
_calls = itertools.count(1)


class RegisteringPhone:
    """Builds the requests of one phone; `answer` makes the next one carry credentials."""

    def __init__(
        self, username: str = USERNAME, password: str = PASSWORD, *, host: str = "127.0.0.1", port: int = 5070
    ) -> None:
        self.username = username
        self.host = host
        self.flow = Flow(Transport.UDP, ("127.0.0.1", 5060), (host, port))
        self.call_id = f"registration-{next(_calls)}"
        self.cseq = 0
        self._credentials = (Credentials(username, password),)
        self._cnonces = itertools.count(1)
        self._client = DigestClient(self._new_cnonce)

    @property
    def contact(self) -> str:
        """Return the Contact URI of the phone."""
        return f"sip:{self.username}@{self.host}:{self.flow.remote[1]}"

    def _new_cnonce(self) -> str:
        return f"cnonce{next(self._cnonces)}"

    def register(
        self,
        *extra: tuple[str, str],
        contact: str | None = None,
        challenges: Sequence[str] = (),
        aor: str = "",
        uri: str = f"sip:{DOMAIN}",
    ) -> SipRequest:
        """Return a REGISTER; an empty `contact` makes it a query."""
        contact = f"<{self.contact}>" if contact is None else contact
        lines = [*extra, *([("Contact", contact)] if contact else [])]
        return self._request("REGISTER", uri, f"<sip:{aor or self.username}@{DOMAIN}>", lines, challenges, "")

    def invite(
        self, *extra: tuple[str, str], to: str = "15550001000", sender: str = "", challenges: Sequence[str] = ()
    ) -> SipRequest:
        """Return an INVITE of the same phone."""
        uri = f"sip:{to}@{DOMAIN}"
        return self._request("INVITE", uri, sender or f"<sip:{self.username}@{DOMAIN}>", extra, challenges, uri)

    def _request(
        self,
        method: str,
        uri: str,
        sender: str,
        extra: Sequence[tuple[str, str]],
        challenges: Sequence[str],
        to: str,
    ) -> SipRequest:
        self.cseq += 1
        if challenges:
            self._client = DigestClient(self._new_cnonce)
        credentials = self._client.authorize_all(
            [Challenge.parse(value) for value in challenges], method, uri, b"", self._credentials
        )
        assert bool(credentials) == bool(challenges), "the phone gave up"
        return SipRequest(
            method,
            uri,
            [
                ("Via", f"SIP/2.0/UDP {self.host}:{self.flow.remote[1]};branch=z9hG4bK{self.call_id}-{self.cseq}"),
                ("From", f"{sender};tag=a1"),
                ("To", f"<{to}>" if to else sender),
                ("Call-ID", self.call_id),
                ("CSeq", f"{self.cseq} {method}"),
                ("User-Agent", "test phone/1"),
                *extra,
                *credentials,
            ],
        )
