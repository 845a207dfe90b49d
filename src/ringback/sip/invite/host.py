"""What the INVITE usage needs from the endpoint that holds it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from ringback.machine import Instant
from ringback.sip.dialog import Dialog, DialogId
from ringback.sip.flow import Flow, Target, Transmit, Transport
from ringback.sip.invite.events import InviteEvent
from ringback.sip.invite.values import InviteId
from ringback.sip.message import SipRequest, SipResponse
from ringback.sip.settings import SipSettings
from ringback.sip.timers import TimerHeap
from ringback.sip.transaction.layer import TransactionLayer
from ringback.sip.transaction.server import ServerTransaction

ALLOW = "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO"
"""The methods that work."""
SUPPORTED = ""
"""The option tags that work; each enters with the scenario that proves it."""


@dataclass(frozen=True, slots=True)
class Path:
    """A way for a request: where it goes, and how we name ourselves on it (`host:port`)."""

    destination: Flow | Target
    sent_by: str
    fallback: Target | None = None

    def via(self, token: str) -> str:
        """Return our Via value with a branch made of `token`; `rport` always (RFC 3581)."""
        return f"SIP/2.0/{self.destination.transport.value} {self.sent_by};branch=z9hG4bK{token};rport"

    def contact(self, user: str) -> str:
        """Return our Contact value, without a display name: some peers build a wrong ACK from one."""
        at = f"{user}@" if user else ""
        transport = self.destination.transport
        suffix = "" if transport is Transport.UDP else f";transport={transport.value.lower()}"
        return f"<sip:{at}{self.sent_by}{suffix}>"


class DialogOwner(Protocol):
    """A call, as the endpoint sees it when a request inside one of its dialogs arrives."""

    def receive_in_dialog(self, now: Instant, transaction: ServerTransaction) -> None:
        """Answer a request inside a dialog."""

    def receive_ack(self, now: Instant, ack: SipRequest) -> None:
        """Take the ACK of a 2xx."""

    def connections(self) -> tuple[int, ...]:
        """Return the connections that its dialogs speak over."""


class InviteHost(Protocol):
    """The endpoint, as its calls see it."""

    @property
    def settings(self) -> SipSettings:
        """Return bounds and times."""

    @property
    def timers(self) -> TimerHeap:
        """Return the heap of all deadlines."""

    @property
    def transactions(self) -> TransactionLayer:
        """Return the table of transactions."""

    def emit(self, event: InviteEvent) -> None:
        """Queue an event for the owner."""

    def transmit(self, transmit: Transmit) -> None:
        """Queue a message for the shell."""

    def new_token(self) -> str:
        """Return fresh randomness for tags and branches."""

    def chance(self) -> float:
        """Return a random number in [0, 1)."""

    def path_to(self, target: Target) -> Path | None:
        """Return the way to a target, or None when no listener of ours speaks its transport and address family."""

    def path_of(self, dialog: Dialog) -> Path:
        """Return the way of requests inside a dialog."""

    def respond(
        self,
        now: Instant,
        transaction: ServerTransaction,
        status: int,
        reason: str = "",
        headers: tuple[tuple[str, str], ...] = (),
        body: bytes = b"",
        to_tag: str = "",
    ) -> SipResponse:
        """Send a response with our Server header and return it."""

    def add_dialog(self, dialog_id: DialogId, owner: DialogOwner) -> None:
        """Route requests inside a dialog to `owner`."""

    def remove_dialog(self, dialog_id: DialogId) -> None:
        """Stop routing requests inside a dialog."""

    def forget_invite(self, invite_id: InviteId) -> None:
        """Give the id up."""
