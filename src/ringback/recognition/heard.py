"""What recognition gives."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Recognition:
    """What was heard; `text` is empty for nothing, `detail` then says why if that is a fault."""

    text: str
    confidence: float = 0.0
    detail: str = ""
