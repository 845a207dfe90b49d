"""Where an outbound leg is dialled: the phones of an endpoint, or what its URIs lead to."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from ringback.errors import RingbackError
from ringback.signalling.events import LegEnd, LegEndKind
from ringback.signalling.leg_parts import OutboundPart
from ringback.signalling.sip_port import SipPort
from ringback.sip.endpoint import Fork
from ringback.sip.flow import Target
from ringback.sip.policy import is_local

_MAXIMUM_TARGETS: Final = 16

TargetJudge = Callable[[str, int], str]
"""Returns why a customer's SIP URI may not lead to this address and port, or an empty text."""
PhoneFinder = Callable[[str], Awaitable[tuple[Fork, ...]]]
"""Returns the phones that are registered under a user name, the preferred first."""


def any_target(_host: str, _port: int) -> str:
    """Allow every target."""
    return ""


async def no_phones(_username: str) -> tuple[Fork, ...]:
    """Return nothing: this node has no registrar."""
    return ()


@dataclass(frozen=True, slots=True)
class FoundTargets:
    """Where the INVITE goes: to `targets` one after the other, or to `forks` all at once."""

    targets: tuple[Target, ...] = ()
    forks: tuple[Fork, ...] = ()

    def host(self, local_networks: tuple[str, ...]) -> str:
        """Return the address whose way back our SDP is made for: of several phones that of one outside, if any is."""
        hosts = [fork.targets[0].host for fork in self.forks] or [self.targets[0].host]
        return next((host for host in hosts if not is_local(host, local_networks)), hosts[0])


async def find_targets(
    part: OutboundPart, sip: SipPort, judge: TargetJudge, find_phones: PhoneFinder
) -> FoundTargets | LegEnd:
    """Return where to dial, or why the leg ends before it began."""
    if part.endpoint:
        forks = await find_phones(part.endpoint)
        if forks:
            return FoundTargets(forks=forks)
        return LegEnd(LegEndKind.NOT_REGISTERED, 480, detail=f"no phone is registered as {part.endpoint}")
    found: dict[Target, None] = {}
    problems: list[str] = []
    for uri in part.target_uris:
        try:
            found.update(dict.fromkeys(await sip.resolve(uri)))
        except RingbackError as error:
            problems.append(str(error))
    if part.is_customers_uri:
        refusals = {target: judge(target.host, target.port) for target in found}
        if found and all(refusals.values()):
            detail = "; ".join(dict.fromkeys(refusals.values()))
            return LegEnd(LegEndKind.REFUSED, 403, "Forbidden", "", detail)
        found = {target: None for target, refusal in refusals.items() if not refusal}
    if not found:
        return LegEnd(LegEndKind.TRANSPORT, 503, "", "", "; ".join(problems) or "found no address to dial")
    return FoundTargets(tuple(found)[:_MAXIMUM_TARGETS])
