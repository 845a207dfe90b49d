"""Who is recorded: a call, or the listener of a conference."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from ringback.ids import CallUuid, SessionId
from ringback.media.control.commands import SessionCommand
from ringback.media.control.events import RecordingFinished


class RecordedLeg(Protocol):
    """The media session that is recorded."""

    @property
    def session_id(self) -> SessionId:
        """Return the session's name."""

    async def media(self, command: SessionCommand) -> None:
        """Pass a command to the session's worker.

        Raises:
            LegOver: the session is gone.
        """


class RecordedTerms(Protocol):
    """Whose voices they are."""

    @property
    def from_number(self) -> str:
        """Return the caller."""

    @property
    def to_number(self) -> str:
        """Return the callee."""


class RecordedParty(Protocol):
    """What recordings need of whom they record; `calls.live.LiveCall` has it."""

    @property
    def call_uuid(self) -> CallUuid:
        """Return the call in whose name it is recorded."""

    @property
    def account_id(self) -> str:
        """Return the account that keeps the recording."""

    @property
    def is_over(self) -> bool:
        """Return whether it has ended or is ending."""

    @property
    def terms(self) -> RecordedTerms:
        """Return whose voices they are."""

    @property
    def leg(self) -> RecordedLeg:
        """Return the media session."""

    @property
    def on_bridged(self) -> list[Callable[[Any], None]]:
        """Return who is told when it is joined with another call."""

    def note(self, kind: str, **fields: object) -> None:
        """Record a fact in the event log of the call."""

    def webhook_params(self, **extra: str) -> dict[str, str]:
        """Return the parameters of a callback in the XML style."""

    def report_recording_end(self, event: RecordingFinished) -> None:
        """Tell whoever waits for the end of a recording."""
