"""Recordings of multiparty calls, judged by what is in the files; who is told of them; what is left in the end."""

import asyncio

import pytest
from tests.support.conference import enter, pitches
from tests.support.live_calls import hung_up
from tests.support.recorded import fetch
from tests.support.sounds import wav_reply

from ringback.testing import tones
from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional

_LOUD_DBOV = -34.0
_SILENT_DBOV = -45.0
_WINDOW = 2_400


@pytest.fixture(scope="module")
def running():
    """Two workers: what is recorded may sound on another one."""
    with Platform.start(workers=2, settings={"RINGBACK_LIMITS__API_PER_5S": "0"}) as platform:
        yield platform


@pytest.fixture
async def join(customer, new_phone, platform):
    """Puts a fresh phone with this tone into a multiparty call."""

    async def dial(pitch_hz, name, role, **attributes):
        phone = await new_phone(user=f"1555{int(pitch_hz):07d}")
        wanted = {"enterSound": "none", "exitSound": "none", "stayAlone": "true", "role": role, **attributes}
        text = " ".join(f'{key}="{value}"' for key, value in wanted.items())
        return await enter(customer, phone, platform, pitch_hz, f"<MultiPartyCall {text}>{name}</MultiPartyCall>")

    return dial


async def a_second_passes(customer, name, member):
    """Return when a second of audio has been played to a participant, so that as much has been recorded."""
    url = customer.serve("/second.wav", wav_reply(3300, 1_000))
    count = len(await customer.until_events(member.uuid, "media", event="api play over"))
    ids = await ids_of(customer, name)
    await customer.sdk(
        lambda sdk: sdk.multi_party_calls.start_play_audio(ids[member.uuid], friendly_name=name, url=url)
    )
    await customer.until_events(member.uuid, "media", count + 1, event="api play over")


async def ids_of(customer, name):
    """Return member ids by CallUUID."""
    listed = await customer.sdk(lambda sdk: sdk.multi_party_calls.list_participants(friendly_name=name))
    return {each.call_uuid: each.member_id for each in listed.objects}


