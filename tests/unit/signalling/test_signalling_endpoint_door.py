"""Calls from endpoints: who is asked for a password, who is let in as whom, and whom it does not concern."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from tests.support.fake_sip import invite_request, received
from tests.support.legs_on_fakes import LegsOnFakes
from tests.support.registering import DOMAIN, USERNAME, RegisteringPhone
from tests.support.registrar_world import ENDPOINT_ID, RegistrarWorld

from ringback.numbers.trunks import Trunk
from ringback.signalling.settings import SignallingSettings
from ringback.sip.endpoint import CancelReceived, InviteId
from ringback.storage.database import Database

FAR = "198.51.100.7"
NOBODY = f"<sip:nobody999999999999@{DOMAIN}>;tag=1"


@pytest.fixture
async def world(database: Database) -> AsyncIterator[RegistrarWorld]:
    trunk = Trunk("carrier", allowed_addresses=("203.0.113.0/24",))
    found = RegistrarWorld(database, LegsOnFakes(SignallingSettings(domain="phones.example"), (trunk,)))
    await found.fill()
    yield found
    await found.over()


async def test_a_registered_phone_is_asked_and_then_calls_as_itself(world: RegistrarWorld) -> None:
    phone = RegisteringPhone(host=FAR)
    assert (await world.registered(phone))[0] == 200
    assert await world.call(phone, phone.invite(), "in-1") == "challenge"
    request = phone.invite(("X-PH-Order", "7"), sender="<sip:15550009999@spoofed>", challenges=world.challenges())
    assert await world.call(phone, request, "in-2") == "leg"
    leg = world.on_fakes.incoming[-1]
    assert (leg.caller, leg.callee) == (f"sip:{USERNAME}@phones.example", "15550001000")
    assert (leg.endpoint_id, leg.trunk_name, leg.is_anonymous) == (ENDPOINT_ID, "", False)
    assert leg.custom_headers == (("X-PH-Order", "7"),)


async def test_credentials_open_the_door_without_registration(world: RegistrarWorld) -> None:
    phone = RegisteringPhone()
    assert await world.call(phone, phone.invite(sender=f"<sip:{USERNAME}@phones.example>"), "in-1") == "challenge"
    assert await world.call(phone, phone.invite(challenges=world.challenges()), "in-2") == "leg"
    assert world.on_fakes.incoming[-1].endpoint_id == ENDPOINT_ID


@pytest.mark.parametrize(
    ("host", "sender", "outcome"),
    [
        (FAR, f"<sip:{USERNAME}@phones.example>;tag=1", "drop"),
        ("127.0.0.1", "<sip:15557654321@127.0.0.1>;tag=1", "leg"),
        ("127.0.0.1", f"<sip:{USERNAME}@elsewhere.example>;tag=1", "leg"),
        ("127.0.0.1", "<sip:nobody999999999999@127.0.0.1>;tag=1", "leg"),
        ("127.0.0.1", "<sip:123456789012@127.0.0.1>;tag=1", "leg"),
        ("203.0.113.5", f"<sip:{USERNAME}@phones.example>;tag=1", "leg"),
    ],
)
async def test_others_call_or_stay_unanswered_as_ever(
    world: RegistrarWorld, host: str, sender: str, outcome: str
) -> None:
    phone = RegisteringPhone(host=host)
    assert await world.call(phone, invite_request(sender=sender), "in-1") == outcome
    assert all(leg.endpoint_id == "" for leg in world.on_fakes.incoming)


async def test_a_wrong_password_is_asked_again_and_at_last_unanswered(world: RegistrarWorld) -> None:
    for index in range(5):
        phone = RegisteringPhone(password="wrong", host=FAR)
        phone.call_id = f"call-{index}"
        first = RegisteringPhone()
        assert await world.call(first, first.invite(), f"first-{index}") == "challenge"
        request = phone.invite(challenges=world.challenges())
        assert await world.call(phone, request, f"in-{index}") == "challenge"
    phone = RegisteringPhone(host=FAR)
    request = phone.invite(challenges=world.challenges())
    assert await world.call(phone, request, "in-6") == "drop"
    assert world.on_fakes.incoming == []


async def test_a_digest_for_another_uri_is_400(world: RegistrarWorld) -> None:
    phone = RegisteringPhone()
    await world.call(phone, phone.invite(), "in-1")
    request = phone.invite(to="100", challenges=world.challenges())
    request.uri_text, request._uri = "sip:200@127.0.0.1", None
    assert await world.call(phone, request, "in-2") == "reject"
    assert world.on_fakes.sip.last.status == 400


async def test_a_caller_who_gives_up_meanwhile_gets_no_leg(world: RegistrarWorld, database: Database) -> None:
    phone = RegisteringPhone()
    legs = world.on_fakes.legs
    legs.handle_sip_event(received(phone.invite(), invite_id="in-1"))
    assert len(world.door) == 1
    legs.handle_sip_event(CancelReceived(InviteId("in-1"), None))
    assert len(world.door) == 0
    await database.settle()
    assert world.on_fakes.sip.calls == []
    assert world.on_fakes.incoming == []


async def test_a_full_node_refuses_endpoints_too(world: RegistrarWorld) -> None:
    phone = RegisteringPhone()
    await world.call(phone, phone.invite(), "in-1")
    world.on_fakes.legs.drain()
    assert await world.call(phone, phone.invite(challenges=world.challenges()), "in-2") == "reject"
    assert world.on_fakes.sip.last.status == 503


async def test_a_database_that_cannot_be_asked_is_503(world: RegistrarWorld, database: Database) -> None:
    phone = RegisteringPhone()
    await database.close()
    assert await world.call(phone, phone.invite(), "in-1") == "reject"
    assert world.on_fakes.sip.last.status == 503
    assert len(world.door) == 0


@pytest.mark.parametrize("has_credentials", [True, False])
async def test_a_caller_whom_nobody_can_let_in_is_503(
    world: RegistrarWorld, caplog: pytest.LogCaptureFixture, *, has_credentials: bool
) -> None:
    phone = RegisteringPhone()
    await world.call(phone, phone.invite(), "in-1")
    request = phone.invite(challenges=world.challenges()) if has_credentials else invite_request(sender=NOBODY)

    def broken(*_: object, **__: object) -> None:
        raise ValueError("a defect")

    world.door._let_in = broken
    assert await world.call(phone, request, "in-2") == "reject"
    assert world.on_fakes.sip.last.status == 503
    assert "caller not let in" in caplog.text
