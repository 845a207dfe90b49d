"""How a participant left, for the document of its call. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from ringback.calls.hangup import Code, HangupSource


@dataclass(frozen=True, slots=True)
class Departure:
    """How a participant left: what its exit URL gets, and how its call ends where no document follows."""

    params: Mapping[str, str]
    code: Code
    source: HangupSource
