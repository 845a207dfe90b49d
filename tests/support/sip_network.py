"""SIP endpoints on fake time, joined by a seeded network that loses, doubles, delays and reorders datagrams."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ringback.machine import MS, Instant
from ringback.sip.endpoint import (
    DatagramArrived,
    Endpoint,
    InviteEvent,
    MessageArrived,
    RegisterReceived,
    SendFailed,
)
from ringback.sip.flow import Flow, HostPort, Listener, Target, Transmit, Transport
from ringback.sip.parser import parse_message
from ringback.sip.settings import SipSettings
from ringback.sip.trace import SipTrace


@dataclass(frozen=True)
class Weather:
    """How bad the network is; TCP only ever delays."""

    loss: float = 0.0
    duplication: float = 0.0
    delay_ms: tuple[int, int] = (1, 1)


class Node:
    """One endpoint, its events, its traces and its address."""

    def __init__(
        self, network: Network, host: str, settings: SipSettings, is_traced: bool, is_registrar: bool = False
    ) -> None:
        self.network = network
        self.host = host
        seeded = random.Random(f"{host} {network.seed}")
        tokens = itertools.count(1)
        self.endpoint = Endpoint(
            settings,
            lambda: f"{host.replace('.', '')}x{next(tokens):x}",
            seeded.random,
            is_trusted=lambda _host: True,
            is_traced=is_traced,
            is_registrar=is_registrar,
        )
        self.endpoint.listeners = (
            Listener(Transport.UDP, host, 5060, host, 5060),
            Listener(Transport.TCP, host, 5060, host, 5060),
        )
        self.events: list[InviteEvent] = []
        self.traces: list[SipTrace] = []
        self.registers: list[RegisterReceived] = []
        self.on_register: Callable[[RegisterReceived], None] = lambda event: None
        self.sent: list[Transmit] = []
        self.on_event: Callable[[InviteEvent], None] = lambda event: None
        self.is_keeping = True

    @property
    def now(self) -> Instant:
        return self.network.now

    def pump(self) -> None:
        """Carry out every output."""
        while (output := self.endpoint.poll_output()) is not None:
            if isinstance(output, Transmit):
                if self.is_keeping:
                    self.sent.append(output)
                self.network.carry(self, output)
            elif isinstance(output, SipTrace):
                self.traces.append(output)
            elif isinstance(output, RegisterReceived):
                self.registers.append(output)
                self.on_register(output)
            else:
                if self.is_keeping:
                    self.events.append(output)
                self.on_event(output)

    def names(self) -> list[str]:
        """Return the names of the events so far."""
        return [type(event).__name__ for event in self.events]

    def last(self, kind: type[Any]) -> Any:
        """Return the last event of a kind."""
        return next(event for event in reversed(self.events) if isinstance(event, kind))


@dataclass
class Network:
    """Nodes by host, a clock, and what is under way."""

    seed: int = 0
    weather: Weather = field(default_factory=Weather)
    now: Instant = field(default_factory=lambda: Instant(0))
    dropped: Callable[[bytes], bool] = lambda payload: False

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.nodes: dict[str, Node] = {}
        self._queue: list[tuple[int, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self.carried = 0

    def node(
        self, host: str, settings: SipSettings | None = None, is_traced: bool = False, is_registrar: bool = False
    ) -> Node:
        """Return a new endpoint at `host`."""
        self.nodes[host] = Node(self, host, settings or SipSettings(), is_traced, is_registrar)
        return self.nodes[host]

    def add(self, host: str, node: Any) -> None:
        """Put anything at `host` that has `pump` and an `endpoint` with the loop contract."""
        self.nodes[host] = node

    def at(self, delay_ms: float, action: Callable[[], None]) -> None:
        """Do something later; every node is pumped afterwards."""
        heapq.heappush(self._queue, (self.now + int(delay_ms * MS), next(self._order), action))

    def carry(self, sender: Node, transmit: Transmit) -> None:
        """Take a message under way."""
        self.carried += 1
        to = transmit.to
        remote: HostPort = to.remote if isinstance(to, Flow) else (to.host, to.port)
        receiver = self.nodes.get(remote[0])
        if receiver is None:
            if to.transport is Transport.TCP and transmit.sender is not None:
                failed = SendFailed(transmit.sender)
                self.at(1, lambda: self._hand_over(sender, failed))
            return
        if self.dropped(transmit.payload):
            return
        if to.transport is Transport.TCP:
            flow = Flow(Transport.TCP, remote, (sender.host, 5060), 1)
            message = parse_message(transmit.payload)
            self.at(self.weather.delay_ms[1], lambda: self._hand_over(receiver, MessageArrived(flow, message)))
            return
        chance = self.chance
        if chance.random() < self.weather.loss:
            return
        copies = 2 if chance.random() < self.weather.duplication else 1
        arrival = DatagramArrived(Flow(Transport.UDP, remote, (sender.host, 5060)), transmit.payload)
        for _ in range(copies):
            self.at(chance.uniform(*self.weather.delay_ms), lambda: self._hand_over(receiver, arrival))

    def run(self, for_ms: float) -> None:
        """Let time pass."""
        self._run(Instant(self.now + int(for_ms * MS)))

    def run_out(self) -> None:
        """Let time pass until nothing is under way and no timer is armed."""
        self._run(None)

    def _run(self, until: Instant | None) -> None:
        self._pump()
        while True:
            deadlines = [node.endpoint.poll_timeout() for node in self.nodes.values()]
            times = [deadline for deadline in deadlines if deadline is not None]
            if self._queue:
                times.append(Instant(self._queue[0][0]))
            if not times or (until is not None and min(times) > until):
                break
            self.now = Instant(max(self.now, min(times)))
            if self._queue and self._queue[0][0] <= self.now:
                heapq.heappop(self._queue)[2]()
            else:
                for node in self.nodes.values():
                    node.endpoint.handle_timeout(self.now)
            self._pump()
        if until is not None:
            self.now = until

    def _pump(self) -> None:
        for node in self.nodes.values():
            node.pump()

    def _hand_over(self, node: Node, event: DatagramArrived | MessageArrived | SendFailed) -> None:
        node.endpoint.handle_input(self.now, event)


def target(host: str, transport: Transport = Transport.UDP) -> Target:
    """Return a node's address as a target."""
    return Target(transport, host, 5060)
