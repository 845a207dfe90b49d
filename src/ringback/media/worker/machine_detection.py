"""The detection of machines on one leg: by the rules, or by the detector that the settings name."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import cast

from ringback.media.control.commands import DetectMachine
from ringback.media.control.values import Answerer
from ringback.media.detect.answering_machine import AnswererDetector, MachineRules, RuleDetector, Verdict

DetectorFactory = Callable[[MachineRules], AnswererDetector]

LISTENS_MAX_MS = 60_000
"""How long a beep is waited for that revises a verdict."""
_FRAME_MS = 20


class UnusableDetector(Exception):
    """The settings name a detector that cannot be had; the text says why."""


def load_factory(name: str) -> DetectorFactory:
    """Return the factory named `package.module:factory`, that of the rules when `name` is empty.

    Raises:
        UnusableDetector: there is no such module, it cannot be imported, or there is nothing to call in it.
    """
    if not name:
        return RuleDetector
    module, separator, attribute = name.partition(":")
    try:
        factory = getattr(import_module(module), attribute) if separator else None
    except Exception as error:
        # Somebody else's module may fail in any way; the call goes on without it.
        raise UnusableDetector(f"media.machine_detector {name}: {error!r}") from error
    if not callable(factory):
        raise UnusableDetector(f"media.machine_detector {name}: expected package.module:factory")
    return cast(DetectorFactory, factory)


class MachineEar:
    """One detection.

    State: `take` every frame until `is_over`.
    """

    __slots__ = ("_detector", "_heard_ms", "is_over")

    def __init__(self, command: DetectMachine, factory: DetectorFactory) -> None:
        """Make the detector.

        Raises:
            UnusableDetector: the factory failed.
        """
        self.is_over = False
        self._heard_ms = 0
        rules = MachineRules(
            total_ms=command.total_ms,
            initial_silence_ms=command.initial_silence_ms,
            speech_ms=command.speech_ms,
            words=command.words,
            greeting_ms=command.greeting_ms,
            silence_ms=command.silence_ms,
        )
        try:
            self._detector = factory(rules)
        except Exception as error:
            raise UnusableDetector(f"media.machine_detector: {error!r}") from error

    def take(self, pcm: bytes) -> Verdict | None:
        """Take 20 ms of native 16-bit audio; returns a verdict when there is one."""
        self._heard_ms += _FRAME_MS
        self.is_over = self._heard_ms >= LISTENS_MAX_MS
        try:
            verdict = self._detector.take(pcm)
            if verdict is not None and not isinstance(verdict, Verdict):
                raise TypeError(f"expected a Verdict or None, found {type(verdict).__name__}")
            return verdict
        except Exception as error:
            # Somebody else's model must cost its verdict, not the call.
            self.is_over = True
            return Verdict(Answerer.UNKNOWN, f"the detector failed: {error!r}"[:200], self._heard_ms)
