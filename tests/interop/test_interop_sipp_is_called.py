"""The platform calls SIPp: by the official SDK to a SIP URI, or through a trunk; one scenario file per behaviour."""

from __future__ import annotations

import hashlib
import re
import socket
from collections.abc import Mapping, Sequence
from concurrent.futures import Future

import pytest
from tests.support.agent_audio import heard_by, say
from tests.support.customer import response, stream
from tests.support.echo_judge import until_echo
from tests.support.interop_stage import PASSWORD, USERNAME, Stage
from tests.support.rtp_party import PCMA, rtp_party
from tests.support.scenes import Scenes
from tests.support.sipp import SippRun, header, headers, sdp
from tests.support.stream_agent import AgentConnection, stream_agent
from tests.support.waiting import until

from ringback.testing import tones

pytestmark = pytest.mark.interop("sipp")
scene: Scenes[Stage] = Scenes()
NORMAL = (4000, "NORMAL_CLEARING", "completed")
CHALLENGE = 'realm="carrier.example", nonce="c2b40b8f1b0e", algorithm=MD5, qop="auth"'


async def talk(
    stage: Stage, scenario: str, to: str = "", *, options: Sequence[str] = (), payload_type: int = 0, **more: object
) -> tuple[str, SippRun]:
    """Call a callee, hear the agent's echo of what the callee says, hang up by the API, and return UUID and run."""
    async with rtp_party(payload_type=payload_type) as party:
        async with stage.callee(scenario, *options, rtp_port=party.port, formats=payload_type, **more) as peer:  # type: ignore[arg-type]
            call_uuid = await stage.dial(to or peer.uri)
            await until_echo(party.melody, party.heard)
            await stage.hang_up(call_uuid)
            run = (await peer.finish()).check()
        assert set(party.payload_types) == {payload_type}
    return call_uuid, run


@scene
async def silent_gateway_is_given_up_for_the_next(stage: Stage) -> None:
    dead, live = stage.carriers.ports["silent-first"]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as deaf:
        deaf.bind(("127.0.0.1", dead))
        _, run = await talk(stage, "uas_answer", "+" + stage.carriers.number("silent-first"), port=live)
    assert run.requests("INVITE")[0].startswith(f"INVITE sip:+{stage.carriers.number('silent-first')}@127.0.0.1:")


@scene
async def answered_call_over_udp(stage: Stage) -> None:
    call_uuid, run = await talk(stage, "uas_answer")
    assert await stage.cause(call_uuid) == NORMAL
    (invite,) = run.requests("INVITE")
    assert header(invite, "X-CallUUID") == call_uuid
    assert next(line for line in sdp(invite) if line.startswith("m=")).split()[3:] == ["0", "8", "101"]
    (bye,) = run.requests("BYE")
    assert header(bye, "Reason").startswith("Q.850;cause=16")
    assert run.call_uuid == call_uuid


@scene
async def answered_call_over_tcp(stage: Stage) -> None:
    async with rtp_party() as party, stage.callee("uas_answer", transport="tcp", rtp_port=party.port) as peer:
        call_uuid = await stage.dial(peer.uri + ";transport=tcp")
        await until_echo(party.melody, party.heard)
        await stage.hang_up(call_uuid)
        (await peer.finish()).check()


@scene
async def a_law_callee(stage: Stage) -> None:
    await talk(stage, "uas_answer", payload_type=PCMA)


@scene
async def agent_hears_itself_from_sipps_own_rtp_echo(stage: Stage) -> None:
    song = tones.melody(5, 10_000)

    def sing(connection: AgentConnection, message: dict[str, object]) -> None:
        if message["event"] == "start":
            say(connection, song)

    async with stream_agent(echo=False, on_message=sing) as agent:
        url = stage.customer.serve("/sings", response(stream(agent.url)))
        async with stage.callee("uas_answer", "-rtp_echo", rtp_port="[media_port]") as peer:
            call_uuid = await stage.dial(peer.uri, answer_url=url)
            await until(lambda: agent.connections, "the stream")
            await until_echo(song, lambda: heard_by(agent.connections[0]))
            await stage.hang_up(call_uuid)
            (await peer.finish()).check()


@scene
async def custom_headers_reach_the_callee(stage: Stage) -> None:
    async with stage.callee("uas_refuse", header="X-None: 1") as peer:
        await stage.dial(peer.uri, sip_headers="Order=1701,Who=Kirk")
        run = (await peer.finish()).check()
    (invite,) = run.requests("INVITE")
    assert (header(invite, "X-PH-Order"), header(invite, "X-PH-Who")) == ("1701", "Kirk")


