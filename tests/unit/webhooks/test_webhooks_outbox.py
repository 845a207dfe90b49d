"""The outbox: written with the fact, delivered in order, retried, set aside, and unharmed by a restart."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import replace

import pytest
from plivo.utils import validate_v3_signature
from tests.support.http_server import SeenRequest, Writer, close, fixed, hang, http_server
from tests.support.outbox_office import QUICK, Office, office_on

from ringback import clock
from ringback.accounts.store import ensure_account
from ringback.storage.database import Database, Session
from ringback.webhooks import store
from ringback.webhooks.outbox import OutboxSender
from ringback.webhooks.retry import DeliveryRules
from ringback.webhooks.store import enqueue


@pytest.fixture
async def office(database: Database) -> AsyncIterator[Office]:
    async with office_on(database) as office:
        yield office


async def test_callback_is_delivered_signed_and_marked(office: Office) -> None:
    office.server.reply("/hangup", "OK", content_type="text/plain")
    async with office.sender() as sender:
        (event_id,) = await office.put(office.callback(Event="Hangup", From="1 +é"))
        sender.wake()
        await office.until_idle()
        await office.until(lambda: sender.counters.sent == 1)
    (seen,) = office.server.seen
    assert dict(seen.form) == {"Event": "Hangup", "From": "1 +é"}
    assert seen.headers["x-ringback-event-id"] == event_id
    assert "x-plivo-signature-v3" in seen.headers
    (fields,) = office.timeline.of("webhook")
    assert (fields["target"], fields["outcome"], fields["status"], fields["attempt"]) == ("hangup", "ok", 200, 1)
    (row,) = await office.database.read(lambda session: store.list_callbacks(session, "MA1", call_uuid="c1"))
    assert (row.state, row.outcome, row.attempts) == ("sent", "status 200", 1)


async def test_a_callback_may_be_json_and_is_signed_without_a_form(office: Office) -> None:
    office.server.reply("/hangup", "OK", content_type="text/plain")
    callback = replace(office.callback(Event="started", From="+1 é"), is_json=True)
    async with office.sender():
        await office.put(callback, replace(callback, method="GET", is_private=True))
        await office.until_idle()
    seen, by_get = office.server.seen
    assert seen.headers["content-type"] == "application/json"
    assert json.loads(seen.body) == {"Event": "started", "From": "+1 é"}
    signature, nonce = seen.headers["x-plivo-signature-v3"], seen.headers["x-plivo-signature-v3-nonce"]
    assert validate_v3_signature("POST", callback.url, nonce, "token", signature, {})
    assert by_get.query == [("Event", "started"), ("From", "+1 é")], "a GET has no body"


async def test_get_callbacks_carry_their_parameters_in_the_query(office: Office) -> None:
    office.server.reply("/hangup")
    async with office.sender():
        await office.put(replace(office.callback(Event="Hangup"), method="GET"))
        await office.until_idle()
    assert office.server.seen[0].query == [("Event", "Hangup")]


async def test_rolled_back_fact_sends_nothing(office: Office) -> None:
    def work(session: Session) -> None:
        enqueue(session, office.callback())
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await office.database.write(work)
    assert (await office.counts()).pending == 0


async def test_callbacks_of_a_call_arrive_in_order_through_failures(office: Office) -> None:
    office.server.replies("/hangup", fixed("", 500), fixed("", 503), fixed("ok"))
    async with office.sender():
        await office.put(*[office.callback(n=str(number)) for number in range(4)])
        await office.until_idle()
    assert [form["n"] for form in office.forms()] == ["0", "0", "0", "1", "2", "3"]
    ids = [seen.headers["x-ringback-event-id"] for seen in office.server.seen[:3]]
    assert len(set(ids)) == 1, "a repetition has the same event id"
    assert len({seen.body for seen in office.server.seen[:3]}) == 1, "and the same bytes"


async def test_callback_that_is_answered_with_5xx_for_ever_does_not_hold_back_those_behind_it(office: Office) -> None:
    office.server.reply("/status", "broken", status=500)
    office.server.reply("/hangup")
    async with office.sender() as sender:
        await office.put(office.callback(path="/status"), office.callback(path="/hangup"))
        await office.until(lambda: sender.counters.sent == 1)
    tries = [seen.path for seen in office.server.seen]
    assert tries[:3] == ["/status"] * 3, "it has its turns first"
    assert (await office.counts()).pending == 1, "and is not given up"


async def test_other_targets_and_calls_do_not_wait(office: Office) -> None:
    async with http_server() as other:
        office.server.on("/hangup", hang)
        other.reply("/status")
        office.server.reply("/quick")
        async with office.sender():
            elsewhere = replace(office.callback(), url=other.url("/status"))
            await office.put(office.callback(), office.callback(path="/quick"), elsewhere)
            await office.put(office.callback("c2", "/quick", n="2"))
            await office.until(lambda: len(other.seen) == 1 and len(office.server.seen) == 2)
            await asyncio.sleep(0.05)
            assert [seen.path for seen in office.server.seen] == ["/hangup", "/quick"]
            assert office.forms()[1] == {"n": "2"}, "the other call, not the one behind the hanging callback"


async def test_refused_connections_are_retried_until_the_host_is_back(office: Office) -> None:
    office.server.on("/hangup", close)
    async with office.sender() as sender:
        await office.put(office.callback())
        await office.until(lambda: sender.counters.failed >= 2)
        office.server.reply("/hangup")
        await office.until_idle()
        await office.until(lambda: sender.counters.sent == 1)


@pytest.mark.parametrize(
    ("status", "state", "outcome"),
    [(404, "dead", "status 404"), (410, "dead", "status 410"), (200, "sent", "status 200")],
)
async def test_final_statuses_end_it(office: Office, status: int, state: str, outcome: str) -> None:
    office.server.reply("/hangup", status=status)
    async with office.sender():
        await office.put(office.callback())
        await office.until_idle()
    (row,) = await office.database.read(lambda session: store.list_callbacks(session, "MA1", call_uuid="c1"))
    assert (row.state, row.outcome) == (state, outcome)
    assert len(office.server.seen) == 1


async def test_callback_older_than_a_day_is_set_aside(office: Office) -> None:
    office.server.reply("/hangup", status=500)
    settings = replace(QUICK, delivery=DeliveryRules(first_ms=10, longest_ms=10, give_up_ms=60))
    async with office.sender(settings) as sender:
        await office.put(office.callback())
        await office.until_idle()
        await office.until(lambda: sender.counters.dead == 1)
    assert (await office.counts()).dead == 1


async def test_replay_sends_the_same_event_again(office: Office) -> None:
    office.server.replies("/hangup", fixed("", 404), fixed("ok"))
    async with office.sender() as sender:
        (event_id,) = await office.put(office.callback(a="1"))
        await office.until_idle()
        assert await office.database.write(lambda session: store.replay(session, event_id, clock.wall_ms()))
        sender.wake()
        await office.until(lambda: len(office.server.seen) == 2)
        await office.until_idle()
    assert [seen.headers["x-ringback-event-id"] for seen in office.server.seen] == [event_id, event_id]
    first, second = office.server.seen
    assert first.body == second.body
    signed = [name for name in first.headers if name.startswith("x-plivo-signature")]
    assert len(signed) == 6
    assert {name: first.headers[name] for name in signed} == {name: second.headers[name] for name in signed}
    assert not await office.database.write(lambda session: store.replay(session, "unknown", 0))
    assert not await office.database.write(lambda session: store.replay(session, event_id, 0, "MA2"))


async def test_every_attempt_has_a_nonce_of_its_own(office: Office) -> None:
    office.server.replies("/hangup", fixed("", 500), fixed("ok"))
    async with office.sender():
        await office.put(office.callback(a="1"))
        await office.until_idle()
    nonces = {seen.headers["x-plivo-signature-v3-nonce"] for seen in office.server.seen}
    assert len(nonces) == 2
    assert all(len(nonce) == 20 and nonce.isdigit() for nonce in nonces)


async def test_callbacks_are_listed_by_account_call_and_state(office: Office) -> None:
    office.server.reply("/hangup", status=404)
    async with office.sender():
        (gone,) = await office.put(office.callback("c1"))
        await office.until_idle()
    (waits,) = await office.put(office.callback("c2"))

    async def listed(call_uuid: str = "", state: str = "") -> list[str]:
        rows = await office.database.read(
            lambda session: store.list_callbacks(session, "MA1", call_uuid=call_uuid, state=state)
        )
        return [row.event_id for row in rows]

    assert await listed() == [waits, gone]
    assert await listed(state="dead") == [gone]
    assert await listed(state="pending", call_uuid="c1") == []
    assert await office.database.read(lambda session: store.list_callbacks(session, "MA2")) == []
    assert await office.database.read(lambda session: store.find_callback(session, "MA2", gone)) is None
    found = await office.database.read(lambda session: store.find_callback(session, "MA1", gone))
    assert found is not None
    assert found.outcome == "status 404"


async def test_restart_between_send_and_mark_sends_again_with_the_same_id(office: Office) -> None:
    arrived = asyncio.Event()

    async def take_and_hang(request: SeenRequest, writer: Writer) -> None:
        arrived.set()
        await asyncio.Event().wait()

    office.server.replies("/hangup", take_and_hang, fixed("ok"))
    async with office.sender():
        (event_id,) = await office.put(office.callback(a="1"))
        await arrived.wait()
    assert (await office.counts()).pending == 1
    async with office.sender():
        await office.until_idle()
    assert [seen.headers["x-ringback-event-id"] for seen in office.server.seen] == [event_id, event_id]


async def test_one_slow_host_gets_a_bounded_number_of_requests(office: Office) -> None:
    office.server.on("/hangup", hang)
    async with http_server() as healthy:
        healthy.reply("/hangup")
        async with office.sender(replace(QUICK, per_target_max=3, in_flight_max=5)) as sender:
            await office.put(*[office.callback(f"c{number}") for number in range(20)])
            await office.put(*[replace(office.callback(f"h{n}"), url=healthy.url("/hangup")) for n in range(6)])
            await office.until(lambda: len(healthy.seen) == 6)
            assert len(office.server.seen) == 3
            assert sender.in_flight <= 5


async def test_failing_host_gets_one_request_at_a_time(office: Office) -> None:
    most = 0
    active = 0

    async def fail(request: SeenRequest, writer: Writer) -> None:
        nonlocal most, active
        active += 1
        most = max(most, active)
        await asyncio.sleep(0.01)
        active -= 1
        await fixed("", 503)(request, writer)

    office.server.on("/hangup", fail)
    async with office.sender(replace(QUICK, per_target_max=2, breaker_failures=2)) as sender:
        await office.put(*[office.callback(f"c{number}") for number in range(10)])
        await office.until(lambda: sender.counters.failed >= 2)
        await asyncio.sleep(0.03)
        most = 0
        await office.until(lambda: sender.counters.failed >= 6)
        assert most == 1


async def test_failures_at_once_count_as_one_reason_to_wait(office: Office) -> None:
    """A host that comes back after a moment is not kept waiting for as long as its callbacks were many."""
    is_back = False

    async def restart(request: SeenRequest, writer: Writer) -> None:
        await (fixed("") if is_back else close)(request, writer)

    office.server.on("/hangup", restart)
    slow = replace(QUICK, delivery=DeliveryRules(first_ms=100, longest_ms=600_000), per_target_max=8)
    async with office.sender(slow) as sender:
        await office.put(*[office.callback(f"c{number}") for number in range(8)])
        await office.until(lambda: sender.counters.failed >= 8)
        is_back = True
        await office.until_idle()
        await office.until(lambda: sender.counters.sent == 8)


async def test_tokens_come_from_the_account(office: Office) -> None:
    office.server.reply("/hangup")
    await office.database.write(lambda session: ensure_account(session, "MA1", "the-token"))
    sender = OutboxSender(office.database, office.http, office.timeline, QUICK)
    sender.start()
    await office.put(office.callback(Event="Hangup"))
    await office.until_idle()
    await sender.close()
    (seen,) = office.server.seen
    nonce = seen.headers["x-plivo-signature-v3-nonce"]
    header = seen.headers["x-plivo-signature-v3"]
    assert validate_v3_signature("POST", office.server.url("/hangup"), nonce, "the-token", header, dict(seen.form))


async def test_account_that_is_gone_ends_it(office: Office) -> None:
    async with office.sender():
        await office.put(replace(office.callback(), account_id="MA2"), replace(office.callback("c2"), method="PUT"))
        await office.until_idle()
    assert office.server.seen == []
    assert (await office.counts()).dead == 2


@pytest.mark.parametrize("url", ["https://10.0.0.1/", "nonsense", "http://[", "ftp://a/"])
async def test_url_that_will_never_work_is_set_aside_at_once(office: Office, url: str) -> None:
    async with office.sender() as sender:
        await office.put(replace(office.callback(), url=url))
        await office.until_idle()
        await office.until(lambda: sender.counters.dead == 1)
    assert office.timeline.of("webhook")[0]["outcome"] == "forbidden"


async def test_huge_replies_count_as_taken(office: Office) -> None:
    office.server.reply("/hangup", b"x" * 1_000_000)
    async with office.sender() as sender:
        await office.put(office.callback())
        await office.until_idle()
        await office.until(lambda: sender.counters.sent == 1)


async def test_stream_status_urls_take_no_settings_from_their_fragment(office: Office) -> None:
    office.server.on("/hangup", hang)
    async with office.sender() as sender:
        await office.put(replace(office.callback(path="/hangup#rt=100"), kind="stream-status"))
        await office.put(office.callback("c2", "/hangup#rt=100"))
        await office.until(lambda: sender.counters.failed >= 1)
        assert sender.in_flight == 1
    timeouts = office.timeline.of("webhook")
    assert {fields["target"] for fields in timeouts} == {"hangup"}


async def test_retries_that_the_url_allows_are_made_and_then_it_is_set_aside(office: Office) -> None:
    office.server.reply("/hangup", status=503)
    async with office.sender() as sender:
        event_ids = await office.put(
            office.callback("c1", "/hangup#rc=2"), replace(office.callback("c2", "/hangup#rc=0"), kind="stream-status")
        )
        await office.until(lambda: sender.counters.dead == 1)
        found = await office.database.read(lambda session: store.find_callback(session, "MA1", event_ids[0]))
        assert found is not None
        assert (found.state, found.attempts, found.outcome) == ("dead", 3, "status 503")
        other = await office.database.read(lambda session: store.find_callback(session, "MA1", event_ids[1]))
        assert other is not None
        assert other.state == "pending", "the URL of a stream's status takes no settings"


async def test_repeated_event_id_is_written_once(office: Office) -> None:
    same = replace(office.callback(), event_id="c1-hangup")
    assert await office.put(same, same) == ["c1-hangup", "c1-hangup"]
    assert (await office.counts()).pending == 1


async def test_oversized_body_is_cut_and_flagged(office: Office) -> None:
    small = office.callback(a="x" * 65_000)
    big = office.callback("c2", a="é" * 60_000, b="2")
    await office.put(small, big)
    rows = await office.database.read(
        lambda session: (
            store.list_callbacks(session, "MA1", call_uuid="c1") + store.list_callbacks(session, "MA1", call_uuid="c2")
        )
    )
    assert dict(rows[0].pairs) == {"a": "x" * 65_000}
    cut = dict(rows[1].pairs)
    assert cut["Truncated"] == "true"
    assert cut["a"] == "é" * 1024
    assert cut["b"] == "2"


async def test_hostile_texts_are_stored_and_sent(office: Office) -> None:
    office.server.reply("/hangup")
    async with office.sender():
        await office.put(office.callback(a="\ud800\x00\r\n", b="=&"))
        await office.until_idle()
    assert office.forms() == [{"a": "?\x00\r\n", "b": "=&"}]


async def test_tidy_keeps_the_table_within_bounds(office: Office) -> None:
    await office.put(*[office.callback(f"c{number}") for number in range(6)])
    now = clock.wall_ms()
    await office.database.write(lambda session: store.mark_sent(session, 1, "status 200", now - 10_000))

    def tidy(account_max: int) -> Callable[[Session], int]:
        return lambda session: store.tidy(session, now, keep_ms=5_000, account_max=account_max, longest_delay_ms=1_000)

    assert await office.database.write(tidy(5)) == 0
    assert await office.database.read(lambda session: store.list_callbacks(session, "MA1", call_uuid="c0")) == []
    assert await office.database.write(tidy(3)) == 2
    states = [
        (await office.database.read(lambda session, n=n: store.list_callbacks(session, "MA1", call_uuid=f"c{n}")))[
            0
        ].state
        for n in range(1, 6)
    ]
    assert states == ["dead", "dead", "pending", "pending", "pending"]


async def test_due_time_beyond_reach_is_brought_back(office: Office) -> None:
    await office.put(office.callback())
    now = clock.wall_ms()
    await office.database.write(lambda session: store.mark_failed(session, 1, "x", now + 3_600_000))
    await office.database.write(lambda session: store.tidy(session, now, 1, 100, 1_200_000))
    assert await office.database.read(lambda session: store.next_due_wall_ms(session)) == now


async def test_database_that_is_gone_does_not_stop_the_sender(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    real = office.database.read
    failures = 2

    async def flaky(work: Callable[[Session], object]) -> object:
        nonlocal failures
        if failures:
            failures -= 1
            raise RuntimeError("connection lost")
        return await real(work)

    office.server.reply("/hangup")
    await office.put(office.callback())
    office.database.read = flaky  # type: ignore[assignment, method-assign]
    async with office.sender():
        await office.until(lambda: len(office.server.seen) == 1)
        office.database.read = real  # type: ignore[method-assign]
        await office.until_idle()
    assert "outbox cannot be read" in caplog.text


@pytest.mark.parametrize(
    ("url", "target"),
    [
        ("https://A.example.com/x", "a.example.com:443"),
        ("http://a:8080/", "a:8080"),
        ("http://a/", "a:80"),
        ("http://[", "invalid:0"),
        ("http://a:x/", "invalid:0"),
    ],
)
def test_target_is_host_and_port(url: str, target: str) -> None:
    assert store.target_of(url) == target
