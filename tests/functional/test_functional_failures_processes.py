"""Processes that are killed: a media worker costs its own calls only, the server costs no audio at all."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from contextlib import AsyncExitStack
from pathlib import Path

import psutil
import pytest
from tests.support.bystander import Bystander, bystander
from tests.support.customer import customer_of
from tests.support.raw_api import RawApi
from tests.support.waiting import until
from tests.support.workers import by_worker, pids_by_worker

from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional
ECHO = "15550001000"
NUMBER, NEW_NUMBER = "15554440001", "15554440002"
ALONE_S = 30
"""How long audio must go on without a server (issue: what must be shown)."""


async def wire_to_echo(platform: Platform, number: str, hangup_url: str) -> None:
    """Wire a number to the platform's own echo agent, with a hang-up callback."""
    api = RawApi(platform)
    applications = (await api("GET", "Application/")).json["objects"]
    [answer_url] = [app["answer_url"] for app in applications if app["app_name"] == "ringback-echo"]
    await api.wire(number, answer_url=answer_url, hangup_url=hangup_url)


async def assert_ended_by_us(api: RawApi, call_uuid: str, params: dict[str, str], says: str) -> None:
    """Check hang-up callback, CDR and timeline of a call that a failure of ours has ended."""
    assert (params["HangupCauseCode"], params["HangupCauseName"]) == ("5010", "Internal Error")
    assert (params["HangupSource"], params["CallStatus"]) == ("Error", "completed")
    assert int(params["Duration"]) > 0
    record = (await api("GET", f"Call/{call_uuid}/")).json
    assert (record["hangup_cause_code"], record["hangup_source"]) == (5010, "Error")
    rows = await asyncio.to_thread(api.platform.api.events, call_uuid)
    [ended] = [row["fields"] for row in rows if row["kind"] == "call" and row["fields"]["state"] == "ended"]
    assert says in ended["detail"]


async def test_worker_that_is_killed_ends_its_own_calls_only() -> None:
    with Platform.start(workers=2) as platform:
        async with customer_of(platform) as customer, AsyncExitStack() as stack:
            await wire_to_echo(platform, NUMBER, customer.url("/hangup"))
            calls: list[Bystander] = await asyncio.gather(
                *(stack.enter_async_context(bystander(platform.uri(NUMBER))) for _ in range(4))
            )
            placed, before = by_worker(platform, "media_sessions_active"), pids_by_worker(platform)
            assert sum(placed.values()) == 4
            assert all(placed.values()), f"each worker has calls: {placed}"
            victim, spared = sorted(placed)
            os.kill(before[victim], signal.SIGKILL)

            callbacks = await customer.until("/hangup", int(placed[victim]))
            hit = {request.params["CallUUID"]: request.params for request in callbacks}
            assert len(hit) == placed[victim], "its own calls"
            for call in calls:
                if call.call_uuid in hit:
                    assert (await call.verdict(is_told=False)).ended_by == "them", "a BYE came"
            api = RawApi(platform)
            for call_uuid, params in hit.items():
                await assert_ended_by_us(api, call_uuid, params, "worker")

            # The new worker has no sessions and the other has at least one, so the next call is its.
            await until(lambda: all(by_worker(platform, "media_worker_up").values()), "a new worker")
            assert by_worker(platform, "media_sessions_active") == {victim: 0, spared: placed[spared]}
            after = pids_by_worker(platform)
            assert (after[victim] != before[victim], after[spared] == before[spared]) == (True, True)
            async with bystander(platform.uri(ECHO)) as new:
                assert by_worker(platform, "media_sessions_active") == {victim: 1, spared: placed[spared]}
                verdict = await new.verdict(after_s=1)
                assert verdict.ended_by == "us"
                verdict.assert_whole()

            survivors = [await call.verdict() for call in calls if call.call_uuid not in hit]
            assert len(survivors) == placed[spared]
            for verdict in survivors:
                assert verdict.ended_by == "us"
                verdict.assert_whole()
            told = await customer.until("/hangup", 4)
            codes = {request.params["CallUUID"]: request.params["HangupCauseCode"] for request in told}
            assert codes == {call.call_uuid: "5010" if call.call_uuid in hit else "4000" for call in calls}


@pytest.mark.timeout(240)
async def test_server_that_is_killed_costs_no_audio(tmp_path: Path) -> None:
    """Workers and agent go on alone; the next server closes the books of the old calls and takes new ones."""
    settings = {"RINGBACK_MEDIA__DETACHED_LIMIT_S": str(ALONE_S + 8)}
    with Platform.start(folder=tmp_path, settings=settings) as first:
        async with customer_of(first) as customer, AsyncExitStack() as stack:
            await wire_to_echo(first, NUMBER, customer.url("/hangup"))
            judged, left = await asyncio.gather(
                *(stack.enter_async_context(bystander(first.uri(NUMBER))) for _ in range(2))
            )
            run = json.loads((tmp_path / "run.json").read_text())
            left_alone = [psutil.Process(pid) for pid in (*first.worker_pids(), run["agent_pid"])]
            assert len(left_alone) >= 2
            first.kill_server()
            killed = time.monotonic()
            await asyncio.sleep(ALONE_S + 1)
            verdict = await judged.verdict()
            assert verdict.ended_by == "nobody", "there is no server that would take the BYE"
            assert verdict.heard_ms > 1_000 * ALONE_S
            verdict.assert_whole()
            assert not customer.seen("/hangup")

            with Platform.start(folder=tmp_path, settings=settings) as second:
                callbacks = await customer.until("/hangup", 2)
                told = {request.params["CallUUID"]: request.params for request in callbacks}
                assert told.keys() == {judged.call_uuid, left.call_uuid}
                api = RawApi(second)
                for call_uuid, params in told.items():
                    await assert_ended_by_us(api, call_uuid, params, "server restart")
                    [old] = (await api("GET", f"Call/{call_uuid}/Stream/")).json["objects"]
                    assert old["status"] == "failed"
                assert (await api("GET", "Call/?status=live")).json["calls"] == []

                # New calls work at once, beside the sessions that nobody owns any more.
                await wire_to_echo(second, NEW_NUMBER, customer.url("/hangup"))
                async with bystander(second.uri(NEW_NUMBER)) as new:
                    verdict = await new.verdict(after_s=1)
                    assert verdict.ended_by == "us"
                    verdict.assert_whole()
                assert (await customer.hangup_params("/hangup", new.call_uuid))["HangupCauseCode"] == "4000"

                await until(lambda: not any(map(is_alive, left_alone)), "the old processes to end")
                assert time.monotonic() - killed < 4 * ALONE_S
                abandoned = await left.verdict()
                assert abandoned.heard_ms > 1_000 * ALONE_S
                assert abandoned.ended_by == "them", "the next server hangs up at the phone"
            assert len(customer.seen("/hangup")) == 3, "each call is told once"
        assert not list((tmp_path / "run").glob("*.sock"))


def is_alive(process: psutil.Process) -> bool:
    return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
