"""Stream WebSockets that cannot be opened or that break: how the call goes on, and what the customer is told."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from tests.support.answering_phone import AnsweringPhone, answering_phone
from tests.support.customer import Customer, response, stream
from tests.support.echo import assert_echoed
from tests.support.hostile_agents import raw_agent, say, self_signed, stall
from tests.support.ports import free_port
from tests.support.raw_api import RawApi
from tests.support.stream_agent import AgentConnection, stream_agent, tcp_server
from tests.support.waiting import until_is

pytestmark = pytest.mark.functional
OK_PAGE = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
REFUSAL = b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
MISSING = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"
REDIRECT = b"HTTP/1.1 302 Found\r\nLocation: ws://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
SILENCE_MAX_S = 12
"""The longest silence that a failing agent may cause (reference: reliability.md I-1)."""
SLACK_S = 8
"""What setting up and ending thirty calls at once may take besides, on a loaded machine."""


@dataclass
class Bench:
    """The customer and a phone that answers everything."""

    customer: Customer
    api: RawApi
    callee: AnsweringPhone

    async def call(self, name: str, *elements: str) -> str:
        """Make a call with this document; return its id when it is answered."""
        answer_url = self.customer.serve(f"/{name}", response(*elements))
        hangup_url = self.customer.url("/hangup")
        call_uuid = await self.api.make_call(to=self.callee.uri, answer_url=answer_url, hangup_url=hangup_url)
        await self.callee.call_of(call_uuid)
        return call_uuid

    async def assert_hung_up(self, call_uuid: str, code: str, source: str = "Plivo") -> None:
        params = await self.customer.hangup_params("/hangup", call_uuid, timeout_s=30)
        assert (params["HangupCauseCode"], params["HangupSource"], params["CallStatus"]) == (code, source, "completed")
        call = await self.callee.call_of(call_uuid)
        assert (await call.until_ended()).by == "them"

    def status(self, call_uuid: str) -> list[dict[str, str]]:
        """Return the stream status callbacks of a call so far, in order."""
        return [request.params for request in self.customer.seen("/status", CallUUID=call_uuid)]

    async def stream_objects(self, call_uuid: str) -> list[Any]:
        return list((await self.api("GET", f"Call/{call_uuid}/Stream/")).json["objects"])

    @property
    def status_url(self) -> str:
        return self.customer.url("/status")


@pytest.fixture
async def bench(customer: Customer) -> AsyncIterator[Bench]:
    async with answering_phone() as callee:
        yield Bench(customer, RawApi(customer.platform), callee)


@asynccontextmanager
async def unreachable_agents(folder: Path) -> AsyncIterator[dict[str, tuple[str, str]]]:
    """Run agents that no stream can be opened to; gives the URL of each and what must be said about it."""
    answers: dict[str, tuple[bytes | None, str]] = {
        "hangs": (None, "ms: the agent does not answer the upgrade"),
        "answers-200": (OK_PAGE, "expected 101, got 200: no WebSocket is served at this path"),
        "answers-403": (REFUSAL, "expected 101, got 403: the agent refuses us, check its signature validation"),
        "answers-404": (MISSING, "expected 101, got 404: no such path"),
        "redirects": (REDIRECT, "expected 101, got 302"),
        "closes": (b"", "connection reset during the upgrade: is the port one that serves WebSockets?"),
        "no-http": (b"220 mail.example ESMTP\r\n", "connection reset during the upgrade"),
    }
    async with AsyncExitStack() as stack:
        agents = {
            name: (f"ws://127.0.0.1:{await stack.enter_async_context(tcp_server(answer))}/agent", says)
            for name, (answer, says) in answers.items()
        }
        no_tls = await stack.enter_async_context(raw_agent(say(b"HTTP/1.1 400 Bad Request\r\n\r\n")))
        own_certificate = await stack.enter_async_context(raw_agent(stall, self_signed(folder)))
        agents["refuses"] = (f"ws://127.0.0.1:{free_port()}/", "connection refused: check host and port")
        agents["no-tls"] = (f"wss://127.0.0.1:{no_tls}/", "TLS failed: is the port one that speaks TLS?")
        agents["own-certificate"] = (f"wss://127.0.0.1:{own_certificate}/", "certificate refused: self-signed")
        agents["forbidden"] = ("ws://10.1.2.3/agent", "10.1.2.3 is private (egress.allow can open it)")
        agents["bad-port"] = ("ws://127.0.0.1:25/agent", "port 25 is not allowed (use 80, 443 or 1024-65535)")
        yield agents


async def stalls(bench: Bench) -> None:
    """Stream to an agent that never reads: the oldest audio is dropped, the call lives and ends as usual."""
    async with raw_agent(stall) as port:
        element = stream(
            f"ws://127.0.0.1:{port}/", contentType="audio/x-l16;rate=16000", statusCallbackUrl=bench.status_url
        )
        call_uuid = await bench.call("stalls", element)
        # An agent that never reads must not be sent everything.
        await bench.customer.until_event(call_uuid, "stream", timeout_s=40, event="fault", reason="uplink_dropped")
        (await bench.callee.call_of(call_uuid)).hang_up()
        params = await bench.customer.hangup_params("/hangup", call_uuid)
        assert params["HangupCauseCode"] == "4000"
        await bench.customer.until("/status", Event="StopStream", CallUUID=call_uuid)


@pytest.mark.timeout(240)
async def test_agents_that_cannot_be_opened_or_never_read(bench: Bench, tmp_path: Path) -> None:
    """With keepCallAlive the next element runs, else the document goes on anyway; within 12 s in every case."""
    customer = bench.customer

    async def fails(name: str, url: str, says: str, *, is_followed: bool) -> None:
        element = stream(url, statusCallbackUrl=bench.status_url, extraHeaders=f"case={name}")
        following = f"<Redirect>{customer.serve(f'/after-{name}', response('<Hangup/>'))}</Redirect>"
        call_uuid = await bench.call(f"{name}-{is_followed}", element, following if is_followed else "")
        answered = time.monotonic()
        if is_followed:
            await customer.until(f"/after-{name}", timeout_s=SILENCE_MAX_S + SLACK_S, CallUUID=call_uuid)
            await bench.assert_hung_up(call_uuid, "4000", "Answer XML")
        else:
            await bench.assert_hung_up(call_uuid, "4010")
        assert time.monotonic() - answered < SILENCE_MAX_S + SLACK_S, name
        [dropped] = await customer.until("/status", CallUUID=call_uuid)
        [stream_object] = await until_is(
            lambda: bench.stream_objects(call_uuid), lambda found: [each["status"] for each in found] == ["failed"]
        )
        assert dropped.params["Event"] == "DroppedStream"
        assert dropped.params["StatusReason"] == "connection_failed"
        assert says in dropped.params["Error"], (name, dropped.params)
        assert dropped.params["ServiceURL"] == url
        assert dropped.params["StreamID"] == stream_object["stream_id"]
        assert dropped.params["extraHeaders"] == f"case={name}"
        assert "Duration" not in dropped.params
        assert "CallStatus" not in dropped.params
        assert (stream_object["status"], stream_object["start_time"]) == ("failed", None)
        assert stream_object["billed_amount"] == "0.00000"
        assert stream_object["end_time"]
        attempts = await customer.events(call_uuid, "stream", event="connect failed")
        assert len(attempts) == {"hangs": 2, "forbidden": 0, "bad-port": 0}.get(name, 3), (name, attempts)

    async with unreachable_agents(tmp_path) as agents:
        cases = [(name, *agent, is_followed) for name, agent in agents.items() for is_followed in (True, False)]
        outcomes = await asyncio.gather(
            *(fails(name, url, says, is_followed=followed) for name, url, says, followed in cases),
            stalls(bench),
            return_exceptions=True,
        )
    failures = [outcome for outcome in outcomes if isinstance(outcome, Exception)]
    for case, outcome in zip([*cases, "stalls"], outcomes, strict=True):
        if isinstance(outcome, Exception):
            outcome.add_note(f"agent: {case}")
    if failures:
        raise ExceptionGroup("agents", failures)


def on_start(act: Any) -> Any:
    """Return an `on_message` that acts when the stream has started."""

    def take(connection: AgentConnection, message: dict[str, Any]) -> None:
        if message["event"] == "start":
            act(connection)

    return take


async def test_agent_that_closes_at_once(bench: Bench) -> None:
    """An orderly close ends the stream, not the flow: what follows runs, and without anything the call ends 4010."""
    async with stream_agent(on_message=on_start(lambda connection: connection.close())) as agent:
        element = stream(agent.url, statusCallbackUrl=bench.status_url)
        bench.customer.serve("/next", response("<Hangup/>"))
        redirect = f"<Redirect>{bench.customer.url('/next')}</Redirect>"
        followed, alone = await asyncio.gather(bench.call("a", element, redirect), bench.call("b", element))
        await bench.assert_hung_up(followed, "4000", "Answer XML")
        await bench.assert_hung_up(alone, "4010")
        for call_uuid in (followed, alone):
            await bench.customer.until("/status", 2, CallUUID=call_uuid)
            started, stopped = bench.status(call_uuid)
            assert (started["Event"], stopped["Event"]) == ("StartStream", "StopStream")
            assert (stopped["StatusReason"], stopped["Duration"]) == ("completed", "1"), "a started second counts"
            assert started["StreamID"] == stopped["StreamID"]
            assert "Error" not in stopped
            await until_is(
                partial(bench.stream_objects, call_uuid),
                lambda found: [each["status"] for each in found] == ["completed"],
            )


async def test_agent_that_breaks_off_again_and_again(bench: Bench) -> None:
    """A drop is dialled again twice; then the stream has failed and the document goes on."""

    async def breaks(act: Any, says: str) -> None:
        async with stream_agent(on_message=on_start(act)) as agent:
            call_uuid = await bench.call(f"x{agent.port}", stream(agent.url, statusCallbackUrl=bench.status_url))
            await bench.assert_hung_up(call_uuid, "4010")
            await bench.customer.until("/status", 6, CallUUID=call_uuid)
            callbacks = bench.status(call_uuid)
            assert [each["Event"] for each in callbacks] == ["StartStream", "DroppedStream"] * 3
            assert {each.get("StatusReason") for each in callbacks[1::2]} == {"connection_lost"}
            error = callbacks[-1]["Error"]
            assert error.startswith("connection disconnected with the remote service")
            assert says in error
            assert len(agent.connections) == 3
            starts = [connection.messages[0] for connection in agent.connections]
            assert starts[0] == starts[1] == starts[2], "the same start, ids included, on every socket"
            await until_is(
                lambda: bench.stream_objects(call_uuid), lambda found: [each["status"] for each in found] == ["failed"]
            )

    await asyncio.gather(
        breaks(lambda connection: connection.cut(), "connection dropped"),
        breaks(lambda connection: connection.close(1011), ""),
    )


async def test_agent_that_comes_back(bench: Bench) -> None:
    """After one drop the stream goes on with the same ids; the caller's audio is echoed again."""

    def drop_first(connection: AgentConnection) -> None:
        if len(agent.connections) == 1:
            connection.cut()

    async with stream_agent(on_message=on_start(drop_first)) as agent:
        call_uuid = await bench.call("returns", stream(agent.url, statusCallbackUrl=bench.status_url))
        await bench.customer.until("/status", 3, CallUUID=call_uuid)
        call = await bench.callee.call_of(call_uuid)
        await assert_echoed(call, 20)
        call.hang_up()
        await bench.customer.until("/status", 4, CallUUID=call_uuid)
        events = [each["Event"] for each in bench.status(call_uuid)]
        assert events == ["StartStream", "DroppedStream", "StartStream", "StopStream"]
        first, second = agent.connections
        assert first.messages[0]["start"] == second.messages[0]["start"]
        assert second.messages[0]["sequenceNumber"] == 1
        assert second.messages[-1]["event"] == "stop"
        assert second.close_code == 1000


