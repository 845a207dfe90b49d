"""What the caller gets while a stream's agent is away: rules for the whole node, and per stream in its extra headers.

Spec: docs/protocol/stream.md#while-the-agent-is-away. Plivo publishes nothing about it.
"""

from __future__ import annotations

from dataclasses import dataclass

from ringback.errors import InvalidParameter
from ringback.media.control.options import is_yes, stream_options

SILENCE = "silence"
TONE = "tone"
SILENT_MAX_MS = 6_000
"""How long dialling again may take: a caller in conversation hangs up sooner than one who waits for an answer."""
FALLBACK_RESERVE_MS = 2_000
"""The part of it that is left for fetching the fallback document when the caller hears nothing meanwhile."""
RECONNECTS_MAX = 10


@dataclass(frozen=True, slots=True)
class AwayRules:
    """What is done about an agent that is away."""

    hold: str = SILENCE
    """`silence`, `tone`, or the URL of a wav or mp3."""
    hold_after_ms: int = 1_000
    reconnects: int = 2
    reconnect_max_ms: int = SILENT_MAX_MS
    fallback_url: str = ""
    fallback_method: str = "POST"
    truth: bool = False
    """Whether agents are told what was heard and what was dropped without asking for it."""

    @property
    def has_hold(self) -> bool:
        """Return whether the caller hears something."""
        return self.hold != SILENCE

    @property
    def hold_url(self) -> str:
        """Return the URL of the hold sound, or nothing."""
        return "" if self.hold in (SILENCE, TONE) else self.hold

    @property
    def redial_max_ms(self) -> int:
        """Return how long dialling again may take so that the caller is not left in silence for more than 6 s."""
        if self.fallback_url and not self.has_hold:
            return min(self.reconnect_max_ms, SILENT_MAX_MS - FALLBACK_RESERVE_MS)
        return self.reconnect_max_ms


def check_hold(value: str) -> str:
    """Return a hold setting.

    Raises:
        InvalidParameter: it is neither `silence`, `tone` nor an http(s) URL.
    """
    if value in (SILENCE, TONE) or _is_http(value):
        return value
    raise InvalidParameter(f"hold is {value[:80]!r}, expected silence, tone, or the URL of a wav or mp3", field="hold")


def check_fallback(value: str) -> str:
    """Return the URL of a fallback document; empty is none.

    Raises:
        InvalidParameter: it is no http(s) URL.
    """
    if not value or _is_http(value):
        return value
    raise InvalidParameter(f"fallback is {value[:80]!r}, expected an http or https URL", field="fallback")


def rules_of(
    defaults: AwayRules, extra_headers: str, *, holds_document: bool = True
) -> tuple[AwayRules, tuple[str, ...]]:
    """Return the rules of one stream and what of its extra headers could not be used, for people.

    Args:
        holds_document: Whether the call's document waits for the stream. One that does not may be in the middle of
            something else, which only a fallback of the stream's own may end.
    """
    options = stream_options(extra_headers)
    hold, fallback, reconnects = defaults.hold, defaults.fallback_url if holds_document else "", defaults.reconnects
    notes = []
    try:
        hold = check_hold(options.get("hold", hold))
    except InvalidParameter as error:
        notes.append(f"ringback.{error.message}")
    try:
        fallback = check_fallback(options.get("fallback", fallback))
    except InvalidParameter as error:
        notes.append(f"ringback.{error.message}")
    wanted = options.get("reconnects", "")
    if wanted.isascii() and wanted.isdigit() and len(wanted) < 3 and int(wanted) <= RECONNECTS_MAX:
        reconnects = int(wanted)
    elif wanted:
        notes.append(f"ringback.reconnects is {wanted[:20]!r}, expected 0 to {RECONNECTS_MAX}")
    rules = AwayRules(
        hold=hold,
        hold_after_ms=defaults.hold_after_ms,
        reconnects=reconnects,
        reconnect_max_ms=defaults.reconnect_max_ms,
        fallback_url=fallback,
        fallback_method=defaults.fallback_method,
        truth=defaults.truth or is_yes(options.get("truth", "")),
    )
    return rules, tuple(notes)


def _is_http(value: str) -> bool:
    scheme, _, rest = value.partition("://")
    return scheme.lower() in ("http", "https") and bool(rest)
