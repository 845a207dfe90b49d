"""baresip and SIPp register as endpoints, are called by REST and `<User>`, and call through their application."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

import pytest
from tests.support.baresip import baresip
from tests.support.customer import response
from tests.support.echo_judge import until_echo
from tests.support.interop_stage import SCENARIOS, Stage
from tests.support.scenes import Scenes
from tests.support.sipp import SippRun, header, sipp
from tests.support.waiting import until

pytestmark = pytest.mark.interop("baresip", "sipp")
scene: Scenes[Stage] = Scenes()
PASSWORD = "a-long-password"


@dataclass(frozen=True, slots=True)
class Made:
    """An endpoint that the official SDK has made."""

    endpoint_id: str
    username: str
    uri: str


async def endpoint(stage: Stage, app_id: str | None = None) -> Made:
    """Return a fresh endpoint."""

    def make(sdk: Any) -> Made:
        created = sdk.endpoints.create("alice", PASSWORD, "Alice", app_id)
        found = sdk.endpoints.get(created.endpoint_id)
        return Made(created.endpoint_id, created.username, found.sip_uri)

    return await stage.customer.sdk(make)


async def shown(stage: Stage, made: Made) -> Any:
    """Return the endpoint as the official SDK shows it now."""
    return await stage.customer.sdk(lambda sdk: sdk.endpoints.get(made.endpoint_id))


async def until_shown(stage: Stage, made: Made, registered: str) -> Any:
    """Return the endpoint as soon as it is registered, or is not any more."""
    for _ in range(300):
        found = await shown(stage, made)
        if found.sip_registered == registered:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"sip_registered stays {found.sip_registered}")


async def is_called_by_rest(stage: Stage, transport: str) -> None:
    """Register, be shown, be called, hear and be heard, and go."""
    made = await endpoint(stage)
    async with baresip(11, registers_as=f"{made.uri};transport={transport}", password=PASSWORD) as phone:
        found = await until_shown(stage, made, "true")
        assert found.sip_contact.startswith("sip:")
        assert "baresip" in found.sip_user_agent
        assert len(found.sip_expires) == len("2026-01-01 00:00:00")
        call_uuid = await stage.dial(made.uri)
        await phone.until("CALL_ESTABLISHED")
        await until_echo(phone.song, phone.heard)
        await stage.hang_up(call_uuid)
        await phone.until("CALL_CLOSED")
    assert await stage.cause(call_uuid) == (4000, "NORMAL_CLEARING", "completed")
    await until_shown(stage, made, "false")


@scene
async def is_called_over_udp(stage: Stage) -> None:
    await is_called_by_rest(stage, "udp")


@scene
async def is_called_over_tcp(stage: Stage) -> None:
    await is_called_by_rest(stage, "tcp")


@scene
async def a_caller_is_joined_with_a_user(stage: Stage) -> None:
    made = await endpoint(stage)
    dial = f'<Dial action="{stage.customer.url("/after")}"><User>{made.uri}</User></Dial>'
    number = await stage.customer.number(stage.customer.serve("/user", response(dial)))
    async with baresip(12, registers_as=made.uri, password=PASSWORD) as callee, baresip(13) as caller:
        await until_shown(stage, made, "true")
        caller.do("dial", stage.platform.uri(number))
        await callee.until("CALL_ESTABLISHED")
        await until_echo(callee.song, caller.heard)
        await until_echo(caller.song, callee.heard)
        callee.do("hangup")
        (after,) = await stage.customer.until("/after")
        assert after.params["DialStatus"] == "completed"
        await caller.until("CALL_CLOSED")


@scene
async def calls_through_its_application(stage: Stage) -> None:
    made = await endpoint(stage, await application(stage, "/endpoint-calls"))
    stage.customer.serve("/endpoint-calls", stage.customer.documents["/echo"][0])
    async with baresip(14, registers_as=made.uri, password=PASSWORD) as phone:
        await until_shown(stage, made, "true")
        phone.do("dial", stage.platform.uri("15559876543"))
        await phone.until("CALL_ESTABLISHED")
        await until_echo(phone.song, phone.heard)
        phone.do("hangup")
        await phone.until("CALL_CLOSED")
        (asked,) = stage.customer.seen("/endpoint-calls")
        params = asked.params
        assert (params["From"], params["To"], params["Direction"]) == (made.uri, "15559876543", "inbound")
        assert await stage.cause(params["CallUUID"]) == (4000, "NORMAL_CLEARING", "completed")


async def application(stage: Stage, path: str) -> str:
    """Return the id of a fresh application whose answer URL is a path of the customer's."""
    urls = {"answer_url": stage.customer.url(path), "hangup_url": stage.customer.url("/hangup")}
    made = await stage.customer.sdk(lambda sdk: sdk.applications.create(path.strip("/"), **urls))
    return str(made["app_id"])


