"""The protocol page against the code: every example, refusal, limit and close code on it is what really happens."""

from __future__ import annotations

import base64
import json
import re
import warnings
from pathlib import Path
from typing import Any

import pytest
from pydantic import TypeAdapter
from tests.support.media_leg import CALL_UUID, STREAM_UUID, WALL_MS, Leg, stream_settings

from ringback.ids import CommandId, SessionId, StreamId
from ringback.machine import Instant
from ringback.media import checkpoint
from ringback.media.codecs.convert import AGENT_RATES_HZ, STREAM_FORMATS, ULAW_8K
from ringback.media.control.commands import OpenStream
from ringback.media.control.settings import WorkerSettings
from ringback.media.control.values import Address, DelayPolicy, Track
from ringback.media.settings import MediaSettings
from ringback.media.stream import messages
from ringback.media.stream import session as stream_session
from ringback.media.stream.session import StreamSettings
from ringback.media.worker import close_codes
from ringback.media.worker.stream_request import handshake_headers
from ringback.streams import spec
from ringback.streams.service import StreamSettings as ServiceSettings
from ringback.webhooks.payloads import StreamFacts, stream_status_params
from ringback.webhooks.signature import SigningKeys, stream_signature_headers

with warnings.catch_warnings():
    # The SDK itself uses what pydantic deprecates.
    warnings.simplefilter("ignore")
    from plivo_stream import types as plivo_types

FOLDER = Path(__file__).parents[2] / "docs" / "protocol"
PAGE = (FOLDER / "stream.md").read_text()
ACCOUNT = "MADEVDEVDEVDEVDEVDEV"
HEADERS = "tenant=7;lang=en"
FENCE = re.compile(r"^```(\w+)(?: ([\w-]+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SDK_MODELS = {
    "start": plivo_types.StartEvent,
    "media": plivo_types.MediaEvent,
    "dtmf": plivo_types.DtmfEvent,
    "playedStream": plivo_types.PlayedStreamEvent,
    "clearedAudio": plivo_types.ClearedAudioEvent,
}


def examples(kind: str) -> list[str]:
    """Return the fenced examples of a kind, in the order of the page."""
    return [match[3].strip() for match in FENCE.finditer(PAGE) if match[2] == kind]


