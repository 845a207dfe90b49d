"""The choices where published sources contradict each other: extra headers, handshake headers, status callbacks."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.unit.streams.test_streams_service import CALLBACK, URL, World, world

from ringback.billing.rating import RateTable
from ringback.media.control.events import StreamDegraded
from ringback.media.control.values import PlayFormats, StreamEnd
from ringback.storage.database import Session
from ringback.streams.store import close_orphaned_streams
from ringback.streams.switches import (
    HANDSHAKE_HEADERS_MAX,
    StreamSwitches,
    delivered,
    handshake_headers,
    header_pairs,
)
from ringback.webhooks import store
from ringback.webhooks.payloads import StatusScheme

__all__ = ["world"]


def switch(world: World, **switches: object) -> None:
    settings = world.streams.settings
    world.streams.settings = replace(settings, switches=replace(StreamSwitches(), **switches))


@pytest.mark.parametrize(
    ("text", "pairs"),
    [
        ("", []),
        ("k=v", [("k", "v")]),
        ("k=v,k2=v2", [("k", "v"), ("k2", "v2")]),
        ("k=v; k2 = v2 ;", [("k", "v"), ("k2", "v2")]),
        ("token=a=b==,flag", [("token", "a=b=="), ("flag", "")]),
        ('{"a": "b", "n": 7, "deep": {"x": [1]}, "yes": true}',
         [("a", "b"), ("n", "7"), ("deep", '{"x":[1]}'), ("yes", "true")]),
        ('{"a": ', []),
        ("{" * 600, []),
    ],
)  # fmt: skip
def test_pairs_of_extra_headers(text: str, pairs: list[tuple[str, str]]) -> None:
    assert list(header_pairs(text)) == pairs


@pytest.mark.parametrize(
    ("text", "json"),
    [
        ("", "{}"),
        ("  ", "{}"),
        ("tenant=7;lang=en", '{"tenant":"7","lang":"en"}'),
        ('a="b"', '{"a":"\\"b\\""}'),
        (' {"a": 1} ', '{"a": 1}'),
        ("{}", "{}"),
        ("{ }", "{ }"),
        ('{"a": ', "{}"),
    ],
)
def test_extra_headers_as_json_and_verbatim(text: str, json: str) -> None:
    assert delivered(text, is_json=True) == json
    assert delivered(text, is_json=False) == text


def test_what_can_be_a_header_of_the_handshake_is_one_and_the_rest_is_told() -> None:
    headers, notes = handshake_headers(
        "tenant=7,Authorization=Bearer a=b,ringback.truth=1,X-Plivo-Signature-V3=forged,Host=evil,"
        "Sec-WebSocket-Key=x,two words=1,umlaut=ä,line=a\r\nb,origin=https://a"
    )
    assert headers == (("tenant", "7"), ("Authorization", "Bearer a=b"))
    assert len(notes) == 7
    assert sum("Ringback's own" in note for note in notes) == 4
    assert sum("cannot be an HTTP header" in note for note in notes) == 3


def test_headers_of_the_handshake_are_bounded() -> None:
    most = ",".join(f"k{number}=v" for number in range(HANDSHAKE_HEADERS_MAX))
    assert (len(handshake_headers(most)[0]), handshake_headers(most)[1]) == (HANDSHAKE_HEADERS_MAX, ())
    headers, notes = handshake_headers(most + ",one=more")
    assert len(headers) == HANDSHAKE_HEADERS_MAX
    assert notes == (f"more than {HANDSHAKE_HEADERS_MAX} extra headers, the rest was left out of the handshake",)


async def test_without_switches_the_worker_gets_the_text_and_the_signatures_alone(world: World) -> None:
    await world.start(extra_headers="tenant=7;lang=en")
    (command,) = world.opened
    assert command.extra_headers == "tenant=7;lang=en"
    assert {name for name, _ in command.headers} == {
        *("X-Plivo-Signature-V3", "X-Plivo-Signature-Ma-V3", "X-Plivo-Signature-V3-Nonce"),
    }
    assert command.formats is PlayFormats.ANY


async def test_the_worker_is_told_the_choices_of_the_node(world: World) -> None:
    switch(world, formats=PlayFormats.STRICT, has_json_headers=True, are_headers_sent=True)
    await world.start(extra_headers="tenant=7;host=evil", status_callback_url=CALLBACK)
    (command,) = world.opened
    assert command.extra_headers == '{"tenant":"7","host":"evil"}'
    assert dict(command.headers)["tenant"] == "7"
    assert "host" not in dict(command.headers)
    assert command.formats is PlayFormats.STRICT
    assert any("'host'" in str(note.get("detail")) for note in world.call.keeper.notes)  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    ("switches", "text", "is_told"),
    [
        ({"has_json_headers": True}, '{"tenant": "7"', True),
        ({"are_headers_sent": True}, '{"tenant": "7"', True),
        ({}, '{"tenant": "7"', False),
        ({"has_json_headers": True}, "{ }", False),
        ({"has_json_headers": True}, "tenant=7", False),
    ],
)
async def test_an_object_that_cannot_be_read_is_told(
    world: World, switches: dict[str, bool], text: str, is_told: bool
) -> None:
    switch(world, **switches)
    await world.start(extra_headers=text)
    details = [str(note.get("detail")) for note in world.call.keeper.notes]  # type: ignore[attr-defined]
    assert any("no pair was found" in detail for detail in details) == is_told


async def test_status_callbacks_of_the_second_scheme_as_json(world: World) -> None:
    switch(world, scheme=StatusScheme.STARTED, has_json_status=True)
    stream_id = await world.start(extra_headers="k=v", status_callback_url=CALLBACK)
    await world.open(stream_id)
    world.streams.handle(
        world.call,
        StreamDegraded(session_id=world.leg.session_id, stream_id=stream_id, percent=30, queued_ms=12_000),
    )
    world.close(stream_id, StreamEnd.AGENT_CLOSED)
    await world.settle()
    events = [(told["Event"], told.get("StatusReason")) for told in await world.callbacks()]
    assert events == [("started", None), ("degraded", "buffer_30_percent"), ("stopped", "completed")]
    assert await kinds(world) == [("stream-status", True)] * 3


async def test_numbers_with_plus_are_those_of_the_calls(world: World) -> None:
    world.call.terms = replace(world.call.terms, from_number="14155551234")
    world.call.keeper.settings = replace(world.call.keeper.settings, has_plus=True)
    await world.open(await world.start(status_callback_url=CALLBACK))
    [told] = await world.callbacks()
    assert (told["From"], told["To"]) == ("+14155551234", "2")


async def test_streams_left_open_are_told_of_by_the_same_scheme(world: World) -> None:
    await world.start(URL, status_callback_url=CALLBACK)
    switches = StreamSwitches(scheme=StatusScheme.STARTED, has_json_status=True)

    def work(session: Session) -> int:
        return close_orphaned_streams(session, 1_700_000_061_000, RateTable(), switches, has_plus=True)

    assert await world.database.write(work) == 1
    [told] = await world.callbacks()
    assert (told["Event"], told["Timestamp"]) == ("failed", "2023-11-14T22:14:21Z")
    assert await kinds(world) == [("stream-status", True)]


async def kinds(world: World) -> list[tuple[str, bool]]:
    rows = await world.database.read(lambda session: store.list_callbacks(session, "MADEVDEVDEVDEVDEVDEV"))
    return [(row.kind, row.is_json) for row in rows]
