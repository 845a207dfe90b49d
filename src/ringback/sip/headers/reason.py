"""Reason: why a BYE or CANCEL was sent (RFC 3326)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ringback.sip.errors import UnsafeHeader
from ringback.sip.syntax import format_params, is_digits, is_token, parse_params, quote, split_list, unquote


@dataclass(frozen=True, slots=True)
class Reason:
    """One reason value: `Q.850` or `SIP`, its cause number and a text for people."""

    protocol: str
    cause: int | None = None
    text: str = ""

    def __str__(self) -> str:
        """Return the header value.

        Raises:
            UnsafeHeader: the protocol is no token.
        """
        if not is_token(self.protocol):
            raise UnsafeHeader(f"found reason protocol {self.protocol!r}, allowed are token characters")
        params: dict[str, str | None] = {}
        if self.cause is not None:
            params["cause"] = str(self.cause)
        if self.text:
            params["text"] = quote(self.text)
        return f"{self.protocol}{format_params(params)}"


def parse_reasons(values: Iterable[str]) -> tuple[Reason, ...]:
    """Return the reasons; one whose protocol is no token is left out.

    Raises:
        MalformedSip: a quoted text never ends.
    """
    reasons: list[Reason] = []
    for value in values:
        for element in split_list(value):
            protocol, _, params_text = element.partition(";")
            protocol = protocol.strip()
            if not is_token(protocol):
                continue
            params = parse_params(params_text)
            cause = params.get("cause") or ""
            known = int(cause) if is_digits(cause) and len(cause) <= 5 else None
            reasons.append(Reason(protocol, known, unquote(params.get("text") or "")))
    return tuple(reasons)
