"""Conferences of real phones: who hears whom by tones, moderation by the API, ends and callbacks."""

import asyncio
import io
import urllib.request
import wave

import numpy as np
import pytest
from tests.support.agent_audio import heard_by, say
from tests.support.conference import Participant, all_hear_each_other, conference, enter, pitches
from tests.support.customer import response, stream
from tests.support.dials import dial, tone_ms, until_tone
from tests.support.live_calls import connection_of, hung_up
from tests.support.sounds import wav_reply
from tests.support.waiting import until
from tests.support.workers import by_worker

from ringback.testing import tones
from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional


@pytest.fixture(scope="module")
def running():
    """Two workers: members meet although their calls were placed before anyone knew that they would."""
    with Platform.start(workers=2, settings={"RINGBACK_LIMITS__API_PER_5S": "0"}) as platform:
        yield platform


@pytest.fixture
async def join(customer, new_phone, platform):
    """Puts a fresh phone with this tone into a conference."""

    async def dial(pitch_hz, name, *more, before="", **attributes):
        phone = await new_phone(user=f"1555{int(pitch_hz):07d}")
        attributes.setdefault("callbackUrl", customer.url("/conference"))
        return await enter(customer, phone, platform, pitch_hz, before, conference(name, **attributes), *more)

    return dial


def fetch_wav(url):
    """Return a mono wav file's samples."""
    with urllib.request.urlopen(url, timeout=10) as reply, wave.open(io.BytesIO(reply.read())) as file:
        assert (file.getnchannels(), file.getframerate()) == (1, 8000)
        return np.frombuffer(file.readframes(file.getnframes()), dtype=np.int16)


def level_at(connection, pitch_hz):
    """Return the level of a pitch in the last 300 ms that an agent heard."""
    return tones.goertzel_dbov(heard_by(connection)[-2_400:], pitch_hz)


async def leave_all(members):
    for member in members:
        await hung_up(member.call)


async def test_ten_phones_hear_the_other_nine_and_not_themselves(customer, join):
    members = await asyncio.gather(*(join(pitch, "Ten") for pitch in pitches(10)))
    await all_hear_each_other(members)

    found = await customer.sdk(lambda sdk: sdk.conferences.get("Ten"))
    assert found.conference_member_count == "10"
    ids = {member["call_uuid"]: member["member_id"] for member in found.members}
    a, b, c, *rest = members

    await customer.sdk(lambda sdk: sdk.conferences.member_mute("Ten", ids[a.uuid]))
    await asyncio.gather(*(other.hears_nothing_of(a) for other in (b, c, *rest)))
    await a.hears(b, c)
    await customer.sdk(lambda sdk: sdk.conferences.member_mute_stop("Ten", ids[a.uuid]))
    await b.hears(a)

    await customer.sdk(lambda sdk: sdk.conferences.member_deaf("Ten", f"{ids[a.uuid]},{ids[b.uuid]}"))
    await a.hears_nothing_of(b, c, *rest)
    await b.hears_nothing_of(a, c, *rest)
    await c.hears(a, b)
    await customer.sdk(lambda sdk: sdk.conferences.member_deaf_stop("Ten", "all"))
    await a.hears(b, c)

    # Kicked: the document goes on, here to its end.
    await customer.sdk(lambda sdk: sdk.conferences.member_kick("Ten", ids[c.uuid]))
    assert (await c.call.until_ended()).by == "them"
    await a.hears_nothing_of(c)
    await customer.until("/conference", ConferenceAction="exit", CallUUID=c.uuid)

    await customer.sdk(lambda sdk: sdk.conferences.member_hangup("Ten", ids[b.uuid]))
    assert (await b.call.until_ended()).by == "them"
    assert (await customer.hangup_params(call_uuid=b.uuid))["HangupCauseCode"] == "4000"
    await customer.sdk(lambda sdk: sdk.conferences.delete("Ten"))
    for member in (a, *rest):
        assert (await member.call.until_ended()).by == "them"
    assert (await customer.sdk(lambda sdk: sdk.conferences.list()))["conferences"] == []


