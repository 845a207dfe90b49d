"""SIPp calls the platform: one scenario file per behaviour, audio judged at an RTP port named in SIPp's SDP."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Future

import pytest
from tests.support.customer import response, stream
from tests.support.interop_stage import ECHO, Stage
from tests.support.rtp_party import PCMA, PCMU, rtp_party
from tests.support.scenes import Scenes
from tests.support.sipp import SippRun, header, headers, sdp
from tests.support.stream_agent import stream_agent
from tests.support.waiting import until

pytestmark = pytest.mark.interop("sipp")
scene: Scenes[Stage] = Scenes()
TALK_MS = "5000"
"""How long a caller talks: enough for an echo, also where somebody gets no processor for half of it."""
ALLOW = {"INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO"}


def listed(message: str, name: str) -> set[str]:
    """Return the comma-separated values of a header."""
    return {value.strip() for value in header(message, name).split(",")}


def audio(message: str) -> str:
    """Return the m= line of a message."""
    return next(line for line in sdp(message) if line.startswith("m=audio"))


def formats(message: str) -> list[str]:
    """Return the payload types that a message's SDP lists."""
    return audio(message).split()[3:]


def direction(message: str) -> str:
    """Return the direction that a message's SDP has."""
    words = ("sendrecv", "sendonly", "recvonly", "inactive")
    return next((line[2:] for line in sdp(message) if line[2:] in words), "sendrecv")


def version(message: str) -> int:
    """Return the version that a message's o= line tells."""
    return int(sdp(message)[1].split()[2])


async def talk(stage: Stage, scenario: str, *options: str, **more: object) -> tuple[list[int], list[str]]:
    """Run a scenario whose echo must be heard at its end; return the payload types and the 200s to its INVITEs."""
    kinds, run = await sung(stage, scenario, *options, **more)
    return kinds, run.responses(200)


async def sung(
    stage: Stage, scenario: str, *options: str, payload_type: int = PCMU, **more: object
) -> tuple[list[int], SippRun]:
    """Run a scenario whose echo must be heard at its end; return the payload types and the run."""

    async with rtp_party(payload_type=payload_type) as party:
        async with stage.caller(scenario, "-d", TALK_MS, *options, rtp_port=party.port, **more) as peer:  # type: ignore[arg-type]
            run = (await peer.finish()).check()
        party.assert_echo()
        return party.payload_types, run


@scene
async def plain_call_over_udp(stage: Stage) -> None:
    kinds, (answer,) = await talk(stage, "uac_call")
    assert set(kinds) == {PCMU}
    assert formats(answer) == ["0", "8", "101"]
    assert listed(answer, "Allow") == ALLOW


@scene
async def plain_call_over_tcp(stage: Stage) -> None:
    await talk(stage, "uac_call", transport="tcp")


@scene
async def a_law_alone(stage: Stage) -> None:
    kinds, _ = await sung(stage, "uac_call", payload_type=PCMA, formats=PCMA)
    assert set(kinds) == {PCMA}


@scene
async def options_in_and_out_of_a_dialog(stage: Stage) -> None:
    async with stage.caller("uac_options") as peer:
        run = (await peer.finish()).check()
    outside, inside = run.responses(200, "OPTIONS")
    for answer in (outside, inside):
        assert listed(answer, "Allow") == ALLOW
        assert "application/sdp" in header(answer, "Accept")


@scene
async def unknown_method_leaves_the_call_alone(stage: Stage) -> None:
    _, run = await sung(stage, "uac_unknown_method")
    assert [listed(answer, "Allow") for answer in run.responses(405, "PUBLISH", repeats=True)] == [ALLOW, ALLOW]


async def refused(stage: Stage, number: str = ECHO, header_line: str = "Subject: x", media: str = "") -> str:
    """Return the final response to an INVITE that must be refused."""
    media = media or "m=audio 4000 RTP/AVP 0"
    async with stage.caller("uac_refused", number=number, header=header_line, media=media) as peer:
        run = (await peer.finish()).check()
    return run.received[-1]


