"""An hour of a dead customer, in seconds: the outbox on a clock that runs a thousand times faster."""

from __future__ import annotations

import time

import pytest
from tests.support.http_server import fixed
from tests.support.outbox_office import Office, office_on

from ringback import clock
from ringback.machine import Instant
from ringback.storage.database import Database
from ringback.webhooks.outbox import OutboxSettings

_SPEED = 1_500
_CALLS = 20
_FACTS = ("ring", "stream", "hangup")


@pytest.fixture
def fast_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let both clocks of the product run `_SPEED` times faster from now on."""
    start_ns, wall_ms, now = time.monotonic_ns(), clock.wall_ms(), clock.now()
    monkeypatch.setattr(clock, "now", lambda: Instant(now + (time.monotonic_ns() - start_ns) * _SPEED))
    monkeypatch.setattr(clock, "wall_ms", lambda: wall_ms + (time.monotonic_ns() - start_ns) * _SPEED // 1_000_000)


async def put_facts(office: Office, fact: str) -> None:
    await office.put(*[office.callback(f"call-{number}", number=str(number), fact=fact) for number in range(_CALLS)])


@pytest.mark.usefixtures("fast_clock")
async def test_an_hour_of_a_dead_target_loses_and_reorders_nothing(database: Database) -> None:
    async with office_on(database) as office:
        office.server.reply("/hangup", status=503)
        began = clock.wall_ms()
        # The default rules of delivery; only the look-out for new rows is quicker, because real time is.
        async with office.sender(OutboxSettings(poll_ms=5)) as sender:
            for fact in _FACTS:
                await put_facts(office, fact)
                sender.wake()
                minutes = 20 * (1 + _FACTS.index(fact))
                await office.until(lambda minutes=minutes: clock.wall_ms() - began >= minutes * 60_000)
            assert (await office.counts()).pending == _CALLS * len(_FACTS)
            assert sender.counters.sent == 0
            refused = len(office.server.seen)
            assert refused < 600, "a dead target must not be hammered"
            office.server.on("/hangup", fixed("ok"))
            await office.until_idle()
        taken = [dict(seen.form) for seen in office.server.seen[refused:]]
        assert len(taken) == _CALLS * len(_FACTS)
        for number in range(_CALLS):
            assert [form["fact"] for form in taken if form["number"] == str(number)] == list(_FACTS)