def windows(samples):
    """Return the pieces of 300 ms of a recording."""
    return [samples[at : at + _WINDOW] for at in range(0, len(samples) - _WINDOW, _WINDOW // 3)]


def sounds(samples, *pitches_hz):
    """Return whether all of these sound at once somewhere."""
    return any(
        all(tones.goertzel_dbov(piece, pitch) > _LOUD_DBOV for pitch in pitches_hz) for piece in windows(samples)
    )


def is_without(samples, pitch_hz):
    """Return whether a pitch is nowhere in a recording."""
    return all(tones.goertzel_dbov(piece, pitch_hz) < _SILENT_DBOV for piece in windows(samples))


async def test_a_recording_has_all_voices_but_not_those_of_its_pause(customer, join):
    tone, other, coach, late = pitches(4)
    caller, agent, supervisor = await asyncio.gather(
        join(tone, "Kept", "Customer"), join(other, "Kept", "Agent"), join(coach, "Kept", "Supervisor")
    )
    await asyncio.gather(caller.hears(agent), agent.hears(caller, supervisor), supervisor.hears(caller, agent))
    calls = {"friendly_name": "Kept"}
    started = await customer.sdk(
        lambda sdk: sdk.multi_party_calls.start_recording(
            **calls, file_format="wav", recording_callback_url=customer.url("/kept")
        )
    )
    (told,) = await customer.until("/kept", EventName="MPCRecordingInitiated")
    assert (told.params["MPCName"], told.params["RecordingUUID"]) == ("Kept", started["recording_id"])
    assert (await customer.sdk(lambda sdk: sdk.multi_party_calls.get(**calls))).recording == "recording"
    await a_second_passes(customer, "Kept", agent)

    await customer.sdk(lambda sdk: sdk.multi_party_calls.pause_recording(**calls))
    await customer.until("/kept", EventName="MPCRecordingPaused")
    assert (await customer.sdk(lambda sdk: sdk.multi_party_calls.get(**calls))).recording == "paused"
    guest = await join(late, "Kept", "Agent")
    await asyncio.gather(agent.hears(guest), guest.hears(agent))
    await a_second_passes(customer, "Kept", agent)
    await hung_up(guest.call)
    await agent.hears_nothing_of(guest)
    await customer.sdk(lambda sdk: sdk.multi_party_calls.resume_recording(**calls))
    await customer.until("/kept", EventName="MPCRecordingResumed")
    await a_second_passes(customer, "Kept", agent)

    await customer.sdk(lambda sdk: sdk.multi_party_calls.stop_recording(**calls))
    (done,) = await customer.until("/kept", EventName="MPCRecordingCompleted")
    assert [request.params["SequenceNumber"] for request in customer.seen("/kept")] == ["1", "2", "3", "4"]
    (audio,) = (await fetch(done.params["RecordingURL"])).channels
    # A supervisor is recorded though the customer does not hear it; the guest spoke in the pause alone.
    assert sounds(audio, tone, other, coach)
    assert is_without(audio, late)
    assert done.params["RecordingDuration"] == str(-(-len(audio) // 8_000))
    for member in (caller, agent, supervisor):
        await hung_up(member.call)
    kept = await customer.sdk(lambda sdk: sdk.recordings.list(mpc_name="Kept"))
    (row,) = kept.objects
    assert (row.recording_id, row.recording_type, row.mpc_name) == (started["recording_id"], "mpc", "Kept")
    assert row.conference_name is None


async def test_documents_record_everyone_and_single_participants(customer, join):
    tone, other, coach = pitches(3)
    told = {"recordingCallbackUrl": customer.url("/wanted"), "recordFileFormat": "wav"}
    start = customer.serve("/start.wav", wav_reply(3000, 400))
    wanted = {"record": "true", "recordMinMemberCount": "2", "recordCoachVoice": "false", "startRecordingAudio": start}
    caller = await join(tone, "Wanted", "customer", **wanted, **told)
    agent = await join(other, "Wanted", "agent", recordParticipantTrack="true", **told)
    supervisor = await join(coach, "Wanted", "supervisor")
    await asyncio.gather(caller.hears(agent), agent.hears(caller, supervisor))
    await customer.until("/wanted", EventName="MPCRecordingInitiated")
    await customer.until("/wanted", EventName="ParticipantRecordingInitiated")
    # Everybody is told by a sound that it begins.
    await asyncio.gather(*(customer.until_event(each.uuid, "media", event="api play over") for each in (caller, agent)))
    ids = await ids_of(customer, "Wanted")
    both = await customer.sdk(
        lambda sdk: sdk.multi_party_calls.start_participant_recording(
            ids[caller.uuid],
            friendly_name="Wanted",
            file_format="wav",
            record_track_type="all",
            recording_callback_url=customer.url("/both"),
        )
    )
    await a_second_passes(customer, "Wanted", agent)
    await hung_up(caller.call)
    await hung_up(agent.call)
    await hung_up(supervisor.call)
    (done,) = await customer.until("/both", EventName="ParticipantRecordingCompleted")
    assert (done.params["MemberID"], done.params["RecordingUUID"]) == (ids[caller.uuid], both["recording_id"])
    said, heard = (await fetch(done.params["RecordingURL"])).channels
    assert sounds(said, tone)
    assert sounds(heard, other)
    assert is_without(said, other)
    (alone,) = await customer.until("/wanted", EventName="ParticipantRecordingCompleted")
    (track,) = (await fetch(alone.params["RecordingURL"])).channels
    assert alone.params["MemberID"] == ids[agent.uuid]
    assert sounds(track, other)
    assert is_without(track, tone)
    (whole,) = await customer.until("/wanted", EventName="MPCRecordingCompleted")
    (audio,) = (await fetch(whole.params["RecordingURL"])).channels
    assert sounds(audio, tone, other)
    assert is_without(audio, coach)


async def test_what_has_ended_is_found_with_its_participants(customer, join):
    tone, other = pitches(2)
    caller, agent = await join(tone, "Ended", "customer"), await join(other, "Ended", "agent")
    await asyncio.gather(caller.hears(agent), agent.hears(caller))
    ids = await ids_of(customer, "Ended")
    await customer.sdk(lambda sdk: sdk.multi_party_calls.stop(friendly_name="Ended"))
    for member in (caller, agent):
        assert (await member.call.until_ended()).by == "them"
    listed = await customer.sdk(lambda sdk: sdk.multi_party_calls.list(friendly_name="Ended", status="ended"))
    (ended,) = listed.objects
    assert (ended.status, ended.termination_cause_code) == ("Ended", 3000)
    gone = await customer.sdk(lambda sdk: sdk.multi_party_calls.list_participants(uuid=ended.mpc_uuid))
    assert {each.member_id: each.exit_cause for each in gone.objects} == dict.fromkeys(
        ids.values(), "Multiparty Call Ended"
    )
