"""Calls to and from endpoints: which destinations ring phones, and which application takes what an endpoint dials."""

from __future__ import annotations

import asyncio

import pytest
from tests.support.fake_leg import FakeLeg
from tests.unit.calls.test_calls_service import ACCOUNT, World, world

from ringback.accounts.application import Application
from ringback.accounts.store import ensure_application
from ringback.calls.hangup import HangupSource, hangup_of_leg
from ringback.calls.routes import OutboundRoutes, RouteSettings
from ringback.calls.views import MakeCall
from ringback.endpoints.endpoint import Endpoint
from ringback.endpoints.store import create_endpoint
from ringback.ids import AppId, CallUuid
from ringback.signalling.domains import own_domains
from ringback.signalling.events import DialRequest, LegEnd, LegEndKind
from ringback.storage.database import Session

__all__ = ["world"]

APP = AppId("76543210987654321")
NAMED, NUMBERED = "alice123456789012", "100123456789012"


async def fill(world: World, app_id: AppId | None = APP) -> None:
    def work(session: Session) -> None:
        ensure_application(session, Application(APP, ACCOUNT.auth_id, "phones", answer_url="http://phones/"))
        for index, username in enumerate((NAMED, NUMBERED)):
            create_endpoint(session, Endpoint(f"{index + 1:014}", ACCOUNT.auth_id, username, "A", app_id), "password")

    await world.database.write(work)


async def routed(world: World, to: str) -> DialRequest:
    domains = own_domains(("phone.plivo.com",), ("127.0.0.1",), 5080)
    routes = OutboundRoutes(world.database, (), RouteSettings("127.0.0.1:5080", domains=domains))
    return await routes.route(MakeCall("1", to, "http://app/"), CallUuid("u"))


@pytest.mark.parametrize(
    ("to", "endpoint"),
    [
        (f"sip:{NAMED}@127.0.0.1:5080", NAMED),
        (f"sip:{NAMED}@phone.plivo.com", NAMED),
        (f"sip:{NUMBERED}@127.0.0.1:5080", NUMBERED),
        ("sip:nobody@127.0.0.1:5080", "nobody"),
        ("sip:15550001000@127.0.0.1:5080", ""),
        (f"sip:{NAMED}@127.0.0.1:5090", ""),
        (f"sip:{NAMED}@elsewhere.example", ""),
    ],
)
async def test_an_address_at_our_domain_rings_the_endpoint_unless_it_is_a_number(
    world: World, to: str, endpoint: str
) -> None:
    await fill(world)
    dial = await routed(world, to)
    assert dial.endpoint == endpoint
    assert dial.is_customers_uri is (endpoint == "")
    assert dial.request_uri == to


async def incoming(world: World, endpoint_id: str) -> FakeLeg:
    leg = FakeLeg("call-1", caller=f"sip:{NAMED}@127.0.0.1", callee="15559876543")
    leg.endpoint_id = endpoint_id
    world.calls.incoming(leg)  # type: ignore[arg-type]  # the fake has its methods
    await asyncio.gather(*world.calls._arrivals)
    return leg


async def test_what_an_endpoint_dials_goes_to_its_application(world: World) -> None:
    await fill(world)
    leg = await incoming(world, f"{1:014}")
    (call,) = world.flows
    assert (call.terms.answer_url, call.terms.from_number) == ("http://phones/", f"sip:{NAMED}@127.0.0.1")
    assert call.terms.to_number == "15559876543"
    leg.ended()
    await call.wait_over()


@pytest.mark.parametrize("endpoint_id", [f"{1:014}", "9" * 14])
async def test_without_an_application_it_may_not_call_even_a_number_of_ours(world: World, endpoint_id: str) -> None:
    await fill(world, None)
    leg = await incoming(world, endpoint_id)
    assert ("reject", 403) in [asked[:2] for asked in leg.asked]
    assert world.flows == []
    assert "no application" in str(world.timeline.facts[-1])


def test_nobody_registered_is_2020() -> None:
    end = LegEnd(LegEndKind.NOT_REGISTERED, 480, detail="no phone is registered as alice")
    found = hangup_of_leg(end, inbound=False, answered=False)
    assert (found.code, found.name, found.cause) == (2020, "Endpoint Not Registered", "SERVICE_UNAVAILABLE")
    assert found.source is HangupSource.PLATFORM
