"""What goes on while two phones are joined by `<Dial>`: streams, hold, transfers of either leg."""

import asyncio

import pytest
from tests.support.agent_audio import heard_by
from tests.support.customer import response, stream
from tests.support.dials import A_HZ, B_HZ, assert_joined, dial, element, tone_ms, until_tone
from tests.support.live_calls import connection_of, hung_up, until_heard_ms
from tests.support.sounds import wav_reply
from tests.support.waiting import until

from ringback.phones import tones

pytestmark = pytest.mark.functional
BACK_HZ = 900
A_NEW_HZ, B_NEW_HZ = 1100, 1300
"""What the legs hear after their transfers."""


@pytest.fixture
async def human(new_phone):
    """The party that is dialled."""
    return await new_phone(user="15550007777")


@pytest.fixture
async def bridge(customer, platform, phone, human):
    """Makes a bridge: the document has `before`, a `<Dial>`, and a tone that says that it came back."""
    back = element("Play", customer.serve("/back.wav", wav_reply(BACK_HZ, 600)))

    async def make(before="", **attributes):
        document = response(before, dial(human.uri, **attributes), back)
        number = await customer.number(customer.serve("/answer", document))
        call = await phone.call(platform.uri(number))
        callee = await human.next_call()
        callee.answer()
        await assert_joined(call, callee)
        return call, callee

    return make


@pytest.fixture
def documents(customer):
    """The documents of both legs after a transfer: a tone for long enough, then the end."""

    def serve(path, pitch_hz):
        sound = element("Play", customer.serve(f"{path}.wav", wav_reply(pitch_hz, 700)))
        return customer.serve(path, response(sound))

    return {"aleg_url": serve("/a", A_NEW_HZ), "bleg_url": serve("/b", B_NEW_HZ)}


async def transfer(customer, call, legs, **urls):
    """Transfer by the official SDK."""
    wanted = {name: url for name, url in urls.items() if legs == "both" or name == f"{legs}_url"}
    done = await customer.sdk(lambda sdk: sdk.calls.transfer(call.call_uuid, legs=legs, **wanted))
    assert done.message == "call transfered"


async def test_forked_stream_goes_on_with_both_tracks(customer, silent_agent, bridge):
    fork = stream(silent_agent.url, bidirectional="false", keepCallAlive="false", audioTrack="both")
    call, callee = await bridge(fork)
    connection = await connection_of(silent_agent, call)
    for track, pitch_hz, other_hz in (("inbound", A_HZ, B_HZ), ("outbound", B_HZ, A_HZ)):
        await until(lambda t=track, p=pitch_hz: tone_ms(heard_by(connection, t), p) >= 280, f"the {track} track")
        assert tone_ms(heard_by(connection, track), other_hz) <= 80, f"the {track} track has the other party"
    await hung_up(callee)
    await until(lambda: tone_ms(heard_by(connection, "outbound"), BACK_HZ) >= 300, "the document on the outbound track")
    await call.until_ended()


async def test_either_side_holds_and_comes_back(customer, bridge):
    call, callee = await bridge()
    for holding, other in ((call, callee), (callee, call)):
        holding.hold()
        held = await customer.until_event(holding.call_uuid, "leg", event="renegotiated", direction="recvonly")
        before = len(holding.heard_samples())
        other.play(tones.tone(1900, 300))
        await until_heard_ms(other, len(other.heard_samples()) / 8 + 400)
        assert tone_ms(holding.heard_samples()[before:], 1900) == 0, "the side on hold heard the other"
        holding.resume()
        await customer.until_event(holding.call_uuid, "leg", held["id"], event="renegotiated", direction="sendrecv")
    await assert_joined(call, callee)
    await hung_up(call)
    await callee.until_ended()


async def test_a_leg_gets_a_document_and_the_party_is_hung_up(customer, bridge, documents):
    call, callee = await bridge()
    await transfer(customer, call, "aleg", **documents)
    await until_tone(call, A_NEW_HZ)
    assert (await callee.until_ended()).by == "them"
    await call.until_ended()
    assert tone_ms(call.heard_samples(), BACK_HZ) == 0, "the old document went on"


async def test_b_leg_gets_a_document_and_the_caller_comes_back(customer, bridge, documents):
    call, callee = await bridge()
    await transfer(customer, call, "bleg", **documents)
    await asyncio.gather(until_tone(callee, B_NEW_HZ), until_tone(call, BACK_HZ))
    (asked,) = await customer.until("/b")
    wanted = {"CallUUID": callee.call_uuid, "ALegUUID": call.call_uuid, "Direction": "outbound", "Event": "StartApp"}
    assert wanted.items() <= asked.params.items()
    await asyncio.gather(call.until_ended(), callee.until_ended())


async def test_both_legs_get_documents_and_hear_each_other_no_more(customer, bridge, documents):
    """The roles are seen from the call that is named."""
    bridges = [await bridge(), await bridge()]

    async def part(call, callee, first, second):
        await transfer(customer, first, "both", **documents)
        await asyncio.gather(until_tone(first, A_NEW_HZ), until_tone(second, B_NEW_HZ))
        await asyncio.gather(call.until_ended(), callee.until_ended())
        assert tone_ms(call.heard_samples(), BACK_HZ) == 0, "the old document went on"
        assert tone_ms(first.heard_samples(), B_NEW_HZ) == 0
        assert tone_ms(second.heard_samples(), A_NEW_HZ) == 0

    (call, callee), (other_call, other_callee) = bridges
    await asyncio.gather(part(call, callee, call, callee), part(other_call, other_callee, other_callee, other_call))


async def test_unreachable_document_of_a_transferred_party_ends_it_alone(customer, bridge):
    call, callee = await bridge()
    await transfer(customer, call, "bleg", bleg_url="http://127.0.0.1:1/gone")
    assert (await callee.until_ended()).by == "them"
    ended = await customer.until_event(callee.call_uuid, "call", state="ended")
    assert ended["fields"]["code"] == 7013
    await until_tone(call, BACK_HZ)
    await call.until_ended()


async def test_call_without_a_partner_has_no_b_leg(customer, platform, phone):
    number = await customer.number(customer.serve("/answer", response("<Wait length='30'/>")))
    call = await phone.call(platform.uri(number))
    await call.until_answered()
    with pytest.raises(Exception, match="no B leg"):
        await transfer(customer, call, "bleg", bleg_url=customer.url("/b"))
    await hung_up(call)


async def test_outbound_call_dials_too(customer, phone, human):
    """An application that calls somebody and joins him with somebody else."""
    answer_url = customer.serve("/answer", response(dial(human.uri)))
    made = await customer.sdk(lambda sdk: sdk.calls.create("15550003333", phone.uri, answer_url))
    call = await phone.next_call()
    call.answer()
    callee = await human.next_call()
    assert callee.request.from_.uri.user == "15550003333"
    callee.answer()
    await assert_joined(call, callee)
    await customer.sdk(lambda sdk: sdk.calls.delete(made.request_uuid))
    await asyncio.gather(call.until_ended(), callee.until_ended())
