"""The stage of the interop scenes: a platform with trunks, a customer's application, numbers that behave."""

from __future__ import annotations

import asyncio
import contextlib
import json
import urllib.request
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from plivo.exceptions import ResourceNotFoundError

from ringback.testing.answer_server import AppReply
from ringback.testing.platform import Platform
from tests.support.customer import Customer, customer_of, response
from tests.support.rtp_party import RtpParty, rtp_party
from tests.support.sipp import Sipp, free_port, sipp

SCENARIOS = Path(__file__).parent.parent / "interop" / "scenarios"
ECHO = "15550001000"
_SLOW_MS = 1_000
_FAREWELL_S = 80.0
"""Longer than a call whose far side has vanished needs to notice it (64 times T1)."""
_LOOK_EVERY_S = 0.1
USERNAME, PASSWORD = "ringback", "open sesame"


@dataclass(frozen=True, slots=True)
class Carriers:
    """Outbound trunks, named by what they are for; each has a number prefix and gateway ports of its own."""

    ports: dict[str, tuple[int, ...]]
    prefixes: dict[str, str]

    @staticmethod
    def on_free_ports() -> Carriers:
        """Return the trunks of the scenes."""
        names = {"proxy-auth": 1, "server-auth": 1, "never-content": 1, "refusing-first": 2, "silent-first": 2}
        return Carriers(
            {name: tuple(free_port() for _ in range(count)) for name, count in names.items()},
            {name: f"1666{index}" for index, name in enumerate(names)},
        )

    def number(self, trunk: str) -> str:
        """Return a number that leaves by a trunk."""
        return self.prefixes[trunk] + "000001"

    def as_setting(self) -> str:
        """Return the value of `RINGBACK_TRUNK`."""
        return json.dumps(
            [
                {
                    "name": name,
                    "direction": "outbound",
                    "numbers": [self.prefixes[name]],
                    "gateways": [
                        {"host": "127.0.0.1", "port": port, "priority": order} for order, port in enumerate(ports)
                    ],
                    "auth": {"username": USERNAME, "password": PASSWORD},
                }
                for name, ports in self.ports.items()
            ]
        )


@dataclass(slots=True)
class Stage:
    """What scenes play with."""

    platform: Platform
    carriers: Carriers
    customer: Customer
    sink: RtpParty
    """Takes the audio of calls in which nobody listens."""
    slow_number: str
    """Rings for a second before its echo answers."""
    brief_number: str
    """Answers and hangs up after a second."""
    dialled: set[str] = field(default_factory=set)
    has_failed: bool = False
    """Whether a scene has failed: the calls that it left are hung up at the end."""

    @property
    def remote(self) -> tuple[str, int]:
        """Return where the platform takes SIP."""
        return self.platform.sip_host, self.platform.sip_port

    @asynccontextmanager
    async def caller(
        self, scenario: str, *options: str, number: str = ECHO, transport: str = "udp", **keys: object
    ) -> AsyncIterator[Sipp]:
        """Run a caller's scenario against a number."""
        path = SCENARIOS / f"{scenario}.xml"
        words = {"rtp_port": self.sink.port, "formats": "0 8", **keys}
        async with sipp(path, "-s", number, *options, remote=self.remote, transport=transport, keys=words) as running:
            yield running

    @asynccontextmanager
    async def callee(
        self,
        scenario: str,
        *options: str,
        transport: str = "udp",
        port: int = 0,
        swap: Mapping[str, str] | None = None,
        **keys: object,
    ) -> AsyncIterator[Sipp]:
        """Run a callee's scenario."""
        path = SCENARIOS / f"{scenario}.xml"
        words = {"rtp_port": self.sink.port, "formats": "0 8", **keys}
        async with sipp(path, *options, transport=transport, port=port, keys=words, swap=swap) as running:
            yield running

    async def dial(self, to: str, **more: Any) -> str:
        """Place a call by the official SDK, whose answer is an echo, and return its UUID."""
        urls = {"answer_url": self.customer.url("/echo"), "hangup_url": self.customer.url("/hangup")}
        made = await self.customer.sdk(lambda sdk: sdk.calls.create(from_=ECHO, to_=to, **{**urls, **more}))
        self.dialled.add(str(made["request_uuid"]))
        return str(made["request_uuid"])

    async def hang_up(self, call_uuid: str) -> None:
        """End a call by the official SDK."""
        await self.customer.sdk(lambda sdk: sdk.calls.delete(call_uuid))

    async def cause(self, call_uuid: str, timeout_s: float = 30) -> tuple[int, str, str]:
        """Return code, cause and status that the hang-up callback tells."""
        params = await self.customer.hangup_params("/hangup", call_uuid, timeout_s)
        return int(params["HangupCauseCode"]), params["HangupCause"], params["CallStatus"]


@asynccontextmanager
async def stage_on(platform: Platform, carriers: Carriers) -> AsyncIterator[Stage]:
    """Build the stage in the running loop."""
    async with customer_of(platform) as customer, rtp_party(sings=False) as sink:
        echo = await _document_of_the_echo_agent(customer)
        customer.serve("/echo", echo)
        hangup_url = customer.url("/hangup")
        slow = await customer.number(customer.serve("/slow", AppReply(echo, delay_ms=_SLOW_MS)), hangup_url=hangup_url)
        brief = await customer.number(customer.serve("/brief", response('<Wait length="1"/>')), hangup_url=hangup_url)
        stage = Stage(platform, carriers, customer, sink, slow, brief)
        try:
            yield stage
        finally:
            await _calls_are_over(stage)


async def _calls_are_over(stage: Stage) -> None:
    """Keep the application up until its calls are over and it has heard so: callbacks to nobody would be retried."""
    seen = (request.params.get("CallUUID", "") for request in stage.customer.requests)
    calls = stage.dialled.union(seen)

    def left() -> list[str]:
        live = calls.intersection(stage.customer.api.account("Call/", status="live")["calls"])
        waiting = stage.platform.metrics()["ringback_webhook_outbox_depth"]
        return [*sorted(live), *([f"{waiting:g} callbacks"] if waiting else [])]

    if stage.has_failed:
        for call_uuid in calls.intersection(stage.customer.api.account("Call/", status="live")["calls"]):
            with contextlib.suppress(ResourceNotFoundError):
                await stage.hang_up(call_uuid)
    loop = asyncio.get_running_loop()
    give_up_at = loop.time() + _FAREWELL_S
    while busy := await asyncio.to_thread(left):
        assert loop.time() < give_up_at, f"{_FAREWELL_S} s after the last scene there are still {busy}"
        await asyncio.sleep(_LOOK_EVERY_S)


async def _document_of_the_echo_agent(customer: Customer) -> bytes:
    """Return what the platform's own echo agent answers: a process of its own, hence in time on a loaded machine."""
    apps = await customer.sdk(lambda sdk: sdk.applications.list())
    (url,) = (app["answer_url"] for app in apps["objects"] if app["app_name"] == "ringback-echo")

    def fetch() -> bytes:
        with urllib.request.urlopen(urllib.request.Request(url, method="POST"), timeout=10) as reply:
            return bytes(reply.read())

    return await asyncio.to_thread(fetch)