@scene
async def all_phones_ring_and_the_first_to_answer_has_the_call(stage: Stage) -> None:
    made = await endpoint(stage)
    account = {"registers_as": made.uri, "password": PASSWORD, "answers": "manual"}
    async with baresip(15, **account) as one, baresip(16, **account) as two:
        await until(lambda: "200 OK" in one.output() and "200 OK" in two.output(), "both to register")
        call_uuid = await stage.dial(made.uri)
        await one.until("CALL_INCOMING")
        await two.until("CALL_INCOMING")
        two.do("accept")
        await two.until("CALL_ESTABLISHED")
        await one.until("CALL_CLOSED")
        await until_echo(two.song, two.heard)
        two.do("hangup")
        await two.until("CALL_CLOSED")
    assert await stage.cause(call_uuid) == (4000, "NORMAL_CLEARING", "completed")


@scene
async def an_endpoint_without_a_phone_is_2020(stage: Stage) -> None:
    made = await endpoint(stage)
    call_uuid = await stage.dial(made.uri)
    assert await stage.cause(call_uuid) == (2020, "SERVICE_UNAVAILABLE", "failed")
    document = response(
        f'<Dial action="{stage.customer.url("/nobody")}" callbackUrl="{stage.customer.url("/told")}">'
        f"<User>{made.uri}</User><User>{made.uri.replace('alice', 'bob')}</User></Dial>"
    )
    number = await stage.customer.number(stage.customer.serve("/to-nobody", document))
    async with baresip(17) as caller:
        caller.do("dial", stage.platform.uri(number))
        (after,) = await stage.customer.until("/nobody")
        assert after.params["DialStatus"] == "failed"
        told = await stage.customer.until("/told", 2, DialAction="hangup")
        assert {each.params["DialBLegHangupCauseCode"] for each in told} == {"2020"}
        await caller.until("CALL_CLOSED")


@scene
async def an_endpoint_without_an_application_may_not_call(stage: Stage) -> None:
    made = await endpoint(stage)
    async with baresip(18, registers_as=made.uri, password=PASSWORD) as phone:
        await until_shown(stage, made, "true")
        phone.do("dial", stage.platform.uri("15559876543"))
        closed = await phone.until("CALL_CLOSED")
        assert "403" in closed["param"]


async def registers(
    stage: Stage,
    made: Made,
    *options: str,
    password: str = PASSWORD,
    expires: int = 60,
    status: int = 200,
    transport: str = "udp",
) -> SippRun:
    """Return a run of SIPp as a phone that registers once."""
    swap = {"USERNAME": made.username, "PASSWORD": password, 'response="200"': f'response="{status}"'}
    keys = {"user": made.username, "expires": expires}
    path = SCENARIOS / "uac_register.xml"
    async with sipp(path, *options, remote=stage.remote, transport=transport, keys=keys, swap=swap) as running:
        return await running.finish()


@scene
async def sipp_registers_over_udp_and_tcp(stage: Stage) -> None:
    for transport in ("udp", "tcp"):
        run = (await registers(stage, await endpoint(stage), transport=transport)).check()
        granted = run.responses(200, "REGISTER")[0]
        assert header(granted, "Contact").endswith(";expires=60")
        assert header(granted, "Date").endswith("GMT")
        assert 'algorithm=MD5, qop="auth"' in header(run.responses(401, "REGISTER")[0], "WWW-Authenticate")


@scene
async def sipp_asks_for_too_little(stage: Stage) -> None:
    run = (await registers(stage, await endpoint(stage), expires=1, status=423)).check()
    assert header(run.responses(423, "REGISTER")[0], "Min-Expires") == "2"


@scene
async def sipp_is_forgotten_when_its_time_is_over(stage: Stage) -> None:
    made = await endpoint(stage)
    (await registers(stage, made, expires=2)).check()
    await until_shown(stage, made, "false")
    assert await stage.cause(await stage.dial(made.uri)) == (2020, "SERVICE_UNAVAILABLE", "failed")


@scene
async def sipp_guesses_passwords_until_nobody_listens(stage: Stage) -> None:
    made = await endpoint(stage)
    for _ in range(5):
        (await registers(stage, made, password="guess", status=401)).check()
    silent = await registers(stage, made, "-recv_timeout", "1000")
    assert silent.exit_code != 0
    assert silent.received == []
    (await registers(stage, await endpoint(stage))).check()


@scene
async def a_flood_of_registers_is_challenged_and_keeps_no_phone_out(stage: Stage) -> None:
    made = await endpoint(stage)
    flood = SCENARIOS / "uac_register_unproven.xml"
    options = ("-r", "200", "-l", "400")
    async with sipp(flood, *options, remote=stage.remote, calls=400, keys={"user": "nobody"}) as running:
        (await registers(stage, made)).check()
        (await running.finish()).check()
    assert (await shown(stage, made)).sip_registered == "true"


@pytest.mark.parametrize("name", list(scene))
def test_endpoints(name: str, playing: Mapping[str, Future[None]]) -> None:
    playing[name].result(110)
