"""`<Dial>`: a caller is joined with a phone of ours, judged by what both hear."""

from xml.sax.saxutils import quoteattr

import pytest
from tests.support.customer import response
from tests.support.live_calls import hung_up
from tests.support.waiting import until

from ringback.phones import tones

pytestmark = pytest.mark.functional
A_HZ, B_HZ = 700, 1500


def dial(*parties, **attributes):
    """Return a `<Dial>` of these parties: texts, or complete elements."""
    inside = "".join(each if each.startswith("<") else f"<User>{each}</User>" for each in parties)
    text = "".join(f" {name}={quoteattr(str(value))}" for name, value in attributes.items())
    return f"<Dial{text}>{inside}</Dial>"


def has_tone(call, pitch_hz, at_least_ms=300):
    """Return whether the phone has heard so much of a pitch."""
    return tone_ms(call.heard_samples(), pitch_hz) >= at_least_ms


def tone_ms(samples, pitch_hz):
    """Return how much of a pitch stands in samples, whatever sounds besides."""
    windows = samples[: len(samples) // 320 * 320].reshape(-1, 320)
    return 40 * sum(tones.goertzel_dbov(window, pitch_hz) > -30 for window in windows)


async def assert_joined(a_call, b_call):
    """Check that each of two phones hears the other's tone, and not its own."""
    before = len(a_call.heard_samples()), len(b_call.heard_samples())
    a_call.play(tones.tone(A_HZ, 1000))
    b_call.play(tones.tone(B_HZ, 1000))

    def heard():
        return a_call.heard_samples()[before[0] :], b_call.heard_samples()[before[1] :]

    await until(lambda: tone_ms(heard()[0], B_HZ) >= 500, "the callee's tone at the caller")
    await until(lambda: tone_ms(heard()[1], A_HZ) >= 500, "the caller's tone at the callee")
    assert tone_ms(heard()[0], A_HZ) <= 80, "the caller hears itself"
    assert tone_ms(heard()[1], B_HZ) <= 80, "the callee hears itself"


@pytest.fixture
async def human(new_phone):
    """The party that is dialled."""
    return await new_phone(user="15550007777")


@pytest.fixture
async def call_in(customer, platform, phone):
    """Return an answered call of the caller to a number with this document."""

    async def call(*elements):
        number = await customer.number(customer.serve("/answer", response(*elements)))
        return await phone.call(platform.uri(number))

    return call


async def test_two_phones_hear_each_other_and_the_callee_hangs_up(customer, call_in, human):
    action = customer.serve("/after", response("<Wait length='60'/>"))
    call = await call_in(dial(human.uri, action=action, callbackUrl=customer.url("/events")))
    callee = await human.next_call()
    callee.ring()
    await call.until_answered()
    await until(lambda: has_tone(call, 440), "the ring-back tone")
    callee.answer()
    await assert_joined(call, callee)
    await hung_up(callee)
    (after,) = await customer.until("/after")
    print(after.params)
    for event in customer.seen("/events"):
        print(event.params)
    await hung_up(call)
