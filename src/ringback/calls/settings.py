"""Bounds and addresses of the calls room."""

from __future__ import annotations

from dataclasses import dataclass, field

from ringback.billing.rating import RateTable
from ringback.ids import AccountId, AppId
from ringback.signalling.domains import OwnDomains


@dataclass(frozen=True, slots=True)
class CallSettings:
    """Bounds and addresses of the node.

    `own_address`: host and port under which this node is called for its own numbers. `domains`: those of its endpoints.
    """

    own_address: str = "127.0.0.1:5060"
    domains: OwnDomains = field(default_factory=OwnDomains)
    maximum_calls: int = 1_000
    max_call_s: int = 14_400
    allowed_prefixes: tuple[str, ...] = ()
    catch_all: tuple[AccountId, AppId] | None = None
    hops_max: int = 5
    """A call that this many calls of the node lead to, one dialling the next, may dial nobody (2060)."""
    outbound_per_second: int = 0
    """Outbound calls that an account may start in a second; 0 is no bound."""
    queue_max: int = 10_000
    """Calls that may wait for their turn, of all accounts."""
    queue_patience_s: int = 14_400
    """How long a call may wait for its turn, restarts included, before it is given up."""
    rates: RateTable = field(default_factory=RateTable)
    has_plus: bool = False
    """Whether callbacks write numbers with `+`."""
