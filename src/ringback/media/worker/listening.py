"""The listenings of one leg: `Listener`s that hear it while somebody asked, and the files of what was said."""

from __future__ import annotations

import os
from collections.abc import Callable

from ringback.ids import ListenId
from ringback.media.codecs.l16 import to_native, to_stream
from ringback.media.control.commands import DetectMachine, Listen, StopListening
from ringback.media.control.events import AnySessionEvent, MachineJudged, SpeechCaptured
from ringback.media.control.settings import WorkerSettings
from ringback.media.control.values import RejectCode
from ringback.media.detect.listener import Listener
from ringback.media.session import MediaSession
from ringback.media.worker.machine_detection import MachineEar, UnusableDetector, load_factory
from ringback.media.worker.recording_disk import DiskFault, RecordingDisk, RecordingFile
from ringback.media.worker.refusal import Refusal

_PIECE_BYTES = 16 * 200
"""Captured audio is handed to the disk in pieces of 200 ms."""


class _Listening:
    """One listening and its file."""

    __slots__ = ("command", "file", "listener")

    def __init__(self, command: Listen, listener: Listener) -> None:
        self.command = command
        self.listener = listener
        self.file: RecordingFile | None = None


class LegListening:
    """What is listened to of one leg.

    State: the leg's tap is set while anybody listens. Events go to `report` from within the session's receive and tick.
    """

    __slots__ = ("_disk", "_listenings", "_machine", "_report", "_session", "_settings")

    def __init__(
        self,
        session: MediaSession,
        disk: RecordingDisk,
        settings: WorkerSettings,
        report: Callable[[AnySessionEvent], None],
    ) -> None:
        self._session = session
        self._disk = disk
        self._settings = settings
        self._report = report
        self._listenings: dict[ListenId, _Listening] = {}
        self._machine: MachineEar | None = None

    def start(self, command: Listen) -> Refusal | None:
        """Begin to listen."""
        if command.listen_id in self._listenings:
            return Refusal(RejectCode.DUPLICATE, found=f"listen {command.listen_id}")
        if len(self._listenings) >= self._settings.listens_max:
            return Refusal(
                RejectCode.LIMIT, found=f"{len(self._listenings)} listenings", allowed=str(self._settings.listens_max)
            )
        if command.capture_path and not os.path.isabs(command.capture_path):
            return Refusal(RejectCode.INVALID, found="a relative path", allowed="an absolute one")
        self._listenings[command.listen_id] = _Listening(command, Listener(self._session.session_id, command))
        self._session.tap = self._take
        return None

    def detect_machine(self, command: DetectMachine) -> Refusal | None:
        """Begin to judge who answered; a second detection takes the place of the first."""
        try:
            self._machine = MachineEar(command, load_factory(self._settings.machine_detector))
        except UnusableDetector as error:
            return Refusal(RejectCode.INVALID, found=str(error)[:200], allowed="package.module:factory")
        self._session.tap = self._take
        return None

    def stop(self, command: StopListening) -> None:
        """End a listening; one that is over already needs no ending."""
        listening = self._listenings.get(command.listen_id)
        if listening is not None:
            self._end(listening)

    def close(self) -> None:
        """End everything: the session closes, and nobody asks any more what was said."""
        for listening in self._listenings.values():
            if listening.file is not None:
                listening.file.discard()
        self._listenings.clear()
        self._rest()

    def _take(self, pcm: bytes) -> None:
        frame = to_native(pcm)
        if self._machine is not None:
            self._detect(self._machine, frame)
        for listening in tuple(self._listenings.values()):
            listener = listening.listener
            listener.take(frame)
            if len(listener.captured) >= _PIECE_BYTES:
                self._write(listening)
            if listener.events:
                for event in listener.events:
                    self._report(event)
                listener.events.clear()
            if listener.is_over:
                self._end(listening)

    def _detect(self, machine: MachineEar, frame: bytes) -> None:
        verdict = machine.take(frame)
        if verdict is not None:
            self._report(
                MachineJudged(
                    session_id=self._session.session_id,
                    answerer=verdict.answerer,
                    reason=verdict.reason,
                    after_ms=verdict.after_ms,
                )
            )
        if machine.is_over:
            self._machine = None
            self._rest()

    def _rest(self) -> None:
        if not self._listenings and self._machine is None:
            self._session.tap = None

    def _write(self, listening: _Listening) -> None:
        listener = listening.listener
        if listening.file is None:
            listening.file = self._disk.open(listening.command.capture_path, 1, _ignore)
        listening.file.write(to_stream(bytes(listener.captured)))
        listener.captured.clear()

    def _end(self, listening: _Listening) -> None:
        command, listener = listening.command, listening.listener
        del self._listenings[command.listen_id]
        self._rest()
        if listener.captured:
            self._write(listening)
        if listening.file is not None:
            listening.file.finish()
            self._report(
                SpeechCaptured(
                    session_id=self._session.session_id,
                    listen_id=command.listen_id,
                    path=command.capture_path,
                    captured_ms=listener.captured_ms,
                )
            )


def _ignore(_fault: DiskFault) -> None:
    """Let the fault be: the disk has logged it, and whoever reads the file finds what there is."""
