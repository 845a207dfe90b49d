"""What the far party really heard of an agent's audio, told to agents that ask for it.

Spec: docs/protocol/stream.md#what-the-caller-heard. Plivo has none of this: its messages keep their shape for everyone
who does not ask.
"""

from __future__ import annotations

import msgspec

OPT_IN_KEY = "ringback.truth"
"""The pair `ringback.truth=1` among a stream's extra headers asks for the figures."""
_YES = frozenset({"1", "true"})


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


def wants_truth(extra_headers: str) -> bool:
    """Return whether a stream's extra headers ask for the figures: as pairs after `,` or `;`, or as a JSON object."""
    if OPT_IN_KEY not in extra_headers:
        return False
    if extra_headers.lstrip().startswith("{"):
        try:
            value = msgspec.json.decode(extra_headers, type=dict[str, object]).get(OPT_IN_KEY)
        except (msgspec.DecodeError, UnicodeEncodeError, RecursionError):
            return False
        return value is True or str(value).lower() in _YES
    pairs = (pair.partition("=") for pair in extra_headers.replace(";", ",").split(","))
    return any(key.strip() == OPT_IN_KEY and value.strip().lower() in _YES for key, _, value in pairs)
