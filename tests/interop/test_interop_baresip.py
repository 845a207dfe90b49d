"""baresip, a softphone with a stack of its own, calls and is called; what it sings comes back through the agent."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future

import pytest
from tests.support.agent_audio import heard_by
from tests.support.baresip import baresip
from tests.support.customer import response, stream
from tests.support.echo_judge import until_echo
from tests.support.interop_stage import ECHO, Stage
from tests.support.scenes import Scenes
from tests.support.stream_agent import stream_agent
from tests.support.waiting import until

pytestmark = pytest.mark.interop("baresip")
scene: Scenes[Stage] = Scenes()


async def calls_the_echo(stage: Stage, transport: str) -> None:
    """Let baresip call, listen and hang up."""
    async with baresip(3) as phone:
        phone.do("dial", stage.platform.uri(ECHO, transport))
        await phone.until("CALL_ESTABLISHED")
        await until_echo(phone.song, phone.heard)
        phone.do("hangup")
        await phone.until("CALL_CLOSED")


@scene
async def calls_over_udp(stage: Stage) -> None:
    await calls_the_echo(stage, "udp")


@scene
async def calls_over_tcp(stage: Stage) -> None:
    await calls_the_echo(stage, "tcp")


async def is_called(stage: Stage, transport: str) -> None:
    """Let the platform call baresip, which answers by itself, until the API hangs up."""
    async with baresip(4) as phone:
        call_uuid = await stage.dial(phone.uri(transport))
        await phone.until("CALL_ESTABLISHED")
        await until_echo(phone.song, phone.heard)
        await stage.hang_up(call_uuid)
        await phone.until("CALL_CLOSED")
    assert await stage.cause(call_uuid) == (4000, "NORMAL_CLEARING", "completed")


@scene
async def is_called_over_udp(stage: Stage) -> None:
    await is_called(stage, "udp")


@scene
async def is_called_over_tcp(stage: Stage) -> None:
    await is_called(stage, "tcp")


@scene
async def keys_hold_and_resume_reach_the_agent(stage: Stage) -> None:
    async with baresip(5) as phone, stream_agent() as agent:
        number = await stage.customer.number(
            stage.customer.serve("/keys", response(stream(agent.url))), hangup_url=stage.customer.url("/hangup")
        )
        phone.do("dial", stage.platform.uri(number))
        await until(lambda: agent.events("media"), "the stream")
        for count, key in enumerate("5#", 1):
            phone.do("sndcode", key)
            await until(lambda count=count: len(agent.events("dtmf")) >= count, f"key {key}")
        assert [event["dtmf"]["digit"] for event in agent.events("dtmf")] == ["5", "#"]
        call_uuid = agent.events("start")[0]["start"]["callId"]
        phone.do("hold")
        await held(stage, call_uuid, 1)
        phone.do("resume")
        await held(stage, call_uuid, 2)
        before = len(heard_by(agent.connections[0]))
        await until_echo(phone.song, lambda: heard_by(agent.connections[0])[before:])
        await phone.until_audio_flows()
        phone.do("hangup")
        assert await stage.cause(call_uuid) == (4000, "NORMAL_CLEARING", "completed")


async def held(stage: Stage, call_uuid: str, count: int) -> None:
    """Return when the leg was renegotiated so often."""
    for _ in range(400):
        rows = await stage.customer.events(call_uuid, "leg", event="renegotiated")
        if len(rows) >= count:
            assert rows[count - 1]["fields"]["direction"] == ["recvonly", "sendrecv"][count - 1]
            return
    raise AssertionError(f"{count} renegotiations were expected")


@scene
async def refuses_a_call(stage: Stage) -> None:
    async with baresip(6, answers="manual") as phone:
        call_uuid = await stage.dial(phone.uri())
        await phone.until("CALL_INCOMING")
        phone.do("hangup")
        assert await stage.cause(call_uuid) == (3010, "USER_BUSY", "busy")


@pytest.mark.parametrize("name", list(scene))
def test_baresip(name: str, playing: Mapping[str, Future[None]]) -> None:
    playing[name].result(110)