async def test_a_recording_has_all_ten(customer, join, platform):
    recorded = customer.url("/recorded")
    members = await asyncio.gather(
        *(join(pitch, "Kept", record="true", recordFileFormat="wav", callbackUrl=recorded) for pitch in pitches(10))
    )
    await all_hear_each_other(members)
    first = members[0]
    await hung_up(first.call)
    await asyncio.gather(*(member.hears_nothing_of(first) for member in members[1:]))
    await leave_all(members[1:])
    (done,) = await customer.until("/recorded", ConferenceAction="record")
    assert done.params["ConferenceName"] == "Kept"
    assert int(done.params["RecordingDurationMs"]) > 500
    audio = await asyncio.to_thread(fetch_wav, done.params["RecordUrl"])
    assert abs(len(audio) / 8 - int(done.params["RecordingDurationMs"])) < 100
    # While everyone was there all ten are in it at once; the one who left first is not at the end.
    windows = [audio[at : at + 2_400] for at in range(0, len(audio) - 2_400, 800)]
    assert any(all(tones.goertzel_dbov(window, member.pitch_hz) > -34 for member in members) for window in windows)
    kept = await customer.sdk(lambda sdk: sdk.recordings.list(conference_name="Kept"))
    (row,) = kept.objects
    assert (row.recording_id, row.recording_type) == (done.params["RecordingID"], "conference")


async def test_the_api_records_and_speaks(customer, join):
    first, second = pitches(2)
    a, b = await join(first, "Spoken"), await join(second, "Spoken")
    await all_hear_each_other([a, b])
    started = await customer.sdk(
        lambda sdk: sdk.conferences.record("Spoken", file_format="wav", callback_url=customer.url("/kept"))
    )
    await customer.until_event(a.uuid, "media", event="recording started")
    await customer.sdk(lambda sdk: sdk.conferences.member_speak("Spoken", "all", "You are being recorded"))
    await customer.until_event(b.uuid, "media", event="api speak over")
    await customer.sdk(lambda sdk: sdk.conferences.record_stop("Spoken"))
    (done,) = await customer.until("/kept", recording_id=started["recording_id"])
    assert done.params["record_url"] == started["url"]
    assert "ConferenceAction" not in done.params
    await all_hear_each_other([a, b])
    await leave_all([a, b])
    exits = await customer.until("/conference", 2, ConferenceName="Spoken", ConferenceAction="exit")
    assert {request.params["RecordingID"] for request in exits} == {started["recording_id"]}


async def test_members_on_different_workers_meet(join, platform):
    members = await asyncio.gather(*(join(pitch, "Apart") for pitch in pitches(4)))
    await all_hear_each_other(members)
    assert set(by_worker(platform, "media_sessions_active").values()) == {2}
    await leave_all(members)


async def test_a_moderator_starts_and_ends_the_conference(customer, join):
    music = customer.serve("/music", response(f"<Play>{customer.serve('/music.wav', wav_reply(3000, 2000))}</Play>"))
    first, second, third = pitches(3)
    a = await join(first, "Moderated", startConferenceOnEnter="false", waitSound=music)
    b = await join(second, "Moderated", startConferenceOnEnter="false", muted="true")
    await until(lambda: a.level_of(3000) > -32, "the music")
    await b.hears_nothing_of(a)
    moderator = await join(third, "Moderated", endConferenceOnExit="true", enterSound="beep:2")
    await until(
        lambda: tone_ms(a.call.heard_samples(), 880) or tone_ms(moderator.call.heard_samples(), 880), "the beeps"
    )
    await asyncio.gather(a.hears(moderator), b.hears(a, moderator), moderator.hears(a))
    await until(lambda: a.level_of(3000) < -50, "no music")
    await moderator.hears_nothing_of(b)
    await hung_up(moderator.call)
    for member in (a, b):
        assert (await member.call.until_ended()).by == "them"
    exits = await customer.until("/conference", 3, ConferenceName="Moderated", ConferenceAction="exit")
    assert {request.params["CallUUID"] for request in exits} == {a.uuid, b.uuid, moderator.uuid}
    assert len({request.params["ConferenceUUID"] for request in exits}) == 1


async def test_star_alone_and_the_action_url(customer, join):
    first, second, third = pitches(3)
    action = customer.serve("/action", response(f"<Play>{customer.serve('/thanks.wav', wav_reply(1900, 800))}</Play>"))
    a = await join(first, "Star", hangupOnStar="true", action=action)
    b = await join(second, "Star", stayAlone="false")
    c = await join(third, "Star", digitsMatch="12,99", floorEvent="true")
    await all_hear_each_other([a, b, c])
    c.call.send_digits("12")
    (match,) = await customer.until("/conference", ConferenceAction="digits")
    assert (match.params["ConferenceDigitsMatch"], match.params["CallUUID"]) == ("12", c.uuid)
    a.call.send_digits("*")
    (asked,) = await customer.until("/action")
    assert asked.params["ConferenceName"] == "Star"
    assert asked.params["ConferenceMemberID"]
    assert asked.params["CallUUID"] == a.uuid
    await until_tone(a.call, 1900)
    assert (await a.call.until_ended()).by == "them"
    await asyncio.gather(b.hears(c), c.hears(b))
    await hung_up(c.call)
    # Alone, it does not stay.
    assert (await b.call.until_ended()).by == "them"