async def test_every_other_end_of_a_stream_is_told(bench: Bench) -> None:
    """Time-out, REST, hang-up, an unknown format, and a stream that nothing keeps alive."""
    customer = bench.customer

    async def ends(name: str, event: str, reason: str, code: str, source: str = "Plivo", **attributes: str) -> None:
        async with stream_agent() as agent:
            element = stream(agent.url, statusCallbackUrl=bench.status_url, statusCallbackMethod="GET", **attributes)
            call_uuid = await bench.call(name, element)
            if name == "api":
                await customer.until("/status", CallUUID=call_uuid)
                assert (await bench.api("DELETE", f"Call/{call_uuid}/Stream/")).status == 204
            if name == "hangup":
                await customer.until("/status", CallUUID=call_uuid)
                (await bench.callee.call_of(call_uuid)).hang_up()
                await customer.hangup_params("/hangup", call_uuid)
            else:
                await bench.assert_hung_up(call_uuid, code, source)
            await customer.until("/status", Event=event, CallUUID=call_uuid)
            last = bench.status(call_uuid)[-1]
            assert (last["Event"], last.get("StatusReason")) == (event, reason), (name, last)
            assert customer.seen("/status", CallUUID=call_uuid)[-1].method == "GET"

    await asyncio.gather(
        ends("timeout", "StopStream", "timeout", "4010", streamTimeout="1"),
        ends("api", "StopStream", "completed", "4010"),
        ends("hangup", "StopStream", "completed", "4000"),
        ends("format", "DroppedStream", "invalid_content_type", "4010", contentType="audio/ogg"),
        ends("not-kept", "StopStream", "completed", "4010", keepCallAlive="false"),
    )
