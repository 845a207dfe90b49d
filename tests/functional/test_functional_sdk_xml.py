"""Every element that the official Python SDK can build, as the SDK spells it, judged by audio or keys."""

import asyncio

import numpy as np
import pytest
from plivo import plivoxml as xml
from tests.support.conference import Participant
from tests.support.dials import assert_joined, hears, tone_ms, until_tone
from tests.support.live_calls import answered, connection_of, hung_up, say_until, until_heard_ms
from tests.support.recorded import fetch
from tests.support.sdk_documents import CLASSES, Builder
from tests.support.sounds import wav_reply
from tests.support.spoken import heard_clips, spoken_ms, words
from tests.support.waiting import until

from ringback.phones import tones
from ringback.phones.call import CallNotAnswered

pytest.importorskip("pocketsphinx")

pytestmark = pytest.mark.functional
PROMPT_HZ, NEXT_HZ, OWN_HZ, SAID_HZ = 600, 1500, 1900, 1100


class Stage:
    """What a scenario needs: documents by the builder, sounds, phones, calls."""

    def __init__(self, customer, platform, new_phone, agent):
        self.customer, self.platform, self.agent = customer, platform, agent
        self.builder = Builder()
        self._new_phone = new_phone
        self._made = 0

    def sound(self, pitch_hz, ms=400):
        """Return the URL of a tone."""
        return self.customer.serve(f"/{pitch_hz}-{ms}.wav", wav_reply(pitch_hz, ms))

    def play(self, pitch_hz, ms=400):
        """Return the element that plays a tone."""
        return xml.PlayElement(self.sound(pitch_hz, ms))

    def serve(self, name, *elements):
        """Return the URL of a document by the builder."""
        return self.customer.serve(f"/{name}", self.builder.document(*elements))

    async def number(self, name, *elements):
        """Return a number that answers with a document by the builder."""
        return await self.customer.number(self.serve(name, *elements))

    async def phone(self):
        """Return a fresh phone."""
        self._made += 1
        return await self._new_phone(user=f"1555000{self._made:04d}")

    async def call(self, name, *elements):
        """Return an answered call that runs a document by the builder."""
        return await answered(await self.phone(), self.platform, await self.number(name, *elements))


async def play_wait_dtmf_redirect_message_hangup(stage):
    beyond = stage.serve("beyond", stage.play(NEXT_HZ), xml.HangupElement(), stage.play(OWN_HZ))
    call = await stage.call(
        "sounds",
        xml.MessageElement("Thank you.", src="15550001000", dst="15550002222", type="sms"),
        xml.PlayElement(stage.sound(PROMPT_HZ, 300), loop=2),
        xml.WaitElement(length=1),
        xml.DTMFElement("12w3#", async_=False),
        xml.RedirectElement(beyond, method="GET"),
    )
    await call.until_ended(60)
    heard = call.heard_samples()
    assert call.digits == "123#"
    assert tone_ms(heard, PROMPT_HZ) == pytest.approx(600, abs=240)
    assert tone_ms(heard, NEXT_HZ) == pytest.approx(400, abs=200)
    assert tone_ms(heard, OWN_HZ) < 80
    (request,) = stage.customer.seen("/beyond")
    assert request.method == "GET"


async def pre_answer_then_refusal(stage):
    early = xml.PreAnswerElement().add(stage.play(PROMPT_HZ)).add(xml.WaitElement(length=1))
    number = await stage.number("early", early, xml.HangupElement(reason="busy"))
    call = await (await stage.phone()).call(stage.platform.uri(number))
    with pytest.raises(CallNotAnswered) as refused:
        await call.until_answered()
    assert refused.value.status == 486
    await call.until_ended()
    assert tone_ms(call.heard_samples(), PROMPT_HZ) >= 280


async def speech_with_every_mark(stage):
    speak = xml.SpeakElement("Good morning.", voice="Polly.Joanna", language="en-US", loop=1)
    speak.add_break(time="1500ms").add_emphasis("Listen", level="strong").add_lang("Oui", xmllang="fr-FR")
    speak.add_p("Good.").add_phoneme("pecan", alphabet="ipa", ph="pɪˈkɑːn")
    speak.add_prosody("soon", volume="loud", rate="slow", pitch="high").add_s("Yes.")
    speak.add_say_as("47", interpret_as="digits").add_sub("TTS", alias="speech")
    speak.add_w("read", role="amazon:VBD").add_cont("and so on")
    call = await stage.call("speech", speak, stage.play(NEXT_HZ))
    await call.until_ended(60)
    heard = call.heard_samples()
    assert len(heard_clips(stage.platform, call)) >= 6
    assert spoken_ms(heard) > 3_000
    assert tone_ms(heard, NEXT_HZ) >= 280
    levels = tones.levels_dbov(heard) > -45
    first = int(np.argmax(levels))
    quiet = max(len(run) for run in "".join("x" if loud else "." for loud in levels[first:]).split("x"))
    assert 20 * quiet >= 1_400, "the break is heard"
    (row,) = await stage.customer.events(call.call_uuid, "media", event="speech", language="fr-FR")
    assert row["fields"]["voice"].lower().startswith("fr")


