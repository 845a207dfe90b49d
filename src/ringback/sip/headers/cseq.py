"""CSeq: the number and method that order requests in a dialog (RFC 3261 §20.16)."""

from __future__ import annotations

from dataclasses import dataclass

from ringback.sip.errors import MalformedSip
from ringback.sip.syntax import is_digits, is_token

CSEQ_LIMIT = 2**31
"""Sequence numbers stay below this (RFC 3261 §8.1.1.5)."""


@dataclass(frozen=True, slots=True)
class CSeq:
    """Sequence number and method; the method keeps its case, for methods are case-sensitive."""

    number: int
    method: str

    def __str__(self) -> str:
        """Return the header value."""
        return f"{self.number} {self.method}"


def parse_cseq(text: str) -> CSeq:
    """Return number and method.

    Raises:
        MalformedSip: not `digits method`, or a number of 2^31 and above.
    """
    parts = text.split()
    if len(parts) != 2 or not is_digits(parts[0]) or not is_token(parts[1]):
        raise MalformedSip("found a CSeq that is not `number method`", code="malformed-cseq")
    digits = parts[0]
    if len(digits) > 10:
        digits = digits.lstrip("0") or "0"
    if len(digits) > 10 or (number := int(digits)) >= CSEQ_LIMIT:
        raise MalformedSip("found a CSeq number of 2^31 or above", code="malformed-cseq")
    return CSeq(number, parts[1])
