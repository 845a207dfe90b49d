"""Strangers on the wire beside live calls: malformed SIP and SDP, floods of rubbish, RTP from elsewhere."""

from __future__ import annotations

import asyncio
import random
import socket
import struct
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.support.agent_audio import to_mulaw
from tests.support.bystander import Bystander, bystander
from tests.support.customer import Customer
from tests.support.endings import ending_of
from tests.support.raw_api import RawApi
from tests.support.sip_stranger import ECHO, Stranger, sdp

from ringback.testing import tones
from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional
RAGE_S = 3
"""How long each attack lasts."""
TORTURE = sorted((Path(__file__).parents[1] / "vectors" / "sip").glob("rfc*/*.dat"))

Make = Callable[[Stranger], bytes]
REFUSED: list[tuple[str, Make, int, str]] = [
    ("no-sdp-at-all", lambda s: s.request(body="hello\r\n"), 400, "SDP"),
    ("broken-media-line", lambda s: s.request(body=sdp("0").replace("m=audio 40000", "m=audio many")), 400, "many"),
    ("other-codecs", lambda s: s.request(body=sdp("18 9", "a=rtpmap:18 G729/8000\r\n")), 488, "PCMU"),
    ("video-only", lambda s: s.request(body=sdp("31").replace("m=audio", "m=video")), 488, "audio"),
    ("srtp-only", lambda s: s.request(body=sdp("0").replace("RTP/AVP", "RTP/SAVP")), 488, "RTP/SAVP"),
    ("no-sdp-type", lambda s: s.request(body="x=1", Content_Type="text/plain"), 415, "application/sdp"),
    ("unknown-number", lambda s: s.request(uri="sip:15559999999@127.0.0.1", body=sdp("0")), 404, "Not Found"),
    ("other-cseq", lambda s: s.request(CSeq="1 OPTIONS"), 400, "CSeq"),
    ("huge-cseq", lambda s: s.request(CSeq="99999999999999999999 INVITE"), 400, "CSeq"),
    ("two-call-ids", lambda s: s.request(Call_ID="a\r\nCall-ID: b"), 400, "call-id"),
    ("long-body", lambda s: s.request(body=sdp("0")).replace(b"Content-Length: ", b"Content-Length: 9"), 400, "ength"),
    ("long-header", lambda s: s.request(Subject="x" * 20_000), 513, ""),
    ("long-uri", lambda s: s.request(uri="sip:" + "1" * 3_000 + "@127.0.0.1"), 414, ""),
    ("other-scheme", lambda s: s.request(uri="http://127.0.0.1/"), 416, ""),
    ("requires-too-much", lambda s: s.request(Require="sec-agree"), 420, "Unsupported: sec-agree"),
    ("unknown-method", lambda s: s.request("FOO"), 405, "Allow: "),
    ("subscribe", lambda s: s.request("SUBSCRIBE", Event="presence"), 405, "Allow: "),
    ("bye-of-nothing", lambda s: s.request("BYE"), 481, ""),
    ("cancel-of-nothing", lambda s: s.request("CANCEL"), 481, ""),
    ("version", lambda s: s.request().replace(b"@127.0.0.1 SIP/2.0", b"@127.0.0.1 SIP/3.0"), 505, ""),
]
"""Name, datagram, status, and what the answer must say."""
DROPPED: list[Make] = [
    *(lambda s, name=name: s.request(without=name) for name in ("Via", "To", "From", "Call-ID", "CSeq")),
    lambda s: s.request()[:60],
    lambda s: b"",
    lambda s: b"\r\n" * 3,
    lambda s: b"\x00" * 1_400,
    lambda s: random.Random(1).randbytes(1_400),
    lambda s: random.Random(2).randbytes(65_507),
    lambda s: s.request(**{f"X-{number}": "1" for number in range(300)}),
]
"""Datagrams from which no answer can or should be built."""