async def keys(stage):
    action = stage.serve("keyed", stage.play(NEXT_HZ))
    menu = xml.GetDigitsElement(action=action, num_digits=3, valid_digits="123", timeout=20, finish_on_key="#")
    call = await stage.call("keys", menu.add(stage.play(PROMPT_HZ, 20_000)), stage.play(OWN_HZ))
    await until_tone(call, PROMPT_HZ)
    call.send_digits("12#")
    await call.until_ended(60)
    (request,) = stage.customer.seen("/keyed")
    assert request.params["Digits"] == "12"
    assert tone_ms(call.heard_samples(), NEXT_HZ) >= 280
    assert tone_ms(call.heard_samples(), OWN_HZ) < 80


async def words_of_a_caller(stage):
    action = stage.serve("said", stage.play(NEXT_HZ))
    ask = xml.GetInputElement(
        action=action,
        input_type="dtmf speech",
        hints="technical support, check balance",
        execution_timeout=30,
        profanity_filter=True,
        speech_model="command_and_search",
    )
    call = await stage.call("words", ask.add(stage.play(PROMPT_HZ, 20_000)))
    await until_tone(call, PROMPT_HZ)
    call.play(words("technical_support"))
    await call.until_ended(60)
    (request,) = stage.customer.seen("/said")
    assert (request.params["InputType"], request.params["Speech"]) == ("speech", "technical support")
    assert tone_ms(call.heard_samples(), NEXT_HZ) >= 280


async def parties(stage):
    own = await stage.number("own", stage.play(OWN_HZ, 600))
    human = await stage.phone()
    number = xml.DialElement(timeout=20).add(xml.NumberElement(own))
    user = xml.DialElement(caller_name="Front Desk", timeout=30).add(
        xml.UserElement(human.uri, send_digits="12", sip_headers="Tenant=7")
    )
    call = await stage.call("parties", number, user, stage.play(NEXT_HZ))
    callee = await human.next_call(30)
    assert callee.request.headers.get("X-PH-Tenant") == "7"
    callee.answer()
    await until(lambda: callee.digits == "12", "the keys at the party")
    await assert_joined(call, callee)
    await hung_up(callee)
    await call.until_ended(60)
    heard = call.heard_samples()
    assert tone_ms(heard, OWN_HZ) >= 280, "the application behind the number"
    assert tone_ms(heard, NEXT_HZ) >= 280, "the document goes on"


async def recording(stage):
    record = xml.RecordElement(
        action=stage.serve("recorded", stage.play(NEXT_HZ)),
        file_format="wav",
        record_channel_type="mono",
        finish_on_key="#",
        max_length=30,
        callback_url=stage.customer.url("/file"),
    )
    call = await stage.call("record", record)
    await until_tone(call, 1000, 100)
    await stage.customer.until_event(call.call_uuid, "media", event="recording started")
    call.play(tones.tone(SAID_HZ, 600))
    await until_heard_ms(call, len(call.heard_samples()) / 8 + 1_000)
    call.send_digits("#")
    await call.until_ended(60)
    (ready,) = await stage.customer.until("/file", CallUUID=call.call_uuid)
    (kept,) = (await fetch(ready.params["RecordUrl"])).channels
    assert tone_ms(kept, SAID_HZ) >= 280
    assert tone_ms(call.heard_samples(), NEXT_HZ) >= 280


async def conference(stage):
    room = xml.ConferenceElement("Builder Room", enter_sound="", stay_alone=True, relay_dtmf=True)
    await _together(stage, "conference", [room, room], (800.0, 1300.0))


async def multiparty(stage):
    roles = [
        xml.MultiPartyCallElement("Builder Call", role=role, enter_sound="none", exit_sound="none")
        for role in ("Agent", "Customer")
    ]
    await _together(stage, "multiparty", roles, (900.0, 1700.0))


async def _together(stage, name, elements, pitches):
    calls = [await stage.call(f"{name}-{index}", element) for index, element in enumerate(elements)]
    first, second = (Participant(call, pitch) for call, pitch in zip(calls, pitches, strict=True))
    await asyncio.gather(first.hears(second), second.hears(first))
    await asyncio.gather(first.hears_nothing_of(first), second.hears_nothing_of(second))
    await asyncio.gather(*(hung_up(call) for call in calls))


async def stream(stage):
    element = xml.StreamElement(
        stage.agent.url, bidirectional=True, keepCallAlive=True, contentType="audio/x-mulaw;rate=8000"
    )
    call = await stage.call("stream", element)
    await connection_of(stage.agent, call)
    await say_until(call, tones.tone(SAID_HZ, 800), lambda: hears(call, SAID_HZ), "the caller's own echo")
    await hung_up(call)


async def test_every_element_of_the_builder_is_heard(customer, platform, new_phone, agent):
    stage = Stage(customer, platform, new_phone, agent)
    await asyncio.gather(
        play_wait_dtmf_redirect_message_hangup(stage),
        pre_answer_then_refusal(stage),
        keys(stage),
        recording(stage),
        speech_with_every_mark(stage),
        parties(stage),
        conference(stage),
        multiparty(stage),
        stream(stage),
    )
    # Alone: words that a busy phone sends with gaps are other words.
    await words_of_a_caller(stage)
    assert {each.__name__ for each in CLASSES - stage.builder.used} == set()
