"""What a call asks of its media session, beside playbacks."""

from __future__ import annotations

from ringback import ids
from ringback.calls.views import MachineDetection
from ringback.ids import CommandId, ListenId
from ringback.media.control import commands
from ringback.media.control.values import BeepRule
from ringback.signalling.errors import LegOver
from ringback.signalling.sip_leg import SipLeg


class CallMedia:
    """The media session of one call's leg.

    Raises (from every method but those that say otherwise): `RingbackError` when the call is over, or the media worker
    refused.
    """

    def __init__(self, leg: SipLeg) -> None:
        self._leg = leg

    async def send_if_alive(self, command: commands.SessionCommand) -> None:
        """Send a command; does nothing when the call is over."""
        try:
            await self._leg.media(command)
        except LegOver:
            # The session frees its playbacks and streams when it closes.
            pass

    async def listen(
        self, *, silence_ms: int, beep: BeepRule | None, capture_path: str, capture_max_ms: int, progress_ms: int
    ) -> ListenId:
        """Follow what the far party does; it comes as `ListenEvent`."""
        listen_id = ListenId(ids.new_token())
        await self._leg.media(
            commands.Listen(
                command_id=_command_id(),
                session_id=self._leg.session_id,
                listen_id=listen_id,
                silence_ms=silence_ms,
                beep=beep,
                capture_path=capture_path,
                capture_max_ms=capture_max_ms,
                progress_ms=progress_ms,
            )
        )
        return listen_id

    async def stop_listening(self, listen_id: ListenId) -> None:
        """End what `listen` began; does nothing when the call is over."""
        await self.send_if_alive(
            commands.StopListening(command_id=_command_id(), session_id=self._leg.session_id, listen_id=listen_id)
        )

    async def detect_machine(self, rules: MachineDetection) -> None:
        """Begin to judge who answered; it comes as `MachineJudged`."""
        await self._leg.media(
            commands.DetectMachine(
                command_id=_command_id(),
                session_id=self._leg.session_id,
                total_ms=rules.total_ms,
                initial_silence_ms=rules.initial_silence_ms,
                speech_ms=rules.speech_ms,
                words=rules.words,
                greeting_ms=rules.greeting_ms,
                silence_ms=rules.silence_ms,
            )
        )

    async def send_digits(self, digits: str) -> None:
        """Send telephone events: `0-9*#A-D`, `w` and `W` pauses, `@N` at the end sets the tone length."""
        tones, _, tone_ms = digits.partition("@")
        await self._leg.media(
            commands.SendDigits(
                command_id=_command_id(),
                session_id=self._leg.session_id,
                digits=tones,
                tone_ms=int(tone_ms) if tone_ms else 100,
            )
        )


def _command_id() -> CommandId:
    return CommandId(ids.new_token())
