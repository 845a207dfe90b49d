"""Multiparty calls of real phones: who hears whom by tones, in every role; moderation by the API, ends, callbacks."""

import asyncio

import pytest
from tests.support.conference import Participant, all_hear_each_other, enter, pitches
from tests.support.customer import response
from tests.support.dials import until_tone
from tests.support.live_calls import hung_up
from tests.support.sounds import wav_reply
from tests.support.waiting import until

from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional


@pytest.fixture(scope="module")
def running():
    """Two workers: participants meet although their calls were placed before anyone knew that they would."""
    with Platform.start(workers=2, settings={"RINGBACK_LIMITS__API_PER_5S": "0"}) as platform:
        yield platform


def element(name, **attributes):
    text = " ".join(f'{key}="{value}"' for key, value in attributes.items())
    return f"<MultiPartyCall {text}>{name}</MultiPartyCall>"


@pytest.fixture
async def join(customer, new_phone, platform):
    """Puts a fresh phone with this tone into a multiparty call."""

    async def dial(pitch_hz, name, role, **attributes):
        phone = await new_phone(user=f"1555{int(pitch_hz):07d}")
        wanted = {"statusCallbackUrl": customer.url("/mpc"), "enterSound": "none", "exitSound": "none", **attributes}
        return await enter(customer, phone, platform, pitch_hz, element(name, role=role, **wanted))

    return dial


async def participants_of(customer, name):
    """Return member ids by CallUUID."""
    listed = await customer.sdk(lambda sdk: sdk.multi_party_calls.list_participants(friendly_name=name))
    return {each.call_uuid: each.member_id for each in listed.objects}


async def test_customers_do_not_hear_a_supervisor_who_coaches(customer, join):
    tones = pitches(3)
    caller, agent, supervisor = await asyncio.gather(
        join(tones[0], "Sale", "Customer"), join(tones[1], "Sale", "Agent"), join(tones[2], "Sale", "Supervisor")
    )
    await asyncio.gather(caller.hears(agent), agent.hears(caller, supervisor), supervisor.hears(caller, agent))
    await caller.hears_nothing_of(supervisor, caller)
    await supervisor.hears_nothing_of(supervisor)
    ids = await participants_of(customer, "Sale")

    async def update(who, **changes):
        await customer.sdk(lambda sdk: sdk.multi_party_calls.update_participant(who, friendly_name="Sale", **changes))

    await update(ids[supervisor.uuid], coach_mode=False)
    await all_hear_each_other([caller, agent, supervisor])
    await update(ids[supervisor.uuid], coach_mode=True)
    await caller.hears_nothing_of(supervisor)
    await agent.hears(caller, supervisor)

    await update(ids[agent.uuid], mute=True)
    await asyncio.gather(caller.hears_nothing_of(agent), supervisor.hears_nothing_of(agent))
    await agent.hears(caller, supervisor)
    await update(ids[agent.uuid], mute=False)
    await caller.hears(agent)

    await customer.sdk(lambda sdk: sdk.multi_party_calls.kick_participant(ids[caller.uuid], friendly_name="Sale"))
    assert (await caller.call.until_ended()).by == "them"
    assert (await customer.hangup_params(call_uuid=caller.uuid))["HangupCauseCode"] == "4030"
    await customer.sdk(lambda sdk: sdk.multi_party_calls.stop(friendly_name="Sale"))
    for each in (agent, supervisor):
        assert (await each.call.until_ended()).by == "them"
        assert (await customer.hangup_params(call_uuid=each.uuid))["HangupCauseCode"] == "4020"

    (end,) = await customer.until("/mpc", EventName="MPCEnd", MPCName="Sale")
    ended = await customer.sdk(lambda sdk: sdk.multi_party_calls.get(uuid=end.params["MPCUUID"]))
    assert (ended.status, ended.termination_cause_code) == ("Ended", 3000)
    joined = await customer.until("/mpc", 3, EventName="ParticipantJoin", MPCName="Sale")
    assert {request.params["ParticipantRole"] for request in joined} == {"customer", "agent", "supervisor"}
    await customer.until("/mpc", EventName="ParticipantCoachModeStop", MPCName="Sale")
    await customer.until("/mpc", EventName="ParticipantMute", MPCName="Sale")
    await customer.until("/mpc", 3, EventName="ParticipantExit", MPCName="Sale")


