"""The bounded table of an endpoint's transactions; all look-ups are by key."""

from __future__ import annotations

from collections.abc import Callable, Hashable

from ringback.errors import LimitReached
from ringback.machine import Instant
from ringback.sip.flow import Flow, Target, Transmit
from ringback.sip.message import SipRequest, SipResponse
from ringback.sip.settings import SipSettings
from ringback.sip.timers import TimerHeap
from ringback.sip.transaction.client import ClientTransaction, ClientUser
from ringback.sip.transaction.keys import ClientKey, MergeKey, ServerKey, client_key, merge_key, server_key
from ringback.sip.transaction.server import ServerTransaction, ServerUser


class TransactionTableFull(LimitReached):
    """A transaction more would exceed the bound of its side's table."""

    default_code = "transaction-table-full"


class TransactionLayer:
    """All transactions of one endpoint."""

    def __init__(self, settings: SipSettings, timers: TimerHeap, transmit: Callable[[Transmit], None]) -> None:
        self.settings = settings
        self.timers = timers
        self.transmit = transmit
        self._clients: dict[ClientKey, ClientTransaction] = {}
        self._servers: dict[ServerKey, ServerTransaction] = {}
        self._merged: dict[MergeKey, ServerKey] = {}

    @property
    def client_count(self) -> int:
        """Return the number of client transactions."""
        return len(self._clients)

    @property
    def server_count(self) -> int:
        """Return the number of server transactions."""
        return len(self._servers)

    @property
    def merge_count(self) -> int:
        """Return the number of requests watched for copies over other paths."""
        return len(self._merged)

    def start_client(
        self,
        now: Instant,
        request: SipRequest,
        destination: Flow | Target,
        user: ClientUser,
        timeout_ms: int | None = None,
        fallback: Target | None = None,
    ) -> ClientTransaction:
        """Send `request` and return its transaction.

        Args:
            timeout_ms: Timer B or F, when not 64 × T1.
            fallback: Where to connect when `destination` is a connection that has gone.

        Raises:
            TransactionTableFull: the client table is at its bound.
        """
        if len(self._clients) >= self.settings.max_client_transactions:
            raise TransactionTableFull(f"{len(self._clients)} client transactions, no more are allowed")
        transaction = ClientTransaction(self, request, destination, user, timeout_ms, fallback)
        self._clients[transaction.key] = transaction
        transaction.start(now)
        return transaction

    def receive_response(self, now: Instant, response: SipResponse, flow: Flow) -> bool:
        """Hand `response` to its transaction; return False when there is none."""
        transaction = self._clients.get(client_key(response))
        if transaction is None:
            return False
        transaction.receive(now, response, flow)
        return True

    def receive_request(self, now: Instant, request: SipRequest, flow: Flow) -> bool:
        """Hand a repeat or an ACK to its transaction; return False when there is none."""
        transaction = self._servers.get(server_key(request))
        if transaction is None:
            return False
        transaction.receive(now, request, flow)
        return True

    def start_server(
        self, now: Instant, request: SipRequest, flow: Flow, user: ServerUser, fallback: Target | None = None
    ) -> ServerTransaction:
        """Return the transaction of a new request.

        Raises:
            TransactionTableFull: the server table is at its bound.
        """
        if len(self._servers) >= self.settings.max_server_transactions:
            raise TransactionTableFull(f"{len(self._servers)} server transactions, no more are allowed")
        key = server_key(request)
        transaction = ServerTransaction(self, request, key, flow, user, fallback)
        self._servers[key] = transaction
        if request.to.tag is None:
            self._merged.setdefault(merge_key(request), key)
        transaction.start(now)
        return transaction

    def is_merged(self, request: SipRequest) -> bool:
        """Return whether a copy of this out-of-dialog request has come over another path (RFC 3261 §8.2.2.2)."""
        if request.to.tag is not None:
            return False
        first = self._merged.get(merge_key(request))
        return first is not None and first != server_key(request)

    def cancelled_by(self, cancel: SipRequest) -> ServerTransaction | None:
        """Return the INVITE transaction that a CANCEL names, or None."""
        return self._servers.get(server_key(cancel, "INVITE"))

    def fail_transport(self, now: Instant, sender: Hashable) -> None:
        """Tell the transaction `sender` that its last transmission failed; an unknown one is left alone."""
        if isinstance(sender, ClientKey):
            client = self._clients.get(sender)
            if client is not None:
                client.fail_transport(now)
        elif isinstance(sender, ServerKey):
            server = self._servers.get(sender)
            if server is not None:
                server.fail_transport(now)

    def forget_client(self, key: ClientKey) -> None:
        """Take a client transaction out of the table."""
        self._clients.pop(key, None)

    def forget_server(self, key: ServerKey) -> None:
        """Take a server transaction out of the table."""
        transaction = self._servers.pop(key, None)
        if transaction is not None and transaction.request.to.tag is None:
            merged = merge_key(transaction.request)
            if self._merged.get(merged) == key:
                del self._merged[merged]
