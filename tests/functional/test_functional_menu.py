"""The built-in menu at 15550002000, by the keys of a phone."""

import pytest
from tests.support.dials import hears
from tests.support.live_calls import hung_up, say_until

from ringback.phones import tones

pytestmark = pytest.mark.functional

MENU = "15550002000"


async def test_menu_takes_a_code_without_writing_it_down_and_leads_to_the_echo(customer, phone, platform):
    call = await phone.call(platform.uri(MENU))
    await call.until_answered()
    call.send_digits("3")
    await customer.until_event(call.call_uuid, "webhook", target="action")
    event = await customer.until_event(call.call_uuid, "element", phase="started", name="GetDigits")
    event = await customer.until_event(call.call_uuid, "element", after=event["id"], phase="started", name="GetDigits")
    call.send_digits("4711")
    event = await customer.until_event(call.call_uuid, "element", after=event["id"], phase="started", name="Redirect")
    await customer.until_event(call.call_uuid, "element", after=event["id"], phase="started", name="GetDigits")
    digits = [row["fields"]["digit"] for row in await customer.events(call.call_uuid, "digit")]
    assert digits == ["3", "*", "*", "*", "*"]
    call.send_digits("2")
    await customer.until_event(call.call_uuid, "stream")
    await say_until(call, tones.tone(1300, 600), lambda: hears(call, 1300, 200), "the echo")
    await hung_up(call)


async def test_menu_ends_the_call_by_a_key(customer, phone, platform):
    call = await phone.call(platform.uri(MENU))
    await call.until_answered()
    call.send_digits("9")
    await call.until_ended(60)
    assert (await customer.cdr(call.call_uuid)).hangup_cause_code == 4010
