"""What the far party really heard of an agent's audio, told to agents that ask for it.

Spec: docs/protocol/stream.md#what-the-caller-heard. Plivo has none of this: its messages keep their shape for everyone
who does not ask.
"""

from __future__ import annotations

import msgspec

from ringback.media.control.options import is_yes, stream_options

_OPT_IN = "truth"
"""The pair `ringback.truth=1` among a stream's extra headers asks for the figures."""


class AudioReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What became of all that an agent sent since its stream began: played + dropped + queued is what it sent.

    The field names in camel case are those of the wire.
    """

    played_ms: int = 0
    """Audio that left for the far party."""
    utterance_ms: int = 0
    """The part of it that belongs to the utterance that was begun last."""
    dropped_ms: int = 0
    """Audio that will never be heard: cleared, refused by a full queue, cut out to catch up, or due while on hold."""
    queued_ms: int = 0
    played_checkpoints: int = 0
    dropped_checkpoints: int = 0
    queued_checkpoints: int = 0


class Absence(msgspec.Struct, frozen=True, kw_only=True):
    """What happened between the loss of a connection and the `start` of the next one."""

    ms: int
    """Time in which the far party was not heard."""
    digits: str = ""
    """Keys that it pressed, at most 64."""


def wants_truth(extra_headers: str) -> bool:
    """Return whether a stream's extra headers ask for the figures."""
    return is_yes(stream_options(extra_headers).get(_OPT_IN, ""))
