"""Programs of transaction-layer events: the corpus's readable and raw forms, and what must hold after each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from ringback.sip.flow import Flow
from ringback.sip.message import response_to
from ringback.sip.timers import Timer
from ringback.sip.transaction.client import ClientTransaction
from ringback.sip.transaction.keys import server_key
from ringback.sip.transaction.server import ServerTransaction
from ringback.sip.transaction.tables import State, Trigger
from tests.support.sip_transactions import TCP, UDP, Bench, request

METHODS = ("INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS")
TIMERS = ("A", "B", "D", "E", "F", "G", "H", "I", "J", "K", "L", "M", "100")
STATUSES = (100, 180, 200, 302, 404, 486, 500, 603)
OPERATIONS = (
    "send_request",
    "receive_request",
    "receive_response",
    "send_response",
    "fire_timer",
    "transport_error",
    "abandon",
)
SLOTS = 4


@dataclass(frozen=True)
class Slot:
    """One conversation; slots 2 and 3 are of RFC 2543 peers."""

    number: int

    def request(self, method: str) -> Any:
        branch = f"z9hG4bKslot{self.number}" if self.number < 2 else f"slot{self.number}"
        return request(method, branch=branch, call_id=f"slot-{self.number}", from_tag=f"f{self.number}")


class SequenceRunner:
    """Runs a program against a transaction layer and checks the invariants after every event."""

    def __init__(self) -> None:
        self.bench = Bench()
        self.transactions: list[ClientTransaction | ServerTransaction] = []
        self.used_slots: set[tuple[int, str]] = set()

    def run(self, program: Iterable[dict[str, Any]]) -> None:
        """Run all events."""
        for event in program:
            getattr(self, f"_{event['op']}")(event)
            self._check()

    def run_out(self) -> None:
        """Let all timers run and check that only transactions waiting for the application or the peer are left."""
        bench = self.bench
        bench.run_until(int(bench.now / 1e6) + 200_000)
        assert len(bench.heap) == 0
        for transaction in self.transactions:
            if transaction.state is State.TERMINATED:
                continue
            waits_for_application = isinstance(transaction, ServerTransaction) and not transaction.is_answered
            rings = isinstance(transaction, ClientTransaction) and transaction.state is State.PROCEEDING
            assert waits_for_application or (rings and transaction.is_invite), transaction.state
            transaction.abandon(bench.now)
        bench.assert_empty()

    def _flow(self, event: dict[str, Any]) -> Flow:
        return TCP if event.get("reliable") else UDP

    def _send_request(self, event: dict[str, Any]) -> None:
        bench, method = self.bench, event["method"]
        if method == "ACK":
            return  # belongs to the INVITE's transaction, or to the usage
        sent = Slot(event["slot"]).request(method)
        if (sent.via.branch, method) in self._live_client_keys():
            return  # branches of ours are unique
        self.used_slots.add((event["slot"], method))
        self.transactions.append(bench.layer.start_client(bench.now, sent, self._flow(event), bench.usage))

    def _receive_request(self, event: dict[str, Any]) -> None:
        bench = self.bench
        received = Slot(event["slot"]).request(event["method"])
        flow = self._flow(event)
        if bench.layer.receive_request(bench.now, received, flow) or event["method"] == "ACK":
            return
        self.used_slots.add((event["slot"], event["method"]))
        self.transactions.append(bench.layer.start_server(bench.now, received, flow, bench.usage))

    def _receive_response(self, event: dict[str, Any]) -> None:
        bench = self.bench
        sent = Slot(event["slot"]).request(event["cseq_method"])
        response = response_to(sent, event["status"], to_tag=event.get("to_tag") or None)
        expected = (sent.via.branch, event["cseq_method"]) in self._live_client_keys()
        assert bench.layer.receive_response(bench.now, response, UDP) is expected

    def _send_response(self, event: dict[str, Any]) -> None:
        key = server_key(Slot(event["slot"]).request(event["method"]))
        for transaction in self.transactions:
            if isinstance(transaction, ServerTransaction) and transaction.key == key:
                if transaction.state is not State.TERMINATED:
                    self.bench.answer(transaction, event["status"])
                return

    def _fire_timer(self, event: dict[str, Any]) -> None:
        transaction = self._named(event)
        if transaction is None:
            return
        name = "TRYING" if event["timer"] == "100" else event["timer"]
        if Trigger[f"TIMER_{name}"] not in transaction.machine.triggers:
            return
        gone, sent = transaction.state is State.TERMINATED, len(self.bench.sent)
        transaction.handle_timer(self.bench.now, Timer[name])
        if gone:
            assert len(self.bench.sent) == sent
            assert transaction.state is State.TERMINATED

    def _transport_error(self, event: dict[str, Any]) -> None:
        transaction = self._named(event)
        if transaction is not None:
            self.bench.layer.fail_transport(self.bench.now, transaction.key)

    def _abandon(self, event: dict[str, Any]) -> None:
        transaction = self._named(event)
        if transaction is not None:
            transaction.abandon(self.bench.now)

    def _named(self, event: dict[str, Any]) -> ClientTransaction | ServerTransaction | None:
        index = event["transaction"]
        return self.transactions[index] if index < len(self.transactions) else None

    def _live_client_keys(self) -> set[tuple[str, str]]:
        return {
            tuple(transaction.key)
            for transaction in self.transactions
            if isinstance(transaction, ClientTransaction) and transaction.state is not State.TERMINATED
        }

    def _check(self) -> None:
        layer = self.bench.layer
        live = [transaction for transaction in self.transactions if transaction.state is not State.TERMINATED]
        assert layer.client_count + layer.server_count == len(live)
        assert len(live) <= 2 * SLOTS * len(METHODS)
        for transaction in self.transactions:
            named = {state for state, _ in transaction.machine.table} | {State.TERMINATED}
            assert transaction.state in named


def decode(raw: bytes) -> list[dict[str, Any]]:
    """Return the program that 4-byte records spell; a shorter tail is left out."""
    program = []
    for start in range(0, len(raw) - 3, 4):
        kind, which, what, last = raw[start : start + 4]
        operation = OPERATIONS[kind % 7]
        event: dict[str, Any] = {"op": operation, "slot": which % SLOTS, "transaction": which}
        event["method"] = event["cseq_method"] = METHODS[what % 6]
        event["timer"] = TIMERS[what % 13]
        event["status"] = STATUSES[last % 8]
        event["to_tag"] = ("ta", "tb", "")[(last >> 4) % 3]
        event["reliable"] = bool(last & 1)
        program.append(event)
    return program
