"""What a transaction needs from the layer that holds it."""

from __future__ import annotations

from typing import Protocol

from ringback.sip.flow import Transmit
from ringback.sip.settings import SipSettings
from ringback.sip.timers import TimerHeap
from ringback.sip.transaction.keys import ClientKey, ServerKey


class TransactionHost(Protocol):
    """The layer, as its transactions see it."""

    settings: SipSettings
    timers: TimerHeap

    def transmit(self, transmit: Transmit) -> None:
        """Queue a message for the shell."""

    def forget_client(self, key: ClientKey) -> None:
        """Take a client transaction out of the table."""

    def forget_server(self, key: ServerKey) -> None:
        """Take a server transaction out of the table."""
