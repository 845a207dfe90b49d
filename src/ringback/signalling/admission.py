"""Whether a new leg may start: who may call, and how many legs may live. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from ipaddress import ip_address
from types import MappingProxyType

from ringback.numbers.trunks import Trunk, match_inbound
from ringback.signalling.settings import SignallingSettings, StrangerPolicy


class Verdict(Enum):
    """The answer to a new leg."""

    ADMIT = "admit"
    DROP = "drop"
    """A stranger; no answer."""
    FORBID = "forbid"
    """A stranger; 403."""
    DRAINING = "draining"
    """503: the node shuts down."""
    FULL = "full"
    """503: `maximum_legs` live."""
    TRUNK_FULL = "trunk-full"
    """503: the trunk's `max_calls` live."""
    OVERLOADED = "overloaded"
    """503: the media workers have as much to do as they can do in time."""


@dataclass(frozen=True, slots=True)
class Admission:
    """The verdict, and the trunk the caller was found on."""

    verdict: Verdict
    trunk: Trunk | None = None


@dataclass(frozen=True, slots=True)
class Load:
    """What lives now."""

    legs: int
    legs_of_trunk: Mapping[str, int]
    is_draining: bool = False
    is_overloaded: bool = False


def admit_inbound(
    settings: SignallingSettings,
    trunks: tuple[Trunk, ...],
    source_host: str,
    load: Load,
    learned: Mapping[str, frozenset[str]] = MappingProxyType({}),
    *,
    is_own: bool = False,
) -> Admission:
    """Return whether an INVITE from `source_host` becomes a leg; `is_own` says that we sent it ourselves."""
    trunk = match_inbound(trunks, source_host, learned)
    if trunk is None and not is_own and not (settings.trust_loopback and is_loopback(source_host)):
        return Admission(Verdict.DROP if settings.strangers is StrangerPolicy.DROP else Verdict.FORBID)
    return Admission(_room_for(settings, trunk, load), trunk)


def admit_outbound(settings: SignallingSettings, trunk: Trunk | None, load: Load) -> Verdict:
    """Return whether one more leg may be dialled by `trunk`, or without one."""
    return _room_for(settings, trunk, load)


def is_loopback(host: str) -> bool:
    """Return whether a numeric address is one of this host's own (127.0.0.0/8, ::1, also IPv4-mapped)."""
    try:
        address = ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    return bool(mapped.is_loopback if mapped is not None else address.is_loopback)


def _room_for(settings: SignallingSettings, trunk: Trunk | None, load: Load) -> Verdict:
    if load.is_draining:
        return Verdict.DRAINING
    if load.legs >= settings.maximum_legs:
        return Verdict.FULL
    if trunk is not None and trunk.max_calls and load.legs_of_trunk.get(trunk.name, 0) >= trunk.max_calls:
        return Verdict.TRUNK_FULL
    if load.is_overloaded:
        return Verdict.OVERLOADED
    return Verdict.ADMIT
