"""The whole server on PostgreSQL: calls live through a crash of the database and a crash of the server."""

from __future__ import annotations

import asyncio
import json
import os
import re
import socket
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import pytest_asyncio
from tests.support.bystander import bystander
from tests.support.customer import customer_of
from tests.support.databases import PostgresServer, postgres_server
from tests.support.raw_api import RawApi
from tests.support.waiting import until

from ringback.phones.call import CallNotAnswered
from ringback.phones.phone import Phone, PhoneSettings
from ringback.testing.platform import Platform

pytestmark = [pytest.mark.postgres, pytest.mark.functional]
ECHO = "15550001000"


@pytest_asyncio.fixture
async def phone() -> AsyncIterator[Phone]:
    phone = Phone(PhoneSettings(user="15550002222"))
    await phone.start()
    yield phone
    await phone.close()


@pytest.fixture
def postgres() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


def readiness(platform: Platform) -> tuple[int, str]:
    """Return status and reasons of /readyz."""
    try:
        with urllib.request.urlopen(f"{platform.url}/readyz", timeout=10) as reply:
            return reply.status, ""
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)["error"]


def options_status(platform: Platform) -> str:
    """Return what a proxy in front learns of the node."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.settimeout(10)
        probe.connect((platform.sip_host, platform.sip_port))
        port = probe.getsockname()[1]
        lines = (
            f"OPTIONS sip:{platform.sip_host} SIP/2.0",
            f"Via: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bK{os.urandom(6).hex()}",
            "From: <sip:proxy@127.0.0.1>;tag=1",
            f"To: <sip:{platform.sip_host}>",
            f"Call-ID: {os.urandom(6).hex()}",
            "CSeq: 1 OPTIONS",
            "Max-Forwards: 70",
        )
        probe.send("\r\n".join((*lines, "", "")).encode())
        return probe.recv(4_096).split()[1].decode()


async def states(platform: Platform, call_uuid: str) -> list[str]:
    """Return the states that the event log of a call tells of, without repetitions."""
    rows = await asyncio.to_thread(platform.api.events, call_uuid)
    return list(dict.fromkeys(row["fields"]["state"] for row in rows if row["kind"] == "call"))


async def test_calls_live_through_a_crash_of_the_database(postgres: PostgresServer, phone: Phone) -> None:
    """A call goes on, new ones are refused with 503, the node says why; afterwards no fact of the call is missing."""
    with Platform.start(settings={"RINGBACK_DATABASE__URL": postgres.url}) as platform:
        async with AsyncExitStack() as stack:
            judged, later = await asyncio.gather(
                *(stack.enter_async_context(bystander(platform.uri(ECHO))) for _ in range(2))
            )
            postgres.stop()
            await until(lambda: readiness(platform)[0] == 503, "the node to know")
            assert re.search("the database (does not answer|cannot write): ", readiness(platform)[1])
            await until(lambda: options_status(platform) == "503", "proxies to be told")
            with pytest.raises(CallNotAnswered) as refused:
                await (await phone.call(platform.uri(ECHO))).until_answered()
            assert refused.value.status == 503
            verdict = await judged.verdict(after_s=1)
            verdict.assert_whole()
            postgres.start()
            await until(lambda: readiness(platform)[0] == 200, "the node to be ready again")
            await until(lambda: options_status(platform) == "200", "proxies to be told")
            (await later.verdict()).assert_whole()
        api = RawApi(platform)

        async def has_record(call_uuid: str) -> bool:
            return (await api("GET", f"Call/{call_uuid}/")).status == 200

        for call_uuid in (judged.call_uuid, later.call_uuid):
            async with asyncio.timeout(20):
                while not await has_record(call_uuid):  # noqa: ASYNC110 - what was kept is written at a later turn
                    await asyncio.sleep(0.05)
            assert await states(platform, call_uuid) == ["ringing", "in-progress", "ended"]
        async with bystander(platform.uri(ECHO)) as new:
            (await new.verdict(after_s=1)).assert_whole()


async def test_the_next_server_closes_the_books_of_a_killed_one(postgres: PostgresServer, tmp_path: Path) -> None:
    settings = {"RINGBACK_DATABASE__URL": postgres.url}
    with Platform.start(folder=tmp_path, settings=settings) as first:
        async with customer_of(first) as customer, bystander(first.uri(ECHO)) as cut:
            number = await customer.number(customer.serve("/answer", "<Response><Hangup/></Response>"))
            first.kill_server()
            with Platform.start(folder=tmp_path, settings=settings) as second:
                api = RawApi(second)
                record = (await api("GET", f"Call/{cut.call_uuid}/")).json
                assert (record["hangup_cause_code"], record["hangup_source"]) == (5010, "Error")
                assert (await api("GET", f"Number/{number}/")).status == 200, "what was stored is there"
                verdict = await cut.verdict(is_told=False)
                assert verdict.ended_by == "them", "the next server hangs up at the phone"
