"""How a destination is reached: an endpoint by its phones, another SIP URI directly, an own number through our own
door, any other number by a trunk.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from ringback import ids
from ringback.calls.hangup import Code
from ringback.calls.views import MakeCall
from ringback.endpoints.store import is_username
from ringback.errors import InvalidParameter, NotAllowed
from ringback.ids import AccountId, AppId, CallUuid
from ringback.numbers.digits import normalised
from ringback.numbers.routing import application_for
from ringback.numbers.trunks import Trunk, route_outbound
from ringback.signalling.domains import OwnDomains
from ringback.signalling.events import DialRequest
from ringback.signalling.identity import check_address
from ringback.storage.database import Database

_PREFIX_BARRED = 2050


@dataclass(frozen=True, slots=True)
class RouteSettings:
    """Where calls may go.

    `own_address`: host and port under which this node is called for its own numbers. `domains`: those of its endpoints.
    """

    own_address: str
    allowed_prefixes: tuple[str, ...] = ()
    catch_all: tuple[AccountId, AppId] | None = None
    domains: OwnDomains = field(default_factory=OwnDomains)


class OutboundRoutes:
    """Finds the way of every outbound leg, whoever asks for it."""

    def __init__(self, database: Database, trunks: Iterable[Trunk], settings: RouteSettings) -> None:
        self._database = database
        self._trunks = tuple(trunks)
        self._settings = settings

    async def route(self, request: MakeCall, call_uuid: CallUuid) -> DialRequest:
        """Return how to reach `request.to`.

        Raises:
            InvalidParameter: it cannot be reached; the field `cause_code` is the hang-up code of a leg that was to go
                there.
            NotAllowed: the settings forbid it; `cause_code` too.
        """
        if ":" in request.from_number:
            check_address("from", request.from_number, ("sip", "sips", "tel"))
        common = DialRequest(
            call_uuid=call_uuid,
            request_uri=request.to,
            from_uri=request.from_number,
            from_display=request.caller_name,
            custom_headers=request.sip_headers,
            ring_timeout_ms=request.ring_timeout_s * 1000,
        )
        if request.to.lower().startswith("sips:"):
            raise InvalidParameter(
                "to parameter is invalid: sips: needs TLS, which this version does not speak",
                hint="call a sip: URI",
                field="to",
            )
        if request.to.lower().startswith("sip:"):
            check_address("to", request.to, ("sip",))
            user = self._settings.domains.user_of(request.to)
            if user and await self._is_endpoint(user):
                return replace(common, endpoint=user)
            return replace(common, is_customers_uri=True)
        if self._settings.allowed_prefixes and not request.to.startswith(self._settings.allowed_prefixes):
            # The cloud's own words (specification 4.2).
            raise NotAllowed(
                "Calls to this destination number are barred",
                hint="limits.allowed_prefixes lists what may be called",
                field="to",
                cause_code=_PREFIX_BARRED,
            )
        route = route_outbound(self._trunks, request.to, ids.chance)
        if route is not None:
            return replace(
                common,
                request_uri=route.request_uri,
                from_uri=route.trunk.caller_id or request.from_number,
                targets=route.gateways,
                credentials=route.trunk.credentials,
                headers=route.trunk.headers,
                trunk_name=route.trunk.name,
                codecs=route.trunk.codecs,
                nat=route.trunk.nat,
                ring_timeout_ms=min(common.ring_timeout_ms, route.trunk.ringing_timeout_ms or common.ring_timeout_ms),
            )
        catch_all = self._settings.catch_all
        owned = await self._database.read(lambda session: application_for(session, request.to, catch_all))
        if owned is not None:
            return replace(common, request_uri=f"sip:{request.to}@{self._settings.own_address}")
        raise InvalidParameter(
            f"to parameter is invalid: no trunk takes {request.to}",
            hint="add a [[trunk]] to ringback.toml, or call a sip: URI",
            field="to",
            cause_code=Code.ROUTING_ERROR,
        )

    async def _is_endpoint(self, user: str) -> bool:
        """Return whether a user name at our domain is for a phone; a number there may be one of ours instead."""
        return normalised(user) is None or await self._database.read(lambda session: is_username(session, user))
