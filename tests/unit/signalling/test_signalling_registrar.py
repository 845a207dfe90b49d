"""The registrar with its database: challenge, wrong passwords, binding, refresh, expiry, connections, restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from tests.support.legs_on_fakes import LegsOnFakes
from tests.support.registering import USERNAME, RegisteringPhone
from tests.support.registrar_world import ENDPOINT_ID, RegistrarWorld
from tests.support.waiting import until

from ringback.endpoints import store
from ringback.ids import AccountId
from ringback.signalling.registrar import RegistrarSettings
from ringback.sip.endpoint import AskedId, Fork, RegisterReceived
from ringback.sip.flow import Flow, Target, Transport
from ringback.sip.registrar import RegistrarRules
from ringback.storage.database import Database


@pytest.fixture
async def world(database: Database) -> AsyncIterator[RegistrarWorld]:
    found = RegistrarWorld(database, LegsOnFakes())
    await found.fill()
    yield found
    await found.over()


def events(world: RegistrarWorld) -> list[object]:
    return [row["event"] for row in world.on_fakes.facts.of("registration")]


async def test_a_phone_registers_refreshes_is_found_and_goes(world: RegistrarWorld) -> None:
    phone = RegisteringPhone()
    assert await world.registrar.find_phones(USERNAME) == ()
    status, _, headers = await world.registered(phone)
    assert (status, headers["contact"]) == (200, [f"<{phone.contact}>;expires=3600"])
    assert headers["date"] == ["Tue, 14 Nov 2023 22:13:20 GMT"]
    target = Target(Transport.UDP, "127.0.0.1", 5070)
    assert await world.registrar.find_phones(USERNAME) == (Fork(phone.contact, (target,)),)
    assert await world.registrar.registered_count() == 1
    world.now_wall_ms += 1_000_000
    status, _, headers = await world.registered(phone, contact="")
    assert headers["contact"] == [f"<{phone.contact}>;expires=2600"]
    assert (await world.registered(phone))[2]["contact"] == [f"<{phone.contact}>;expires=3600"]
    assert (await world.registered(phone, ("Expires", "0")))[0] == 200
    assert await world.registrar.find_phones(USERNAME) == ()
    assert events(world) == ["registered", "unregistered"]
    assert world.outcomes == {"challenged": 4, "granted": 4}


async def test_several_phones_ring_the_preferred_first(world: RegistrarWorld) -> None:
    one, two = RegisteringPhone(port=5071), RegisteringPhone(port=5072)
    await world.registered(one, contact=f"<{one.contact}>;q=0.5")
    status, _, headers = await world.registered(two)
    assert (status, len(headers["contact"])) == (200, 2)
    assert [fork.request_uri for fork in await world.registrar.find_phones(USERNAME)] == [two.contact, one.contact]
    await world.registered(one, ("Expires", "0"), contact="*")
    assert await world.registrar.find_phones(USERNAME) == ()


async def test_the_time_of_a_phone_is_over_without_anybody_doing_anything(world: RegistrarWorld) -> None:
    phone = RegisteringPhone()
    await world.registered(phone, ("Expires", "60"))
    assert world.registrar.is_source("127.0.0.1")
    world.now_wall_ms += 59_999
    assert await world.registrar.find_phones(USERNAME)
    world.now_wall_ms += 1
    assert await world.registrar.find_phones(USERNAME) == ()
    assert await world.registrar.registered_count() == 0
    assert not world.registrar.is_source("127.0.0.1")
    await world.registrar._sweep()
    assert events(world) == ["registered", "expired"]


async def test_too_short_is_423_with_min_expires(world: RegistrarWorld) -> None:
    status, _, headers = await world.registered(RegisteringPhone(), ("Expires", "30"))
    assert (status, headers) == (423, {"min-expires": ["60"]})
    assert await world.registrar.find_phones(USERNAME) == ()


async def test_a_path_is_kept_and_told_to_those_who_know_it(world: RegistrarWorld) -> None:
    phone, path = RegisteringPhone(), ("Path", "<sip:edge.example;lr>")
    assert "path" not in (await world.registered(phone, path))[2]
    assert (await world.registered(phone, path, ("Supported", "path")))[2]["path"] == ["<sip:edge.example;lr>"]
    (fork,) = await world.registrar.find_phones(USERNAME)
    assert fork.route == ("<sip:edge.example;lr>",)


async def test_wrong_password_and_unknown_user_get_the_same_answer(world: RegistrarWorld) -> None:
    answers = []
    for phone in (RegisteringPhone(password="wrong"), RegisteringPhone("nobody999999999999")):
        status, reason, headers = await world.registered(phone)
        (challenge,) = headers.pop("www-authenticate")
        nonce = challenge.split('nonce="')[1].split('"')[0]
        answers.append((status, reason, headers, challenge.replace(nonce, "")))
    assert answers[0] == answers[1]
    assert answers[0][0] == 401
    assert "stale" not in answers[0][3]
    assert world.outcomes == {"challenged": 2, "refused": 2}
    assert [row["detail"] for row in world.on_fakes.facts.of("registration", "refused")] == ["wrong password"]


@pytest.mark.parametrize("username", [USERNAME, "nobody999999999999"])
async def test_five_wrong_passwords_are_judged_and_the_sixth_is_not(world: RegistrarWorld, username: str) -> None:
    for _ in range(5):
        assert (await world.registered(RegisteringPhone(username, "wrong")))[0] == 401
    phone = RegisteringPhone(username)
    assert (await world.ask(phone.register(), phone.flow))[0] == 0
    assert world.outcomes["silenced"] == 1
    other = RegisteringPhone(host="192.0.2.9")
    assert (await world.registered(other))[0] == 200


async def test_wrong_passwords_that_come_at_once_are_no_more_than_those_that_come_one_by_one(
    world: RegistrarWorld,
) -> None:
    phone = RegisteringPhone(password="wrong")
    challenges = (await world.ask(phone.register(), phone.flow))[2]["www-authenticate"]
    for _ in range(20):
        request = phone.register(challenges=challenges)
        world.registrar.take(RegisterReceived(AskedId("asked"), request, phone.flow))
    await until(lambda: len(world.sip.replies) - 1 + world.sip.ignored == 20, "all to be judged")
    assert (len(world.sip.replies) - 1, world.sip.ignored) == (5, 15)


async def test_a_phone_with_less_time_takes_none_from_another_behind_its_address_or_connection(
    world: RegistrarWorld,
) -> None:
    long, short = RegisteringPhone(port=5071), RegisteringPhone(port=5072)
    long.flow = short.flow = Flow(Transport.TCP, ("127.0.0.1", 5060), ("127.0.0.1", 41_000), 9)
    assert (await world.registered(long, ("Expires", "3600")))[0] == 200
    assert (await world.registered(short, ("Expires", "60")))[0] == 200
    world.now_wall_ms += 61_000
    assert world.registrar.is_source("127.0.0.1")
    assert world.registrar.kept_connections() == {9}
    world.now_wall_ms += 3_540_000
    assert not world.registrar.is_source("127.0.0.1")
    assert world.registrar.kept_connections() == set()


async def test_a_source_that_tries_many_users_is_silenced_but_for_trunks_and_loopback(world: RegistrarWorld) -> None:
    for host, status in (("192.0.2.66", 0), ("192.0.2.67", 401)):
        world.known = {"192.0.2.67"}
        for index in range(50):
            assert (await world.registered(RegisteringPhone(f"user{index:012}", "x", host=host)))[0] == 401
        last = RegisteringPhone("another", host=host)
        assert (await world.ask(last.register(), last.flow))[0] == status


async def test_only_the_own_address_can_be_registered(world: RegistrarWorld) -> None:
    phone = RegisteringPhone()
    status, _, headers = await world.ask(phone.register(aor="bob"), phone.flow)
    request = phone.register(aor="bob", challenges=headers["www-authenticate"])
    assert (await world.ask(request, phone.flow))[:2] == (403, "Not Your Address")
    assert status == 401
    assert world.outcomes["forbidden"] == 1


async def test_a_digest_for_another_uri_is_400(world: RegistrarWorld) -> None:
    phone = RegisteringPhone()
    _, _, headers = await world.ask(phone.register(), phone.flow)
    made = phone.register(challenges=headers["www-authenticate"], uri="sip:elsewhere.example")
    made.uri_text, made._uri = "sip:127.0.0.1", None
    assert (await world.ask(made, phone.flow))[0] == 400


async def test_an_old_nonce_is_stale_and_costs_one_more_round(world: RegistrarWorld) -> None:
    phone = RegisteringPhone()
    _, _, headers = await world.ask(phone.register(), phone.flow)
    request = phone.register(challenges=headers["www-authenticate"])
    assert (await world.ask(request, phone.flow))[0] == 200
    status, _, headers = await world.ask(request, phone.flow)
    assert status == 401
    assert "stale=true" in headers["www-authenticate"][0]
    assert (await world.ask(phone.register(challenges=headers["www-authenticate"]), phone.flow))[0] == 200
    assert world.outcomes["refused"] == 0


async def test_phones_survive_a_restart_and_those_behind_a_closed_connection_do_not(
    world: RegistrarWorld, database: Database
) -> None:
    over_tcp = RegisteringPhone(port=5072)
    over_tcp.flow = Flow(Transport.TCP, ("127.0.0.1", 5060), ("127.0.0.1", 41_000), 9)
    await world.registered(RegisteringPhone())
    await world.registered(over_tcp)
    assert world.registrar.kept_connections() == {9}
    later = RegistrarWorld(database, LegsOnFakes())
    await later.registrar.start()
    assert later.registrar.is_source("127.0.0.1")
    assert len(await later.registrar.find_phones(USERNAME)) == 2
    await later.over()
    world.registrar.forget_connection(over_tcp.flow)
    world.registrar.forget_connection(Flow(Transport.TCP, ("127.0.0.1", 5060), ("127.0.0.1", 41_001), 10))
    assert world.registrar.kept_connections() == set()
    await until(lambda: "connection closed" in events(world), "the phone to be forgotten")
    assert len(await world.registrar.find_phones(USERNAME)) == 1


async def test_a_connection_that_closes_while_its_register_is_judged_leaves_no_phone(world: RegistrarWorld) -> None:
    phone = RegisteringPhone(port=5072)
    phone.flow = Flow(Transport.TCP, ("127.0.0.1", 5060), ("127.0.0.1", 41_000), 9)
    _, _, headers = await world.ask(phone.register(), phone.flow)
    request = phone.register(challenges=headers["www-authenticate"])
    asked = asyncio.create_task(world.ask(request, phone.flow))
    await asyncio.sleep(0)
    world.registrar.forget_connection(phone.flow)
    assert (await asked)[0] == 200
    await until(lambda: "connection closed" in events(world), "the phone to be forgotten")
    assert await world.registrar.find_phones(USERNAME) == ()
    assert world.registrar.kept_connections() == set()


async def test_a_deleted_endpoint_has_no_phones(world: RegistrarWorld, database: Database) -> None:
    phone = RegisteringPhone()
    await world.registered(phone)
    account = AccountId("MATESTTESTTESTTEST01")
    await database.write(lambda session: store.delete_endpoint(session, account, ENDPOINT_ID))
    assert await world.registrar.find_phones(USERNAME) == ()
    assert (await world.registered(phone))[0] == 401


async def test_phones_over_the_bound_displace_and_sources_over_it_are_forgotten(database: Database) -> None:
    settings = RegistrarSettings(RegistrarRules(contacts_max=2), sources_max=2)
    world = RegistrarWorld(database, LegsOnFakes(), settings)
    await world.fill()
    for index in range(3):
        world.now_wall_ms += 1
        assert (await world.registered(RegisteringPhone(host=f"192.0.2.{index}")))[0] == 200
    assert len(await world.registrar.find_phones(USERNAME)) == 2
    assert events(world) == ["registered", "registered", "registered", "displaced"]
    assert [world.registrar.is_source(f"192.0.2.{index}") for index in range(3)] == [False, True, True]
    await world.over()


async def test_a_database_that_cannot_write_is_503(world: RegistrarWorld, database: Database) -> None:
    phone = RegisteringPhone()
    _, _, headers = await world.ask(phone.register(), phone.flow)
    await database.close()
    status, _, headers = await world.ask(phone.register(challenges=headers["www-authenticate"]), phone.flow)
    assert (status, headers) == (503, {"retry-after": ["5"]})