async def test_malformed_sip_and_sdp_are_refused_with_a_reason(platform: Platform) -> None:
    failures = []

    async def refused(name: str, make: Make, status: int, says: str) -> None:
        try:
            with Stranger(platform) as stranger:
                text = await stranger.answer(make(stranger))
                assert text.startswith(f"SIP/2.0 {status} "), text
                assert says in text, text
        except Exception as error:
            error.add_note(f"kind: {name}")
            failures.append(error)

    await asyncio.gather(*(refused(*case) for case in REFUSED))
    if failures:
        raise ExceptionGroup("refusals", failures)


async def test_what_cannot_be_answered_is_dropped(platform: Platform) -> None:
    with Stranger(platform) as stranger:
        for make in DROPPED:
            stranger.send(make(stranger))
            text = await stranger.answer(stranger.request("OPTIONS"))
            assert text.startswith("SIP/2.0 200 "), text
            assert stranger.heard() == 0


async def local_rtp(platform: Platform, call: Bystander) -> tuple[str, int]:
    """Return where the platform receives the RTP of a call."""
    rows = await asyncio.to_thread(platform.api.events, call.call_uuid)
    [local] = [row["fields"]["local"] for row in rows if row["kind"] == "leg" and row["fields"]["event"] == "answered"]
    host, _, port = local.partition(":")
    return host, int(port)


async def assert_unharmed(platform: Platform, call: Bystander) -> None:
    """Check that a call heard its own tone and nothing else, and that it is still up."""
    rows = await asyncio.to_thread(platform.api.events, call.call_uuid)
    assert not [row for row in rows if row["kind"] == "digit"]
    verdict = await call.verdict()
    assert verdict.ended_by == "us"
    verdict.assert_whole()


async def test_rubbish_on_the_sip_ports_harms_no_call(platform: Platform) -> None:
    """Noise, mutated requests, the torture messages and forged requests of the live call, over UDP and TCP."""
    chance = random.Random(20_261_122)
    async with bystander(platform.uri(ECHO)) as call:
        rows = await asyncio.to_thread(platform.api.events, call.call_uuid)
        invite = next(row["fields"]["raw"] for row in rows if row["kind"] == "sip")
        call_id = next(line for line in invite.split("\r\n") if line.lower().startswith("call-id:")).split(": ")[1]
        with Stranger(platform) as near, Stranger(platform, "127.0.0.66") as far:
            started, number = time.monotonic(), 0
            while time.monotonic() - started < RAGE_S:
                number += 1
                stranger = (near, far)[number % 2]
                template = bytearray(stranger.request(body=sdp("0"), uri="sip:15559999999@127.0.0.1"))
                for _ in range(8):
                    template[chance.randrange(len(template))] = chance.randrange(256)
                stranger.send(bytes(template))
                stranger.send(chance.randbytes(chance.randrange(1_500)))
                if number % 50 == 0:
                    stranger.send(b"\x00" * 65_507)
                    await asyncio.sleep(0.01)
            for path in TORTURE:
                near.send(path.read_bytes())
            for method in ("BYE", "CANCEL", "INVITE", "INFO"):
                with Stranger(platform, "127.0.0.67") as forger:
                    to = f"<sip:{ECHO}@127.0.0.1>;tag=guess"
                    forged = forger.request(method, body=sdp("0"), Call_ID=call_id, To=to)
                    assert (await forger.answer(forged)).startswith("SIP/2.0 481 "), method
        await raging_tcp(platform, chance)
        with Stranger(platform) as stranger:
            assert (await stranger.answer(stranger.request("OPTIONS"))).startswith("SIP/2.0 200 ")
        await assert_unharmed(platform, call)


async def raging_tcp(platform: Platform, chance: random.Random) -> None:
    """Send rubbish over TCP connections, each of which the platform must close or bear."""

    async def one(data: bytes) -> None:
        reader, writer = await asyncio.open_connection(platform.sip_host, platform.sip_port)
        try:
            writer.write(data)
            async with asyncio.timeout(20):
                await writer.drain()
                await reader.read(1_024)
        except ConnectionError:
            # Closed while we were sending, as it should be.
            pass
        finally:
            writer.transport.abort()

    await asyncio.gather(
        one(chance.randbytes(100_000) + b"\r\n\r\n"),
        one(b"\x00" * 100_000),
        one(b"INVITE sip:x SIP/2.0\r\n" + b"X: y\r\n" * 20_000),
        one(b"INVITE sip:x@127.0.0.1 SIP/2.0\r\nContent-Length: 99999999\r\n\r\n"),
        one(b"INVITE sip:x@127.0.0.1 SIP/2.0\r\nContent-Length: -1\r\n\r\n"),
    )