async def test_the_one_who_is_left_hears_the_other_go(join):
    first, second = pitches(2)
    a = await join(first, "Left")
    b = await join(second, "Left", exitSound="beep:2")
    await all_hear_each_other([a, b])
    await hung_up(b.call)
    await until_tone(a.call, 880, 120)
    await leave_all([a])


async def test_limits_of_members_and_time(customer, join):
    first, second, third = pitches(3)
    a, b = await join(first, "Small", maxMembers="2"), await join(second, "Small", maxMembers="2", timeLimit="60")
    await all_hear_each_other([a, b])
    c = await join(third, "Small", '<Wait length="60"/>', maxMembers="2")
    await customer.until_event(c.uuid, "element", phase="note", name="Conference")
    await c.hears_nothing_of(a, b)
    await leave_all([a, b, c])
    d = await join(first, "Short", timeLimit="1")
    assert (await d.call.until_ended()).by == "them"


async def test_the_api_plays_to_members_and_transfers_leave(customer, join):
    first, second = pitches(2)
    a, b = await join(first, "Played"), await join(second, "Played")
    await all_hear_each_other([a, b])
    found = await customer.sdk(lambda sdk: sdk.conferences.get("Played"))
    ids = {member["call_uuid"]: member["member_id"] for member in found.members}
    url = customer.serve("/long.wav", wav_reply(2500, 20_000))
    await customer.sdk(lambda sdk: sdk.conferences.member_play("Played", ids[a.uuid], url))
    await until(lambda: a.level_of(2500) > -32, "the file over the room")
    await a.hears(b)
    assert b.level_of(2500) < -50
    await customer.sdk(lambda sdk: sdk.conferences.member_play_stop("Played", "all"))
    await until(lambda: a.level_of(2500) < -50, "the file's end")
    elsewhere = customer.serve("/elsewhere", response(conference("Elsewhere"), "<Hangup/>"))
    await customer.sdk(lambda sdk: sdk.calls.transfer(a.uuid, legs="aleg", aleg_url=elsewhere))
    await customer.until("/conference", ConferenceAction="exit", CallUUID=a.uuid)
    await a.hears_nothing_of(b)
    await customer.until_event(a.uuid, "conference", event="entered", name="Elsewhere")
    names = await customer.sdk(lambda sdk: sdk.conferences.list())
    assert names["conferences"] == ["Played", "Elsewhere"]
    await leave_all([a, b])


async def test_an_agent_listens_and_speaks_while_its_caller_is_in_a_room(customer, join, silent_agent):
    first, second = pitches(2)
    streaming = stream(silent_agent.url, bidirectional="true", keepCallAlive="false")
    a = await join(first, "Assisted", before=streaming)
    b = await join(second, "Assisted")
    await all_hear_each_other([a, b])
    connection = await connection_of(silent_agent, a.call)
    await until(lambda: level_at(connection, first) > -32, "the caller's voice at the agent")
    # The agent hears its caller alone, and is heard by its caller alone.
    assert level_at(connection, second) < -50
    say(connection, tones.tone(2500, 3_000, level_dbov=-20))
    await until(lambda: a.level_of(2500) > -32, "the agent over the room")
    await a.hears(b)
    assert b.level_of(2500) < -50
    await leave_all([a, b])


async def test_keys_reach_the_others_and_the_floor_is_told(customer, join):
    first, second = pitches(2)
    a, b = await join(first, "Keys", floorEvent="true"), await join(second, "Keys")
    await all_hear_each_other([a, b])
    floor = await customer.until("/conference", ConferenceAction="floor")
    assert {request.params["CallUUID"] for request in floor} == {a.uuid}
    b.call.send_digits("7")
    await until(lambda: "7" in a.call.digits, "the key at the other phone")
    await leave_all([a, b])


async def test_both_ends_of_a_bridge_are_sent_into_a_conference(customer, new_phone, platform, join):
    first, second, third = pitches(3)
    caller, human = await new_phone(user="15550002222"), await new_phone(user="15550007777")
    number = await customer.number(customer.serve("/bridge", response(dial(human.uri))))
    call = await caller.call(platform.uri(number))
    callee = await human.next_call()
    callee.answer()
    await call.until_answered()
    a, b = Participant(call, first), Participant(callee, second)
    await all_hear_each_other([a, b])
    agent = await join(third, "Warm")
    url = customer.serve("/warm", response(conference("Warm")))
    await customer.sdk(lambda sdk: sdk.calls.transfer(a.uuid, legs="both", aleg_url=url, bleg_url=url))
    await all_hear_each_other([a, b, agent])
    found = await customer.sdk(lambda sdk: sdk.conferences.get("Warm"))
    assert {member["direction"] for member in found.members} == {"inbound", "outbound"}
    await leave_all([agent, a, b])
