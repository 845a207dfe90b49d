"""The gauges of a scrape agree with each other: nobody who looks at them takes a busy node for an idle one."""

from collections import Counter
from types import SimpleNamespace
from unittest.mock import MagicMock

from ringback.server.gauges import LiveMetrics
from ringback.telemetry.metrics import Metrics
from ringback.webhooks.store import waiting_callbacks


class Ending:
    """A call that ends during the scrape: first its callback is stored, then the call is forgotten."""

    def __init__(self):
        self.calls = [SimpleNamespace(is_inbound=True)]
        self.stored = 0

    async def read(self, work):
        assert work is waiting_callbacks
        found = self.stored
        # While the answer of the database is on its way.
        self.stored = 1
        self.calls.clear()
        return found

    async def registered_count(self):
        return 0


async def test_a_call_that_ends_during_a_scrape_is_seen_or_its_callback_is():
    ending = Ending()
    rooms = MagicMock()
    rooms.database, rooms.registrar = ending, ending
    rooms.calls.live.side_effect = lambda: tuple(ending.calls)
    rooms.legs.refusals = Counter()
    rooms.pool.workers.return_value = ()
    for name in ("calls.outbound.queue", "dials", "speaker", "recognizer", "streams", "conferences", "multiparty"):
        target = rooms
        for part in name.split("."):
            target = getattr(target, part)
        target.configure_mock(live_count=0, member_count=0, waiting=0)
    rooms.calls.outbound.queue.__len__.return_value = 0
    rooms.calls.settings.maximum_calls = 10
    rooms.recordings.live_count = rooms.legs.live_count = rooms.event_log.waiting_events = 0
    rooms.event_log.counters.dropped = 0
    rooms.sip.configure_mock(call_count=0, transaction_count=0, connection_count=0)
    text = (await LiveMetrics(Metrics("1.0"), rooms).render()).decode()
    seen = dict(line.rsplit(" ", 1) for line in text.splitlines() if not line.startswith("#"))
    live, waiting = seen['ringback_calls_active{direction="inbound"}'], seen["ringback_webhook_outbox_depth"]
    assert (float(live), float(waiting)) != (0, 0)
