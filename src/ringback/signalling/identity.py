"""Who calls, who is called and who forwarded, read from an INVITE (RFC 3323, RFC 3325, RFC 5806, RFC 7044)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from ringback.errors import InvalidParameter
from ringback.sip.address import NameAddr
from ringback.sip.errors import MalformedSip
from ringback.sip.message import SipRequest
from ringback.sip.uri import OpaqueUri, SipUri, TelUri, Uri, parse_uri

ANONYMOUS: Final = "anonymous"
_MAXIMUM_CHARACTERS: Final = 255
_SEPARATORS: Final = str.maketrans("", "", "-.() ")
_DIALLED: Final = frozenset("0123456789*#")


@dataclass(frozen=True, slots=True)
class Identity:
    """The parties of a call; numbers are digits without `+`, other users are `sip:` URIs without parameters."""

    caller: str
    callee: str
    caller_name: str = ""
    is_anonymous: bool = False
    diverted_from: str = ""


def identity_of(request: SipRequest, *, trusts_peer: bool) -> Identity:
    """Return the parties of an INVITE.

    P-Asserted-Identity is believed from a trusted peer only; `Privacy: id` hides it from the customer all the same.
    """
    sender = request.from_
    asserted = request.addresses("p-asserted-identity") if trusts_peer else ()
    source = next((address for address in asserted if isinstance(address.uri, SipUri | TelUri)), None)
    is_anonymous = _asks_privacy(request) or (source is None and _is_anonymous(sender.uri))
    if is_anonymous:
        caller, name = ANONYMOUS, ""
    else:
        chosen = source or sender
        caller, name = party(chosen.uri), chosen.display or sender.display
    return Identity(
        caller=caller,
        callee=party(request.uri),
        caller_name=clean_name(name),
        is_anonymous=is_anonymous,
        diverted_from=_diverter(request),
    )


def party(uri: Uri) -> str:
    """Return digits without `+` if the URI names a number, else `sip:user@host`."""
    if isinstance(uri, OpaqueUri):
        return str(uri)[:_MAXIMUM_CHARACTERS]
    # Carriers put tel parameters into the user part: `+15550001000;npdi@host`.
    user = uri.user_text.partition(";")[0]
    digits = user.translate(_SEPARATORS).removeprefix("+")
    if digits and _DIALLED.issuperset(digits):
        return digits[:_MAXIMUM_CHARACTERS]
    if isinstance(uri, TelUri):
        return digits[:_MAXIMUM_CHARACTERS]
    return (f"sip:{uri.user}@{uri.host_and_port}" if uri.user else f"sip:{uri.host_and_port}")[:_MAXIMUM_CHARACTERS]


def clean_name(name: str) -> str:
    """Return a display name without control characters, cut to a bounded length."""
    return "".join(character for character in name if character.isprintable()).strip()[:_MAXIMUM_CHARACTERS]


def _asks_privacy(request: SipRequest) -> bool:
    wishes = {word.strip().lower() for value in request.headers.lines("privacy") for word in value.split(";")}
    return bool(wishes & {"id", "user", "full"})


def _is_anonymous(uri: Uri) -> bool:
    if not isinstance(uri, SipUri):
        return False
    return uri.user_text.lower() == ANONYMOUS or uri.host.lower() == "anonymous.invalid"


def _diverter(request: SipRequest) -> str:
    diversions = request.addresses("diversion")
    if diversions:
        return party(diversions[0].uri)
    history = request.addresses("history-info")
    # The last entry is the present target; it was diverted if it says why (RFC 4458 `cause`).
    if len(history) >= 2 and _has_cause(history[-1]):
        return party(history[-2].uri)
    return ""


def _has_cause(entry: NameAddr) -> bool:
    return isinstance(entry.uri, SipUri | TelUri) and "cause" in entry.uri.params


def check_address(field: str, text: str, schemes: tuple[str, ...]) -> None:
    """Refuse a URI that cannot stand in an INVITE of ours.

    Raises:
        InvalidParameter: it cannot be read, has another scheme, or carries headers (RFC 3261 §19.1.1).
    """
    try:
        uri = parse_uri(text)
    except MalformedSip as error:
        raise InvalidParameter(f"{field} parameter is invalid: {error.message}", field=field) from None
    if not isinstance(uri, SipUri | TelUri) or uri.scheme not in schemes:
        raise InvalidParameter(
            f"{field} parameter is invalid: found {text[:80]}, expected a number or a sip: URI", field=field
        )
    if isinstance(uri, SipUri) and uri.headers:
        raise InvalidParameter(
            f"{field} parameter is invalid: found headers behind ? in the URI",
            hint="send headers by sip_headers",
            field=field,
        )
