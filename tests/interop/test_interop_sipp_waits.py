"""What takes half a minute: peers that never answer or never acknowledge, and tables that empty by themselves.

These scenes begin with the session (see `conftest.patience`) and are judged last, so that they cost nobody's time.
"""

from __future__ import annotations

import socket
from collections.abc import Mapping
from concurrent.futures import Future

import pytest
from tests.support.interop_stage import Stage
from tests.support.scenes import Scenes
from tests.support.waiting import until

from ringback.testing.platform import Platform

pytestmark = pytest.mark.interop("sipp")
scene: Scenes[Stage] = Scenes()
GIVEN_UP = (3070, "RECOVERY_ON_TIMER_EXPIRE", "failed")


@scene
async def silent_callee_is_given_up(stage: Stage) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.setblocking(False)
        call_uuid = await stage.dial(f"sip:nobody@127.0.0.1:{deaf.getsockname()[1]}")
        assert await stage.cause(call_uuid, 80) == GIVEN_UP
        invites = received(deaf)
    # After 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s, each the same; a machine that is late by half a second in all loses
    # the last one, before which 32 s are over.
    assert len(invites) in (6, 7)
    assert len(set(invites)) == 1


def received(deaf: socket.socket) -> list[bytes]:
    """Return the datagrams that wait at a socket."""
    found = []
    while True:
        try:
            found.append(deaf.recv(65_535))
        except BlockingIOError:
            return found


@scene
async def answer_that_is_never_acknowledged_is_hung_up(stage: Stage) -> None:
    async with stage.caller("uac_never_ack") as peer:
        run = (await peer.finish()).check()
    # Every 4 s in the end: after 0, 0.5, 1.5, 3.5, 7.5 … 31.5 s, the last one just before 32 s are over. Each second of
    # which the platform gets no processor moves those behind it; without the bound of 4 s there were 7, with 2 s 18.
    assert len(run.responses(200, repeats=True)) in (8, 9, 10, 11)


@pytest.mark.parametrize("name", list(scene))
def test_patience(name: str, patience: Mapping[str, Future[None]]) -> None:
    patience[name].result(110)


async def test_tables_are_empty_half_a_minute_after_the_load(load_platform: Platform) -> None:
    def rows() -> dict[str, float]:
        found = load_platform.metrics()
        return {name: value for name, value in found.items() if name.startswith("ringback_sip_table_entries")}

    assert len(rows()) == 3
    await until(lambda: not any(rows().values()), "empty SIP tables", 90)
