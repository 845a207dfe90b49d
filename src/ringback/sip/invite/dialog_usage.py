"""The confirmed part of a call, the same for both directions: requests inside the dialog, sent and received."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from ringback.machine import Instant
from ringback.sip.dialog import Dialog
from ringback.sip.digest import Credentials, DigestClient, challenges_of
from ringback.sip.invite.body import SDP_TYPE
from ringback.sip.invite.events import EndDetail, InfoAnswered, InfoReceived
from ringback.sip.invite.host import ALLOW, InviteHost
from ringback.sip.invite.reoffer import Reoffer
from ringback.sip.invite.values import HeaderLines, InviteId
from ringback.sip.message import SipResponse
from ringback.sip.transaction.client import ClientFailure, ClientTransaction
from ringback.sip.transaction.layer import TransactionTableFull
from ringback.sip.transaction.server import ServerTransaction

Finished = Callable[[Instant, int, "SipResponse | None"], None]
"""Called once with the final status of a request; 408 without a response for time-outs, 503 for transport errors."""


class UsageOwner(Protocol):
    """The call whose dialog it is."""

    def bye_received(self, now: Instant, transaction: ServerTransaction) -> None:
        """Take the peer's BYE; the call answers it."""

    def bye_done(self, now: Instant) -> None:
        """Learn that our BYE was answered or gave up."""

    def dialog_lost(self, now: Instant, detail: EndDetail) -> None:
        """Learn that the peer is gone."""


class DialogRequest:
    """One non-INVITE request of ours inside a dialog, repeated with credentials when challenged."""

    __slots__ = ("_body", "_credentials", "_dialog", "_digest", "_finished", "_headers", "_host", "_is_done", "_method")

    def __init__(
        self,
        host: InviteHost,
        dialog: Dialog,
        digest: DigestClient,
        credentials: tuple[Credentials, ...],
        method: str,
        headers: HeaderLines,
        body: bytes,
        finished: Finished,
    ) -> None:
        self._host = host
        self._dialog = dialog
        self._digest = digest
        self._credentials = credentials
        self._method = method
        self._headers = headers
        self._body = body
        self._finished = finished
        self._is_done = False

    def send(self, now: Instant) -> None:
        """Send the request for the first time, with credentials if a realm is known."""
        self._send(now, self._digest.headers_for(self._method, self._request_uri(), self._body))

    def response_received(self, now: Instant, transaction: ClientTransaction, response: SipResponse) -> None:
        """Take a response: challenges are answered, other finals reported."""
        if response.status < 200 or self._is_done:
            return
        if response.status in (401, 407):
            authorization = self._digest.authorize_all(
                challenges_of(response), self._method, self._request_uri(), self._body, self._credentials
            )
            if authorization:
                self._send(now, authorization)
                return
        else:
            self._digest.accepted(response)
        self._finish(now, response.status, response)

    def transaction_failed(self, now: Instant, transaction: ClientTransaction, failure: ClientFailure) -> None:
        """Report 408 or 503."""
        self._finish(now, 408 if failure is ClientFailure.TIMEOUT else 503, None)

    def transaction_ended(self, now: Instant, transaction: ClientTransaction) -> None:
        """Need nothing: the outcome has been reported."""

    def _request_uri(self) -> str:
        return self._dialog.request(self._method, 0, "").uri_text

    def _send(self, now: Instant, authorization: HeaderLines) -> None:
        host, dialog = self._host, self._dialog
        path = host.path_of(dialog)
        headers = (("user-agent", host.settings.user_agent), *self._headers, *authorization)
        request = dialog.request(self._method, dialog.next_cseq(), path.via(host.new_token()), headers, self._body)
        try:
            host.transactions.start_client(now, request, path.destination, self, fallback=path.fallback)
        except TransactionTableFull:
            self._finish(now, 503, None)

    def _finish(self, now: Instant, status: int, response: SipResponse | None) -> None:
        if not self._is_done:
            self._is_done = True
            self._finished(now, status, response)


class DialogUsage:
    """One dialog of a call, with its re-INVITEs, BYE, INFO and OPTIONS.

    State: `close` stops everything that is its own; transactions run out by themselves.
    """

    __slots__ = ("_credentials", "_digest", "_host", "_invite_id", "_is_closed", "_owner", "dialog", "reoffer")

    def __init__(
        self,
        host: InviteHost,
        owner: UsageOwner,
        invite_id: InviteId,
        dialog: Dialog,
        digest: DigestClient,
        credentials: tuple[Credentials, ...] = (),
    ) -> None:
        self._host = host
        self._owner = owner
        self._invite_id = invite_id
        self._digest = digest
        self._credentials = credentials
        self._is_closed = False
        self.dialog = dialog
        self.reoffer = Reoffer(host, invite_id, dialog, digest, credentials, owner.dialog_lost)

    def send_bye(self, now: Instant, headers: HeaderLines) -> None:
        """Send BYE; `bye_done` follows."""
        self.reoffer.close(now)
        self._request("BYE", headers, b"", lambda at, status, response: self._owner.bye_done(at)).send(now)

    def send_info(self, now: Instant, content_type: str, body: bytes) -> None:
        """Send INFO; `InfoAnswered` follows."""
        self._request("INFO", (("content-type", content_type),), body, self._info_done).send(now)

    def receive(self, now: Instant, transaction: ServerTransaction, *, may_reoffer: bool) -> None:
        """Answer a request inside the dialog.

        Args:
            may_reoffer: Whether the first offer and answer are through; a re-INVITE before that gets 491.
        """
        host, request = self._host, transaction.request
        if not self.dialog.accepts_cseq(request):
            host.respond(now, transaction, 500, "CSeq Out of Order")
            return
        self.dialog.flow = transaction.flow
        if request.method == "BYE":
            self._owner.bye_received(now, transaction)
        elif request.method == "INVITE":
            if may_reoffer:
                self.reoffer.receive(now, transaction)
            else:
                host.respond(now, transaction, 491)
        elif request.method == "INFO":
            receive_info(host, now, transaction, self._invite_id)
        elif request.method == "OPTIONS":
            host.respond(now, transaction, 200, headers=(("allow", ALLOW), ("accept", SDP_TYPE)))
        else:
            host.respond(now, transaction, 405, headers=(("allow", ALLOW),))

    def close(self, now: Instant) -> None:
        """Stop the renegotiation; later reports of requests of ours are dropped."""
        self._is_closed = True
        self.reoffer.close(now)

    def _request(self, method: str, headers: HeaderLines, body: bytes, finished: Finished) -> DialogRequest:
        return DialogRequest(self._host, self.dialog, self._digest, self._credentials, method, headers, body, finished)

    def _info_done(self, now: Instant, status: int, response: SipResponse | None) -> None:
        if self._is_closed:
            return
        self._host.emit(InfoAnswered(self._invite_id, status))
        if status in (408, 481):
            self._owner.dialog_lost(now, EndDetail.DIALOG_GONE)


def receive_info(host: InviteHost, now: Instant, transaction: ServerTransaction, invite_id: InviteId) -> None:
    """Answer an INFO and report it, if its body is of a known type."""
    request = transaction.request
    if not request.body:
        host.respond(now, transaction, 200)
        return
    full_type = request.content_type.full_type if request.content_type is not None else ""
    if full_type not in host.settings.info_types:
        host.respond(now, transaction, 415, headers=(("accept", ", ".join(host.settings.info_types)),))
        return
    host.respond(now, transaction, 200)
    host.emit(InfoReceived(invite_id, full_type, request.body))