def rtp(sequence: int, ssrc: int, payload: bytes, payload_type: int = 0, marker: int = 0) -> bytes:
    timestamp = sequence * 160 & 0xFFFFFFFF
    return struct.pack("!BBHII", 0x80, payload_type | marker, sequence & 0xFFFF, timestamp, ssrc) + payload


async def test_rtp_from_elsewhere_is_neither_played_nor_answered_nor_mutes(platform: Platform) -> None:
    """A louder tone, keys, and rubbish of every size, far more packets than the call has, from three addresses."""
    voice = to_mulaw(tones.tone(1_500, 20, level_dbov=-6.0))
    key = bytes([5, 0x80 | 10, 0, 160])
    rubbish = [
        b"",
        b"\x80",
        b"\x16\xfe\xff" + bytes(60),
        b"\x00\x01\x00\x00\x21\x12\xa4\x42" + bytes(12),
        bytes(65_507),
    ]
    async with bystander(platform.uri(ECHO)) as call:
        target = await local_rtp(platform, call)
        hosts = ("127.0.0.1", "127.0.0.66", "127.0.0.67")
        sockets = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in hosts]
        try:
            for host, each in zip(hosts, sockets, strict=True):
                each.bind((host, 0))
                each.setblocking(False)
            started, sequence = time.monotonic(), 0
            while time.monotonic() - started < RAGE_S:
                for each in sockets:
                    for _ in range(4):
                        sequence += 1
                        each.sendto(rtp(sequence, 0xBAD, voice), target)
                    each.sendto(rtp(sequence, 0xBAD, key, 101, 0x80), target)
                    each.sendto(rubbish[sequence % len(rubbish)], target)
                await asyncio.sleep(0.02)
            assert sequence > 1_000
            for each in sockets:
                with pytest.raises(BlockingIOError):
                    each.recv(1)
        finally:
            for each in sockets:
                each.close()
        await assert_unharmed(platform, call)


ANSWERS = {
    "no-sdp": ("", "found no SDP where the answer to our offer belongs"),
    "broken-sdp": ("v=0\r\nhello\r\n", "in SDP"),
    "other-codec": (sdp("18", "a=rtpmap:18 G729/8000\r\n"), "found codecs G729/8000, expected one of PCMU, PCMA"),
    "refused-audio": (sdp("0").replace("m=audio 40000", "m=audio 0"), "audio"),
    "multicast": (sdp("0").replace("127.0.0.1", "224.0.0.1"), "found no unicast c= line"),
}
"""SDP with which a callee answers, and what must be said about it."""


async def test_callee_whose_answer_carries_no_audio(platform: Platform, customer: Customer) -> None:
    """It is acknowledged and hung up on, no document is asked for, and the customer learns why."""
    api = RawApi(platform)

    async def call(body: str, says: str) -> None:
        with Stranger(platform) as callee:
            serving = asyncio.create_task(callee.serve("200 OK", body))
            call_uuid = await api.make_call(
                to=f"sip:stranger@{callee.host}:{callee.port}",
                answer_url=customer.url("/never"),
                hangup_url=customer.url("/hangup"),
            )
            assert await serving == ["INVITE", "ACK", "BYE"]
        params = await customer.hangup_params("/hangup", call_uuid)
        assert (params["HangupCauseCode"], params["CallStatus"]) == ("5020", "failed")
        assert params["HangupCause"] == "BEARERCAPABILITY_NOTAVAIL"
        assert says in (await ending_of(customer, call_uuid))["detail"]

    await asyncio.gather(*(call(*answer) for answer in ANSWERS.values()))
    assert not customer.seen("/never")