@scene
async def unknown_require_is_refused_by_name(stage: Stage) -> None:
    answer = await refused(stage, header_line="Require: teleport")
    assert answer.startswith("SIP/2.0 420 ")
    assert header(answer, "Unsupported") == "teleport"


@scene
async def wrong_number_is_not_found(stage: Stage) -> None:
    assert (await refused(stage, number="15559999999")).startswith("SIP/2.0 404 ")


@scene
async def malformed_sdp_is_a_bad_request(stage: Stage) -> None:
    answer = await refused(stage, media="m=audio nonsense")
    assert answer.startswith("SIP/2.0 400 ")
    assert header(answer, "Warning")


@scene
async def no_common_codec_is_not_acceptable(stage: Stage) -> None:
    answer = await refused(stage, media="m=audio 4000 RTP/AVP 18 97")
    assert answer.startswith("SIP/2.0 488 ")
    assert "PCMU" in header(answer, "Warning")


@scene
async def digits_by_info(stage: Stage) -> None:
    async with stream_agent() as agent:
        number = await stage.customer.number(stage.customer.serve("/info-keys", response(stream(agent.url))))
        async with stage.caller("uac_info", number=number) as peer:
            run = (await peer.finish()).check()
        await until(lambda: [event["dtmf"]["digit"] for event in agent.events("dtmf")] == ["5", "7"], "both keys")
    rows = await stage.customer.events(run.call_uuid, "digit")
    assert [row["fields"]["digit"] for row in rows] == ["5", "7"]
    assert header(run.responses(415, "INFO")[0], "Accept") == "application/dtmf-relay, application/dtmf"


@scene
async def reinvite_100_ms_after_the_ack_changes_port_and_codec(stage: Stage) -> None:
    async with rtp_party() as before, rtp_party(2, PCMA) as after:
        async with stage.caller(
            "uac_reinvite", "-d", TALK_MS, rtp_port=before.port, rtp_port_2=after.port, formats_2=PCMA
        ) as peer:
            run = (await peer.finish()).check()
        after.assert_echo()
        assert set(after.payload_types) == {PCMA}
        # What was under way when the re-INVITE was answered may still come; the rest goes elsewhere.
        assert before.last_at < after.last_at - 0.5, "both ports were sent to"
    first, second = run.responses(200)
    assert formats(second) == ["8", "101"]
    assert audio(first).split()[1] == audio(second).split()[1]


@scene
async def hold_and_resume(stage: Stage) -> None:
    _, answers = await talk(stage, "uac_hold_resume")
    assert [direction(answer) for answer in answers] == ["sendrecv", "recvonly", "inactive", "recvonly", "sendrecv"]
    assert [version(answer) for answer in answers] == [1, 2, 3, 4, 5]


@scene
async def refresh_changes_nothing_and_empty_reinvite_offers_all(stage: Stage) -> None:
    _, (first, same, offer) = await talk(stage, "uac_refresh", formats="0")
    assert sdp(first) == sdp(same)
    assert formats(offer) == ["0", "8", "101"]
    assert version(offer) == version(first) + 1


@scene
async def impossible_reinvite_leaves_the_call_alone(stage: Stage) -> None:
    kinds, _ = await talk(stage, "uac_reinvite_refused")
    assert set(kinds) == {PCMU}


@scene
async def cancel_in_ringing(stage: Stage) -> None:
    async with stage.caller("uac_cancel_ringing", number=stage.slow_number) as peer:
        run = (await peer.finish()).check()
    assert await stage.cause(run.call_uuid) == (1000, "ORIGINATOR_CANCEL", "completed")


@scene
async def cancel_after_the_answer_has_no_effect(stage: Stage) -> None:
    await talk(stage, "uac_cancel_crossing")