@scene
async def early_media_then_ringing_then_answer(stage: Stage) -> None:
    call_uuid, _ = await talk(stage, "uas_early_media")
    rang = await stage.customer.events(call_uuid, "leg", event="ringing")
    assert [row["fields"]["status"] for row in rang] == [183, 180]


REFUSALS = {
    "486 Busy Here": (3010, "USER_BUSY", "busy"),
    "603 Decline": (3110, "CALL_REJECTED", "busy"),
    "404 Not Found": (3050, "UNALLOCATED_NUMBER", "failed"),
    "480 Temporarily Unavailable": (3000, "NO_ANSWER", "no-answer"),
    "503 Service Unavailable": (3090, "NETWORK_OUT_OF_ORDER", "failed"),
    "302 Moved Temporarily": (5020, "NO_ROUTE_DESTINATION", "failed"),
    "488 Not Acceptable Here": (5020, "BEARERCAPABILITY_NOTAVAIL", "failed"),
}


@scene
async def every_refusal_has_its_cause(stage: Stage) -> None:
    async def refuse(status: str, cause: tuple[int, str, str]) -> None:
        line = f"Contact: <sip:elsewhere@127.0.0.1:{stage.sink.port}>"
        async with stage.callee("uas_refuse", swap={"486 Busy Here": status}, header=line) as peer:
            call_uuid = await stage.dial(peer.uri)
            (await peer.finish()).check()
            assert await stage.cause(call_uuid) == cause, status

    for status, cause in REFUSALS.items():
        await refuse(status, cause)


@scene
async def reason_header_refines_a_refusal(stage: Stage) -> None:
    swap = {"486 Busy Here": "480 Temporarily Unavailable"}
    async with stage.callee("uas_refuse", swap=swap, header='Reason: Q.850;cause=17;text="busy"') as peer:
        call_uuid = await stage.dial(peer.uri)
        (await peer.finish()).check()
    assert await stage.cause(call_uuid) == (3010, "USER_BUSY", "busy")


def is_digest(value: str, method: str) -> bool:
    """Return whether an Authorization value holds the right MD5 digest of the trunk's password (RFC 2617 §3.2.2)."""
    fields = dict(re.findall(r'(\w+)="?([^",]*)"?', value.removeprefix("Digest ")))

    def md5(*parts: str) -> str:
        return hashlib.md5(":".join(parts).encode()).hexdigest()

    secret = md5(USERNAME, "carrier.example", PASSWORD)
    middle = (fields["nonce"], fields["nc"], fields["cnonce"], fields["qop"])
    return fields["response"] == md5(secret, *middle, md5(method, fields["uri"]))


async def challenged(stage: Stage, trunk: str, swap: Mapping[str, str], sent: str) -> None:
    """Call through a trunk whose carrier wants its credentials, in the header `sent`, for INVITE and BYE."""
    (port,) = stage.carriers.ports[trunk]
    call_uuid, run = await talk(
        stage,
        "uas_challenge",
        stage.carriers.number(trunk),
        port=port,
        swap=swap,
        challenge=CHALLENGE,
    )
    assert await stage.cause(call_uuid) == NORMAL
    first, second = run.requests("INVITE")
    assert not header(first, sent)
    assert is_digest(header(second, sent), "INVITE")
    assert is_digest(header(run.requests("BYE")[1], sent), "BYE")
    assert header(first, "Call-ID") == header(second, "Call-ID")
    assert int(header(second, "CSeq").split()[0]) == int(header(first, "CSeq").split()[0]) + 1
    ack = run.requests("ACK")[1]
    assert header(ack, sent) == header(second, sent)


@scene
async def proxy_wants_credentials(stage: Stage) -> None:
    swap = {
        "401 Unauthorized": "407 Proxy Authentication Required",
        "WWW-Authenticate": "Proxy-Authenticate",
        # SIPp's own check reads the Authorization header alone.
        f'verifyauth assign_to="verified" username="{USERNAME}" password="{PASSWORD}"': (
            'assignstr assign_to="verified" value="by the test"'
        ),
    }
    await challenged(stage, "proxy-auth", swap, "Proxy-Authorization")


@scene
async def server_wants_credentials(stage: Stage) -> None:
    await challenged(stage, "server-auth", {}, "Authorization")


@scene
async def refused_credentials_are_not_tried_again(stage: Stage) -> None:
    (port,) = stage.carriers.ports["never-content"]
    async with stage.callee("uas_challenge_again", port=port, challenge=CHALLENGE) as peer:
        call_uuid = await stage.dial(stage.carriers.number("never-content"))
        run = (await peer.finish()).check()
    assert await stage.cause(call_uuid) == (4210, "CALL_REJECTED", "failed")
    assert len(run.requests("INVITE")) == 2


