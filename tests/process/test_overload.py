"""A whole server whose worker says that it is late: who is refused, who waits, who notices nothing.

The figures are the test's, not the machine's: everything else is real, worker process, SIP, RTP and HTTP.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.support.live_calls import until_heard_ms
from tests.support.openapi_judge import document_of
from tests.support.ports import free_port, port_range
from tests.support.raw_api import RawApi
from tests.support.sounds import heard_tones, wav_reply
from tests.support.tries import in_some_try
from tests.support.waiting import until

from ringback import clock
from ringback.config.sources import load
from ringback.machine import SECOND
from ringback.media.control.events import WorkerStats
from ringback.phones.call import CallNotAnswered, PhoneCall
from ringback.phones.phone import Phone, PhoneSettings
from ringback.phones.platform_api import PlatformApi, PlatformRefused
from ringback.server.node import Node
from ringback.testing.answer_server import AnswerServer, AppReply, AppRequest

PITCH_HZ = 700
ACCOUNT, TOKEN = "MADEVDEVDEVDEVDEVDEV", "t" * 40
SESSIONS = 100


class Figures:
    """Takes the place of what the worker reports each second."""

    def __init__(self, node: Node) -> None:
        self._take = node.pool.handle_stats
        (self._slot,) = node.pool._supervisor.slots
        self._number = 0
        self._late_slots = 0
        node.pool.handle_stats = lambda _slot, _stats: None  # type: ignore[method-assign]
        node.pool._loads.clear()
        self._started_ns = clock.now()

    def seconds(self, count: int, *, late: bool) -> None:
        """Report so many seconds in which every slot was late, or none."""
        for _ in range(count):
            self._number += 1
            self._late_slots += 200 * late
            stats = WorkerStats(
                sessions=SESSIONS,
                streams=SESSIONS,
                cpu_ns=0,
                tick_late_p99_us=50_000 * late,
                rss_bytes=0,
                wall_ms=0,
                at_ns=self._started_ns + self._number * SECOND,
                slots=200 * self._number,
                late_slots=self._late_slots,
            )
            self._take(self._slot, stats)


@asynccontextmanager
async def server(folder: Path, answer_url: str) -> AsyncIterator[Node]:
    sip_port = free_port()
    flags: dict[str, Any] = {
        "data_dir": str(folder),
        "auth": {"id": ACCOUNT, "token": TOKEN},
        "http": {"host": "127.0.0.1", "port": free_port()},
        "sip": {"host": "127.0.0.1", "port": sip_port},
        "media": {"workers": 1, "rtp_ports": "{}-{}".format(*port_range())},
        "speech": {"preload": False},
        "load": {"calls_min": 1},
        "app": [{"name": "app", "answer_url": answer_url}],
        "default_app": "app",
    }
    node = Node(load(flags=flags, environment={}).config)
    try:
        async with node:
            yield node
    finally:
        # The start has frozen what it made; in a process of tests it shall go again.
        gc.unfreeze()


async def hears_the_tone_on(call: PhoneCall) -> None:
    """Return when a call has heard more of its document, and nothing but that."""

    async def listen(_number: int) -> None:
        before = len(call.heard_samples())
        await until_heard_ms(call, before / 8 + 600)
        assert PITCH_HZ in [pitch for pitch, _ in heard_tones(call.heard_samples()[before:])]

    await in_some_try(listen)


async def test_late_workers_refuse_callers_let_api_calls_wait_and_keep_what_they_have(tmp_path: Path) -> None:
    sound = wav_reply(PITCH_HZ)
    documents = AnswerServer(lambda request: sound if request.path == "/sound.wav" else document(request))

    def document(_request: AppRequest) -> AppReply:
        play = f"<Play loop='0'>{documents.url}/sound.wav</Play>"
        return AppReply(f"<Response>{play}</Response>".encode())

    phone = Phone(PhoneSettings(user="15550002222"))
    await documents.start()
    await phone.start()
    try:
        async with server(tmp_path, f"{documents.url}/answer") as node:
            await walk(node, phone, f"{documents.url}/answer")
    finally:
        await phone.close()
        await documents.close()


async def walk(node: Node, phone: Phone, answer_url: str) -> None:
    platform: Any = SimpleNamespace(url=f"http://127.0.0.1:{node.http_port}", auth_id=ACCOUNT, auth_token=TOKEN)
    # Asked for once, and otherwise from this loop, on which the server runs.
    await asyncio.to_thread(document_of, platform.url)
    api = RawApi(platform)
    uri = f"sip:15557654321@127.0.0.1:{node.config.sip.port}"
    established = await phone.call(uri)
    await established.until_answered()
    await hears_the_tone_on(established)

    figures = Figures(node)
    # The first is what the second is compared with.
    figures.seconds(2, late=True)
    assert node.pool.workers()[0].load.value == "strained"
    figures.seconds(4, late=True)
    assert node.pool.workers()[0].load.value == "full"

    refused = await phone.call(uri)
    with pytest.raises(CallNotAnswered) as caught:
        await refused.until_answered()
    assert caught.value.status == 503
    told = PlatformApi(platform.url, ACCOUNT, TOKEN)

    async def events() -> list[dict[str, Any]]:
        try:
            return await asyncio.to_thread(told.events, refused.call_uuid)
        except PlatformRefused:
            # Not written yet: nobody knows of the call.
            await asyncio.sleep(0.02)
            return []

    async with asyncio.timeout(20):
        while not (facts := [row for row in await events() if row["kind"] == "leg"]):
            continue
    assert facts[0]["fields"]["kind"] == "overloaded"
    metrics = (await api("GET", "/metrics")).text
    assert 'ringback_legs_refused_total{reason="overloaded"} 1.0' in metrics
    assert 'ringback_media_worker_load_state{state="full",worker="media-0"} 1.0' in metrics

    made = await api("POST", "Call/", {"from": "15550001111", "to": phone.uri, "answer_url": answer_url})
    assert (made.status, made.json["message"]) == (201, "call queued")
    waiting = (await api("GET", "Call/?status=queued")).json["calls"]
    assert waiting == [made.json["request_uuid"]]
    await hears_the_tone_on(established)

    # Better for long enough a few are taken, calm for long enough any number.
    figures.seconds(6, late=False)
    assert node.pool.workers()[0].load.value == "paced"
    called = await phone.next_call()
    called.answer()
    assert called.call_uuid == made.json["request_uuid"]
    await hears_the_tone_on(called)
    figures.seconds(6, late=False)
    assert node.pool.workers()[0].load.value == "open"
    again = await phone.call(uri)
    await again.until_answered()
    await hears_the_tone_on(established)
    for call in (established, called, again):
        call.hang_up()
        await call.until_ended()
    await until(lambda: node.calls.live_count == 0 and node.pool.session_count == 0, "the end of all calls")
