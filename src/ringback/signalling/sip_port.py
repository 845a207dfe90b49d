"""What legs need of SIP: the verbs of `sip.transport.driver.SipDriver`, so that tests can put a fake in its place."""

from __future__ import annotations

from typing import Protocol

from ringback.sip.dialog import Dialog
from ringback.sip.flow import Target
from ringback.sip.invite.values import HeaderLines, InviteId, OutboundInvite


class SipPort(Protocol):
    """Verbs on INVITE usages. Each but `invite` returns whether it took effect; an ended usage is no error.

    Events come back by `Legs.handle_sip_event`, also from inside a verb.
    """

    async def resolve(self, uri: str) -> tuple[Target, ...]:
        """Return where requests to `uri` go, in the order to try (RFC 3263).

        Raises:
            RingbackError: Nothing was found.
        """

    def invite(self, outbound: OutboundInvite) -> InviteId:
        """Place a call."""

    def progress(self, invite_id: InviteId, status: int, sdp: bytes | None = None, headers: HeaderLines = ()) -> bool:
        """Send a provisional response."""

    def answer(self, invite_id: InviteId, sdp: bytes, headers: HeaderLines = ()) -> bool:
        """Send the 200."""

    def reject(self, invite_id: InviteId, status: int, reason: str = "", headers: HeaderLines = ()) -> bool:
        """Send a final response of 300 to 699."""

    def challenge(self, invite_id: InviteId, challenges: tuple[str, ...]) -> bool:
        """Refuse an incoming INVITE with 407, so that it comes again with credentials."""

    def dialog_of(self, invite_id: InviteId) -> Dialog | None:
        """Return the dialog of a call that is answered, or `None`."""

    def leave(self, dialog: Dialog, reason_header: str = "") -> bool:
        """Send BYE in a dialog of an earlier process."""

    def drop(self, invite_id: InviteId) -> bool:
        """Forget an incoming INVITE without ever answering it."""

    def hangup(self, invite_id: InviteId, reason_header: str = "", headers: HeaderLines = ()) -> bool:
        """Send BYE, CANCEL or a final response, as the state needs."""

    def ack_with(self, invite_id: InviteId, sdp: bytes) -> bool:
        """Answer the offer of a 2xx in its ACK."""

    def accept_reoffer(self, invite_id: InviteId, sdp: bytes) -> bool:
        """Answer a re-INVITE with 200."""

    def refuse_reoffer(self, invite_id: InviteId, status: int, reason: str = "") -> bool:
        """Refuse a re-INVITE; the session goes on unchanged."""

    def send_info(self, invite_id: InviteId, content_type: str, body: bytes) -> bool:
        """Send an INFO inside the dialog."""
