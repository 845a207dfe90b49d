"""Sets of keys in attributes, as `<GetDigits>` and `<GetInput>` write them."""

from __future__ import annotations

import re

from ringback.callflow.elements.base import Reader

KEYS = "1234567890*#"
_SEND_DIGITS = re.compile(r"[0-9*#A-DwW]{1,100}(?:@[0-9]{1,5})?")


def finishing_keys(read: Reader) -> str:
    """Return the keys that end an input (`finishOnKey`): `#` unless said otherwise, none for an empty text or `none`.

    Raises:
        InvalidDocument: it names what is no key.
    """
    if "finishOnKey" not in read.node.attributes:
        return "#"
    text = read.text("finishOnKey")
    return "" if not text or text.lower() == "none" else key_set(read, "finishOnKey", "#")


def key_set(read: Reader, name: str, default: str) -> str:
    """Return a set of keys, in the order of the text; commas and spaces between them are allowed.

    Raises:
        InvalidDocument: it names what is no key.
    """
    text = read.text(name)
    found = "".join(dict.fromkeys(character for character in text if character not in ", "))
    if any(character not in KEYS for character in found):
        raise read.illegal(name, "keys of 0-9 * #")
    return found or default


def sendable_digits(read: Reader) -> str:
    """Return the keys that are sent to a party (`sendDigits`); what cannot be sent is left out with a note."""
    digits = read.text("sendDigits")
    if not digits or _SEND_DIGITS.fullmatch(digits):
        return digits
    read.note("sendDigits: expected 0-9 * # A-D w W, then optionally @ and milliseconds; nothing is sent")
    return ""