async def test_an_agent_starts_holds_and_ends_it(customer, join):
    wait = customer.serve("/wait", response(f"<Play>{customer.serve('/wait.wav', wav_reply(3000, 2000))}</Play>"))
    hold = customer.serve("/hold", response(f"<Play>{customer.serve('/hold.wav', wav_reply(2600, 2000))}</Play>"))
    thanks = customer.serve("/exit", response(f"<Play>{customer.serve('/thanks.wav', wav_reply(1900, 800))}</Play>"))
    first, second, third = pitches(3)
    caller = await join(
        first,
        "Help",
        "customer",
        startMpcOnEnter="false",
        waitMusicUrl=wait,
        customerHoldMusicUrl=hold,
        onExitActionUrl=thanks,
    )
    await until(lambda: caller.level_of(3000) > -32, "the wait music")
    friend = await join(third, "Help", "customer", waitForAgent="true")
    assert (await customer.sdk(lambda sdk: sdk.multi_party_calls.get(friendly_name="Help"))).status == "Initialized"
    agent = await join(second, "Help", "agent", endMpcOnExit="true", enterSound="beep:2")
    await all_hear_each_other([caller, agent, friend])
    await hung_up(friend.call)
    await until(lambda: caller.level_of(3000) < -50, "no wait music")
    ids = await participants_of(customer, "Help")

    async def set_hold(value):
        await customer.sdk(
            lambda sdk: sdk.multi_party_calls.update_participant(ids[caller.uuid], friendly_name="Help", hold=value)
        )

    await set_hold(True)
    await until(lambda: caller.level_of(2600) > -32, "the hold music")
    await asyncio.gather(agent.hears_nothing_of(caller), caller.hears_nothing_of(agent))
    await set_hold(False)
    await all_hear_each_other([caller, agent])

    await hung_up(agent.call)
    (asked,) = await customer.until("/exit")
    assert (asked.params["MPCFriendlyName"], asked.params["ParticipantRole"]) == ("Help", "customer")
    assert asked.params["CallUUID"] == asked.params["ParticipantCallUUID"] == caller.uuid
    await until_tone(caller.call, 1900)
    assert (await caller.call.until_ended()).by == "them"
    await customer.until("/mpc", EventName="MPCStart", MPCName="Help")


async def test_participants_added_by_the_api(customer, join, new_phone):
    first, second, third = pitches(3)
    caller = await join(first, "Added", "customer")
    quick, slow = await new_phone(user="15557770001"), await new_phone(user="15557770002")
    added = await customer.sdk(
        lambda sdk: sdk.multi_party_calls.add_participant(
            "Agent", friendly_name="Added", from_="15550009999", to_=f"{quick.uri}<{slow.uri}", enter_sound="none"
        )
    )
    assert len(added["calls"]) == 2
    arrived, given_up = await asyncio.gather(quick.next_call(), slow.next_call())
    arrived.answer()
    agent = Participant(arrived, second)
    await asyncio.gather(caller.hears(agent), agent.hears(caller))
    await given_up.until_ended()
    assert arrived.call_uuid in {call["call_uuid"] for call in added["calls"]}
    # A call that runs another document becomes a participant too.
    other = await join(third, "Elsewhere", "customer")
    await customer.sdk(
        lambda sdk: sdk.multi_party_calls.add_participant(
            "Customer", friendly_name="Added", call_uuid=other.uuid, enter_sound="none", exit_sound="none"
        )
    )
    await all_hear_each_other([caller, agent, other])
    # Alone, nobody stays.
    await hung_up(other.call)
    await hung_up(arrived)
    assert (await caller.call.until_ended()).by == "them"
    assert (await customer.hangup_params(call_uuid=caller.uuid))["HangupCauseCode"] == "4020"
    (end,) = await customer.until("/mpc", EventName="MPCEnd", MPCName="Added")
    ended = await customer.sdk(lambda sdk: sdk.multi_party_calls.get(uuid=end.params["MPCUUID"]))
    assert ended.termination_cause_code == 1010


async def test_an_added_participant_presses_a_key_while_the_other_hears_it_ring(customer, join, new_phone):
    first, second = pitches(2)
    events = "participant-speak-events,add-participant-api-events"
    caller = await join(first, "Keyed", "customer", statusCallbackEvents=events)
    ask = customer.serve("/ask", response(f"<Play>{customer.serve('/ask.wav', wav_reply(3000, 1_000))}</Play>"))
    phone = await new_phone(user="15557770003")
    added = await customer.sdk(
        lambda sdk: sdk.multi_party_calls.add_participant(
            "Agent",
            friendly_name="Keyed",
            from_="15550009999",
            to_=phone.uri,
            enter_sound="none",
            confirm_key="5",
            confirm_key_sound_url=ask,
            delay_dial=1,
        )
    )
    arrived = await phone.next_call()
    arrived.ring()
    await until(lambda: caller.level_of(440) > -35, "the ring-back tone")
    arrived.answer()
    agent = Participant(arrived, second)
    await until(lambda: agent.level_of(3000) > -32, "the question")
    await caller.hears_nothing_of(agent)
    arrived.send_digits("15")
    await asyncio.gather(caller.hears(agent), agent.hears(caller))
    await until(lambda: caller.level_of(440) < -45, "the end of the ringing")
    (done,) = await customer.until("/mpc", EventName="AddParticipantByAPIActionCompleted", MPCName="Keyed")
    assert (done.params["RequestUUID"], done.params["ParticipantCallUUID"]) == (added["request_uuid"], agent.uuid)
    spoke = await customer.until("/mpc", 2, EventName="ParticipantSpeakStart", MPCName="Keyed")
    assert {request.params["ParticipantCallUUID"] for request in spoke} == {caller.uuid, agent.uuid}
    # Who is muted cannot be heard to speak.
    member = done.params["MemberID"]
    await customer.sdk(lambda sdk: sdk.multi_party_calls.update_participant(member, friendly_name="Keyed", mute=True))
    await customer.until("/mpc", EventName="ParticipantSpeakStop", MemberID=member)
    await hung_up(caller.call)
    assert (await agent.call.until_ended()).by == "them"