@scene
async def gateway_that_refuses_is_left_for_the_next(stage: Stage) -> None:
    first, second = stage.carriers.ports["refusing-first"]
    swap = {"486 Busy Here": "503 Service Unavailable"}
    async with stage.callee("uas_refuse", port=first, swap=swap, header="Retry-After: 5") as refusing:
        await talk(stage, "uas_answer", stage.carriers.number("refusing-first"), port=second)
        (await refusing.finish()).check()


@scene
async def ringing_without_an_answer_is_cancelled(stage: Stage) -> None:
    async with stage.callee("uas_cancelled") as peer:
        call_uuid = await stage.dial(peer.uri, ring_timeout=1)
        run = (await peer.finish()).check()
    assert await stage.cause(call_uuid) == (6010, "NO_ANSWER", "no-answer")
    (invite,), (cancel,) = run.requests("INVITE"), run.requests("CANCEL")
    assert header(invite, "Via") == header(cancel, "Via")
    assert header(invite, "CSeq").split()[0] == header(cancel, "CSeq").split()[0]
    assert not header(cancel, "To").count("tag=")


@scene
async def cancel_waits_for_the_first_response(stage: Stage) -> None:
    async with stage.callee("uas_cancelled_late", "-d", "900") as peer:
        call_uuid = await stage.dial(peer.uri)
        await until(lambda: peer.seen("INVITE"), "the INVITE")
        await stage.hang_up(call_uuid)
        run = (await peer.finish()).check()
    assert await stage.cause(call_uuid) == (1000, "ORIGINATOR_CANCEL", "cancel")
    assert len(run.requests("CANCEL")) == 1


@scene
async def answer_that_crosses_our_cancel_is_hung_up(stage: Stage) -> None:
    async with stage.callee("uas_cancel_crossing") as peer:
        call_uuid = await stage.dial(peer.uri, ring_timeout=1)
        (await peer.finish()).check()
    assert await stage.cause(call_uuid) == (6010, "NO_ANSWER", "no-answer")


@scene
async def two_phones_behind_a_fork_answer(stage: Stage) -> None:
    async with stage.callee("uas_forked") as peer:
        call_uuid = await stage.dial(peer.uri)
        await stage.customer.until("/echo", CallUUID=call_uuid)
        await until(lambda: peer.seen("BYE"), "the second phone's BYE")
        await stage.hang_up(call_uuid)
        run = (await peer.finish()).check()
    assert await stage.cause(call_uuid) == NORMAL
    tags = [header(message, "To").partition("tag=")[2] for message in run.requests("ACK") + run.requests("BYE")]
    assert tags == ["one", "two", "two", "one"]
    assert len(stage.customer.seen("/echo", CallUUID=call_uuid)) == 1


@scene
async def callee_hangs_up(stage: Stage) -> None:
    async with stage.callee("uas_bye", "-d", "500") as peer:
        call_uuid = await stage.dial(peer.uri)
        (await peer.finish()).check()
    assert await stage.cause(call_uuid) == NORMAL
    assert (await stage.customer.hangup_params("/hangup", call_uuid))["HangupSource"] == "Callee"


@scene
async def callee_holds_and_resumes(stage: Stage) -> None:
    async with rtp_party() as party:
        async with stage.callee("uas_reinvite", "-d", "5000", rtp_port=party.port, formats="0") as peer:
            call_uuid = await stage.dial(peer.uri)
            run = (await peer.finish()).check()
        party.assert_echo()
    assert await stage.cause(call_uuid) == NORMAL
    held, resumed = run.responses(200)
    assert "a=recvonly" in sdp(held)
    assert "a=sendrecv" in sdp(resumed)


@scene
async def repeated_200_is_acknowledged_again_along_the_route(stage: Stage) -> None:
    call_uuid, run = await talk(stage, "uas_repeated_answer", options=("-nr",))
    one, again = run.requests("ACK", repeats=True)
    (bye,) = run.requests("BYE")
    for request in (one, again, bye):
        first, second = ", ".join(headers(request, "Route")).split(", ")
        assert first.startswith("<sip:127.0.0.1:")
        assert second == "<sip:far.invalid;lr=on>"
        assert request.split()[1].startswith("sip:callee@127.0.0.1:")
    assert await stage.cause(call_uuid) == NORMAL


@pytest.mark.parametrize("name", list(scene))
def test_callee(name: str, playing: Mapping[str, Future[None]]) -> None:
    playing[name].result(110)
