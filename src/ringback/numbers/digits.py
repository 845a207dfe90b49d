"""Phone numbers as text. Pure."""

from __future__ import annotations

DIGITS_MIN = 3
DIGITS_MAX = 20
_PUNCTUATION = {ord(sign): None for sign in " .-/()\u00a0"}


def normalised(text: str) -> str | None:
    """Return a phone number as digits without `+`, or `None` when `text` is none.

    Spaces, dots, dashes, slashes and brackets between the digits are accepted.
    """
    digits = text.strip().removeprefix("+").translate(_PUNCTUATION)
    is_number = digits.isascii() and digits.isdigit() and DIGITS_MIN <= len(digits) <= DIGITS_MAX
    return digits if is_number else None