def section(title: str) -> str:
    """Return the text below a heading, up to the next one of any level."""
    found = re.search(rf"^#+ {re.escape(title)}\n(.*?)(?=^#|\Z)", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None, f"the page has no section {title!r}"
    return found[1]


def rows(title: str) -> list[list[str]]:
    """Return the cells of the table below a heading, its head left out."""
    lines = [line for line in section(title).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def code(cell: str) -> str:
    """Return the text of a cell that is one code span."""
    ticks = re.match(r"`+", cell)
    assert ticks is not None, f"not a code span: {cell}"
    inner = cell.removeprefix(ticks[0]).removesuffix(ticks[0])
    return inner.strip() if len(ticks[0]) > 1 else inner


def conversation() -> list[dict[str, Any]]:
    """Return the messages of the page's conversation as the code sends them."""
    leg = Leg(stream=stream_settings(extra_headers=HEADERS))
    leg.slots(1)
    leg.session.signalled_digit(Instant(leg.now), "5")
    leg.collect()
    leg.command({"event": "checkpoint", "name": "turn-1"})
    leg.command({"event": "clearAudio"})
    leg.command({"event": "clear"})
    leg.play(b"\x80" * 8 * 60_001)
    leg.stream.stop(Instant(leg.now))
    leg.collect()
    return leg.heard


def test_examples_to_the_agent_are_what_is_sent() -> None:
    sent = conversation()
    for message in sent:
        if message["event"] == "media":
            audio = base64.b64decode(message["media"]["payload"])
            message["media"]["payload"] = f"<{len(audio)} bytes>"
    assert [json.loads(example) for example in examples("to-agent")] == sent


def test_examples_to_the_agent_are_accepted_by_the_official_client() -> None:
    documented = [json.loads(example) for example in examples("to-agent")]
    assert {message["event"] for message in documented} >= set(SDK_MODELS)
    for message in documented:
        model = SDK_MODELS.get(message["event"])
        if model is not None:
            TypeAdapter(model).validate_python(message)


TOLD_REASONS = {"UPLINK_DROPPED", "ANSWERS_DROPPED", "BINARY_IGNORED", "DELAY_CUT", "PACKETS_LATE"}


def asking_conversation() -> list[dict[str, Any]]:
    """Return what the page's agent that asked for the truth is told by the code."""
    leg = Leg(stream=stream_settings(extra_headers="tenant=7,ringback.truth=1"))
    leg.stream.suspend(Instant(0))
    leg.session.signalled_digit(Instant(0), "5")
    leg.now += 340_000_000
    leg.stream.open(Instant(leg.now), WALL_MS)
    leg.collect()
    del leg.heard[0]
    leg.play(b"\x80" * 8_000)
    leg.command({"event": "checkpoint", "name": "first sentence"})
    leg.play(b"\x80" * 24_000)
    leg.command({"event": "checkpoint", "name": "all of it"})
    leg.slots(150)
    leg.command({"event": "clearAudio"})
    leg.command({"event": "queryAudio"})
    leg.stream.feed_binary(Instant(leg.now))
    leg.collect()
    told = [message for message in leg.heard if message["event"] != "media"]
    for number, message in enumerate(told, start=1):
        # Left out of the page: the audio between.
        message["sequenceNumber"] = number
    return told


def test_examples_to_an_agent_that_asks_are_what_is_sent() -> None:
    documented = [json.loads(example) for example in examples("to-asking-agent")]
    assert documented == asking_conversation()
    for message in documented:
        model = SDK_MODELS.get(message["event"])
        if model is not None:
            TypeAdapter(model).validate_python(message)
    members = [name for cells in rows("What the caller heard") for name in re.findall(r"`(\w+)`", cells[0])]
    assert members == list(documented[-2]["audio"])
    reasons = {code(cells[0]) for cells in rows("What was dropped")}
    assert reasons == {value for name, value in vars(stream_session).items() if name in TOLD_REASONS}


def test_each_message_has_its_heading() -> None:
    to_agent, from_agent = PAGE.index("## Messages to your agent"), PAGE.index("## Messages from your agent")
    end = PAGE.index("## Refused messages")
    for text, kind in ((PAGE[to_agent:from_agent], "to-agent"), (PAGE[from_agent:end], "from-agent")):
        headings = re.findall(r"^### (\w+)$", text, re.MULTILINE)
        documented = {json.loads(example).get("event", "Ignored") for example in examples(kind)}
        assert set(headings) == documented


@pytest.mark.parametrize("example", examples("from-agent"))
def test_examples_from_the_agent_are_accepted(example: str) -> None:
    leg = Leg(stream=stream_settings())
    assert leg.command(example.encode()) == 0
    assert not leg.named("incorrectPayload")
    parsed = messages.parse_command(example.encode(), ULAW_8K)
    wanted = json.loads(example).get("event", "ignored")
    kinds: dict[str, type] = {
        "playAudio": messages.PlayAudio,
        "checkpoint": messages.Checkpoint,
        "clearAudio": messages.ClearAudio,
        "queryAudio": messages.QueryAudio,
        "sendDTMF": messages.SendDtmf,
        "stop": messages.StopStream,
        "ignored": messages.Ignored,
    }
    assert isinstance(parsed, kinds[wanted])
    if wanted == "playAudio":
        assert leg.slots(1).rstrip(b"\xff"), "the example is heard"


def test_every_command_is_on_the_page() -> None:
    documented = {json.loads(example).get("event") for example in examples("from-agent")}
    source = Path(messages.__file__).read_text()
    understood = set(re.findall(r'^        case "(\w+)":', source[source.index("def parse_command") :], re.MULTILINE))
    assert understood - {"_lt_meta"} == documented - {None}


@pytest.mark.parametrize(("message", "reason"), [(row[0], row[1]) for row in rows("Refused messages")])
def test_refusals_are_what_is_answered(message: str, reason: str) -> None:
    leg = Leg()
    assert leg.command(code(message).encode()) == 0
    assert [answer["reason"] for answer in leg.named("incorrectPayload")] == [code(reason)]


def test_further_reasons_exist() -> None:
    further = section("Refused messages").partition("Further reasons:")[2]
    reasons = [" ".join(reason.split()) for reason in re.findall(r"`([^`]+)`", further)]
    source = "".join(Path(module.__file__).read_text() for module in (messages, stream_session))
    assert reasons
    for reason in reasons:
        assert f'"{reason}"' in source


def test_formats_are_those_that_streams_have() -> None:
    documented = {code(cells[0]): [code(cells[1]), *map(int, cells[2:])] for cells in rows("Formats")}
    assert set(documented) == set(spec.FORMATS)
    assert set(spec.FORMATS.values()) == set(STREAM_FORMATS)
    for content_type, format in spec.FORMATS.items():
        leg = Leg(format=format)
        leg.slots(1)
        payload = leg.media()[0]["payload"]
        size = len(base64.b64decode(payload))
        assert documented[content_type] == [format.encoding.value, format.rate_hz, size, len(payload)]
    rates = ", ".join(map(str, AGENT_RATES_HZ[:-1])) + f" and {AGENT_RATES_HZ[-1]}"
    assert f"Rates: {rates}," in PAGE


def test_handshake_headers_are_those_that_are_sent() -> None:
    [example] = [match[3] for match in FENCE.finditer(PAGE) if match[1] == "http"]
    request, *lines = example.strip().splitlines()
    assert request == "GET /agent?tenant=7 HTTP/1.1"
    documented = dict(line.split(": ", 1) for line in lines)
    command = OpenStream(
        command_id=CommandId("c"),
        session_id=SessionId("s"),
        stream_id=StreamId(STREAM_UUID),
        url="wss://agent.example/agent?tenant=7",
        headers=stream_signature_headers("wss://agent.example/agent?tenant=7", "1" * 20, SigningKeys(("token",))),
        addresses=(Address("192.0.2.1", 443),),
        call_uuid=CALL_UUID,
        account_id=ACCOUNT,
        track=Track.INBOUND,
        bidirectional=True,
        format=ULAW_8K,
    )
    ours = dict(handshake_headers(command))
    by_the_library = {"Upgrade", "Connection", "Sec-WebSocket-Version", "Sec-WebSocket-Key"}
    assert set(documented) == set(ours) | by_the_library
    assert documented["Host"] == ours["Host"]
    assert documented["Sec-WebSocket-Protocol"] == ours["Sec-WebSocket-Protocol"]


def test_connection_times_are_those_of_the_settings() -> None:
    service, worker = ServiceSettings(), WorkerSettings()
    assert (
        f"Up to {service.connect_attempts} attempts, each at most {service.connect_timeout_ms // 1000} s, "
        f"{service.connect_gap_ms // 1000} s apart; all together at most {worker.stream_dial_max_ms // 1000} s."
    ) in PAGE
    assert f"at most twice and for at most {service.away.reconnect_max_ms // 1000} s;" in PAGE
    assert service.away.reconnects == 2
    assert worker.stream_settled_ms == 60_000
    away = {cells[0].strip("`"): cells[2].strip("`") for cells in rows("While the agent is away")}
    assert away == {
        "stream.hold": service.away.hold,
        "stream.hold_after_ms": str(service.away.hold_after_ms),
        "stream.reconnects": str(service.away.reconnects),
        "stream.reconnect_max_ms": str(service.away.reconnect_max_ms),
        "stream.fallback_url`, `stream.fallback_method": service.away.fallback_url,
        "stream.dead_after_ms": str(service.dead_after_ms),
    }
    assert f"sends one every {worker.stream_ping_ms // 1000} s" in PAGE
    assert f"is heard for {worker.stream_pong_timeout_ms // 1000} s after a" in PAGE
    assert f"{service.one_way_max} one-way streams and {service.two_way_max} two-way stream" in PAGE


def test_delay_policies_are_those_of_the_code() -> None:
    assert [re.findall(r"`([\w-]+)`", cells[0])[0] for cells in rows("Delay")] == [each.value for each in DelayPolicy]


def test_close_codes_are_those_that_are_sent() -> None:
    documented = {int(cells[0]) for cells in rows("Close codes")}
    received_only = {close_codes.CLOSE_NO_STATUS, close_codes.CLOSE_ABNORMAL}
    known = {value for name, value in vars(close_codes).items() if name.startswith("CLOSE_")}
    known |= {value for name, value in vars(stream_session).items() if name.startswith("CLOSE_")}
    assert documented == known - received_only


def test_limits_are_those_of_the_code() -> None:
    worker, service = WorkerSettings(), ServiceSettings()
    of_stream = StreamSettings(
        stream_id=StreamId("s"),
        call_uuid="c",
        account_id="a",
        track=Track.INBOUND,
        bidirectional=True,
        format=ULAW_8K,
    )
    assert of_stream.message_hard_max_bytes == worker.stream_frame_max_bytes
    assert messages.NAME_MAX_BYTES == checkpoint.NAME_MAX_BYTES
    assert MediaSettings().digits_max == messages.DIGITS_MAX
    expected = {
        "text message": of_stream.message_max_bytes,
        "text message, hard": of_stream.message_hard_max_bytes,
        "fragments of a message": worker.stream_fragments_max,
        "nesting of a message": messages.DEPTH_MAX,
        "keys of an object": messages.KEYS_MAX,
        "messages in a burst": worker.stream_messages_burst,
        "messages per second after it": worker.stream_messages_per_s,
        "play queue": service.playout_max_ms,
        "waiting checkpoints": checkpoint.CHECKPOINTS_MAX,
        "checkpoint name": messages.NAME_MAX_BYTES,
        "digits waiting to be sent": messages.DIGITS_MAX,
        "audio that you do not read": service.uplink_max_ms,
        "answers that you do not read": stream_session.ANSWERS_MAX,
        "`extra_headers`": spec.EXTRA_HEADERS_MAX_BYTES,
        "stream URL": spec.URL_MAX_CHARS,
    }
    assert {cells[0]: int(cells[1].split()[0]) for cells in rows("Limits")} == expected


def test_the_status_callback_is_what_is_posted() -> None:
    [example] = [json.loads(text) for text in examples("status-callback")]
    facts = StreamFacts(
        call_uuid=CALL_UUID,
        stream_id=STREAM_UUID,
        from_number="+14155551234",
        to_number="+14155556789",
        direction="inbound",
        parent_auth_id=ACCOUNT,
        service_url="wss://agent.example/agent?tenant=7",
        status_callback_url="https://app.example/stream-status",
        bidirectional=True,
        content_type="audio/x-mulaw;rate=8000",
        extra_headers=HEADERS,
        keep_call_alive=True,
    )
    assert stream_status_params(facts, "StopStream", WALL_MS, "completed", 27) == example


def test_links_within_the_pages_lead_somewhere() -> None:
    for page in FOLDER.glob("*.md"):
        text = page.read_text()
        for target in re.findall(r"\]\(([^)]+)\)", text):
            name, _, anchor = target.partition("#")
            if "://" in target:
                continue
            aim = (page.parent / name) if name else page
            assert aim.exists(), f"{page.name}: {target}"
            if anchor:
                headings = re.findall(r"^#+ (.+)$", aim.read_text(), re.MULTILINE)
                anchors = {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}
                assert anchor in anchors, f"{page.name}: {target}"
