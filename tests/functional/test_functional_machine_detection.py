"""Who answers an outbound call: committed greetings played by a phone, the verdict's way to the application."""

import asyncio

import numpy as np
import pytest
from tests.support.customer import response
from tests.support.greetings import FOLDER, clip, rest, tone
from tests.support.live_calls import hung_up

pytestmark = pytest.mark.functional
HUMAN = "human-john-slt.mp3"
MACHINE = "machine-reached-slt.mp3"


def greeting(name, *more):
    """Return a greeting as a phone plays it, and what follows it."""
    audio = np.concatenate([rest(300), clip(FOLDER / name) if name else rest(0), *more])
    return np.clip(audio, -32_768, 32_767).astype(np.int16)


@pytest.fixture
def place(customer, phone):
    """Calls the phone with machine detection; the phone answers and plays a greeting."""
    places = iter(range(100))

    async def call(audio, **options):
        at = next(places)
        urls = {
            "answer_url": customer.serve(f"/answer{at}", response('<Wait length="20"/>')),
            "hangup_url": customer.url("/hangup"),
        }
        made = await customer.sdk(lambda sdk: sdk.calls.create("15550003333", phone.uri, **urls, **options))
        ringing = await phone.next_call()
        ringing.answer()
        ringing.play(audio)
        return ringing, made.request_uuid, f"/answer{at}"

    return call


async def test_document_waits_for_the_verdict_and_is_told_of_a_machine(customer, place):
    (human, human_uuid, human_path), (machine, machine_uuid, machine_path) = (
        await place(greeting(HUMAN), machine_detection="true"),
        await place(greeting(MACHINE), machine_detection="true"),
    )
    judged = await customer.until_event(human_uuid, "machine")
    assert (judged["fields"]["answerer"], "silence" in judged["fields"]["reason"]) == ("human", True)
    (asked,) = await customer.until(human_path)
    assert "Machine" not in asked.params
    judged = await customer.until_event(machine_uuid, "machine")
    assert (judged["fields"]["answerer"], "greeting longer" in judged["fields"]["reason"]) == ("machine", True)
    (asked,) = await customer.until(machine_path)
    assert asked.params["Machine"] == "true"
    assert asked.params["CallStatus"] == "in-progress"
    await asyncio.gather(hung_up(human), hung_up(machine))


async def test_machine_ends_the_call_when_that_is_wanted(customer, place):
    call, uuid, path = await place(greeting(MACHINE), machine_detection="hangup")
    ended = await customer.hangup_params("/hangup", uuid)
    assert (ended["HangupCauseCode"], ended["HangupCauseName"]) == ("9100", "Machine Detected")
    assert not customer.seen(path), "no document runs for a machine"
    await call.until_ended()


async def test_url_is_told_while_the_document_runs(customer, place):
    options = {"machine_detection": "true", "machine_detection_url": customer.url("/machine")}
    (call, uuid, path), (other, _, _) = (
        await place(greeting(MACHINE), **options),
        await place(greeting(HUMAN), **options),
    )
    await customer.until(path)
    (told,) = await customer.until("/machine")
    expected = {"Event": "MachineDetection", "Machine": "true", "IfMachine": "continue", "CallUUID": uuid}
    assert expected.items() <= told.params.items()
    assert {told.params[name] for name in ("RequestUUID", "ALegUUID", "ALegRequestUUID")} == {uuid}
    assert (told.params["Direction"], told.params["CallStatus"]) == ("outbound", "in-progress")
    await asyncio.gather(hung_up(call), hung_up(other))
    assert len(customer.seen("/machine")) == 1, "it is told of machines only"


async def test_beep_after_a_short_greeting_finds_the_machine_after_all(customer, place):
    # More than one beep, for a machine that swallows the first.
    beep = tone(1_000, ms=500, level=6_000)
    audio = greeting("human-hello-us.mp3", *(part for _ in range(4) for part in (rest(1_500), beep)))
    options = {"machine_detection_url": customer.url("/machine"), "machine_detection_method": "GET"}
    call, uuid, _ = await place(audio, machine_detection="hangup", **options)
    first = await customer.until_event(uuid, "machine")
    second = await customer.until_event(uuid, "machine", after=first["id"])
    assert [fact["fields"]["answerer"] for fact in (first, second)] == ["human", "machine"]
    assert second["fields"]["reason"].startswith("beep of ")
    (told,) = await customer.until("/machine")
    assert (told.method, told.params["IfMachine"]) == ("GET", "hangup")
    ended = await customer.hangup_params("/hangup", uuid)
    assert ended["HangupCauseCode"] == "9100"
    await call.until_ended()


async def test_wrong_parameters_name_themselves(customer, phone):
    def create(sdk):
        return sdk.calls.create("15550003333", phone.uri, customer.url("/answer"), machine_detection="maybe")

    with pytest.raises(Exception, match="machine_detection"):
        await customer.sdk(create)