@scene
async def bye_in_an_early_dialog(stage: Stage) -> None:
    async with stage.caller("uac_bye_early", number=stage.slow_number) as peer:
        run = (await peer.finish()).check()
    assert await stage.cause(run.call_uuid) == (1000, "ORIGINATOR_CANCEL", "completed")


@scene
async def late_ack_over_udp(stage: Stage) -> None:
    _, run = await sung(stage, "uac_late_ack")
    # After 0, 0.5, 1.5 and 3.5 s, none once the ACK has come. It comes after 4 s: a late machine sends fewer.
    assert len(run.responses(200, repeats=True)) in (2, 3, 4)


@scene
async def late_ack_over_tcp(stage: Stage) -> None:
    await talk(stage, "uac_late_ack_tcp", transport="tcp")


@scene
async def bye_before_the_ack_ends_the_repeats(stage: Stage) -> None:
    async with stage.caller("uac_bye_before_ack") as peer:
        run = (await peer.finish()).check()
    # The first repeat comes after 0.5 s, the BYE after 0.7 s; there would be more at 1.5 s and later.
    assert len(run.responses(200, repeats=True)) <= 2


@scene
async def delayed_offer(stage: Stage) -> None:
    _, (offer,) = await talk(stage, "uac_delayed_offer")
    assert formats(offer) == ["0", "8", "101"]


@scene
async def ack_without_the_answer_ends_in_bye(stage: Stage) -> None:
    async with stage.caller("uac_ack_without_answer", number=stage.slow_number) as peer:
        run = (await peer.finish()).check()
    assert (await stage.cause(run.call_uuid))[:2] == (5000, "NETWORK_OUT_OF_ORDER")


@scene
async def repeated_invite_is_one_call(stage: Stage) -> None:
    async with stage.caller("uac_repeated_invite", "-nr", number=stage.slow_number) as peer:
        run = (await peer.finish()).check()
    assert len({header(message, "X-CallUUID") for message in run.received} - {""}) == 1
    assert len(stage.customer.seen("/slow", CallUUID=run.call_uuid)) == 1


@scene
async def merged_invite_is_refused_and_the_first_goes_on(stage: Stage) -> None:
    async with stage.caller("uac_merged", "-d", "300", number=stage.slow_number) as peer:
        run = (await peer.finish()).check()
    assert len(run.responses(482)) == 1
    assert len({header(message, "X-CallUUID") for message in run.received} - {""}) == 1


@scene
async def our_bye_goes_along_the_recorded_route(stage: Stage) -> None:
    async with stage.caller("uac_record_route", number=stage.brief_number) as peer:
        run = (await peer.finish()).check()
    (bye,) = run.requests("BYE")
    assert bye.startswith(f"BYE sip:sipp@127.0.0.1:{peer.port};transport=UDP SIP/2.0\n")
    routes = ", ".join(headers(bye, "Route"))
    assert routes == f"<sip:127.0.0.1:{peer.port};transport=UDP;lr=on>, <sip:far.invalid;lr=on;ftag=1>"
    assert routes == ", ".join(headers(run.responses(200)[0], "Record-Route"))
    assert header(bye, "Reason").startswith("Q.850;cause=16")


@scene
async def multipart_body_is_read(stage: Stage) -> None:
    await talk(stage, "uac_multipart")


@scene
async def large_invite_is_taken(stage: Stage) -> None:
    async with stage.caller("uac_large", "-d", "300", number=stage.slow_number) as peer:
        run = (await peer.finish()).check()
    assert len(run.sent[0]) > 2_000
    (asked,) = stage.customer.seen("/slow", CallUUID=run.call_uuid)
    assert asked.params["X-PH-Order"] == "A-1701"


@pytest.mark.parametrize("name", list(scene))
def test_caller(name: str, playing: Mapping[str, Future[None]]) -> None:
    playing[name].result(110)
