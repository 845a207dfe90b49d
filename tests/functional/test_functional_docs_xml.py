"""The example of every page in docs/xml, run as it stands there but for its hosts, and judged by audio or keys."""

import asyncio
import re
from pathlib import Path

import numpy as np
import pytest
from tests.support.conference import Participant
from tests.support.dials import RING_HZ, assert_joined, hears, tone_ms, until_tone
from tests.support.live_calls import answered, connection_of, hung_up, say_until, until_heard_ms
from tests.support.sounds import wav_reply
from tests.support.spoken import spoken_ms, words
from tests.support.waiting import until

from ringback.phones import tones
from ringback.phones.call import CallNotAnswered

pytest.importorskip("pocketsphinx")

pytestmark = pytest.mark.functional
PAGES = Path(__file__).parents[2] / "docs" / "xml"
ASKED_HZ, CALLER_HZ = 1700, 1100
"""What every document of an example's own URLs plays, and what a caller says."""


class Reader:
    """Reads the pages and calls what they show."""

    def __init__(self, customer, platform, new_phone, agent):
        self.customer, self.agent = customer, agent
        self._platform, self._new_phone = platform, new_phone
        self._made = 0

    def example(self, page, at=0):
        """Return the path of a page's example, and the pitch of each sound file in it, in order."""
        text = re.findall(r"```xml\n(.*?)```", (PAGES / f"{page}.md").read_text(), re.DOTALL)[at]
        pitches = {}

        def here(found):
            path = f"/{page}-{at}/{found[1]}"
            if path.endswith(".mp3"):
                pitches[path] = 600 + 200 * len(pitches)
                self.customer.serve(path, wav_reply(pitches[path]))
            elif path not in self.customer.documents:
                sound = self.customer.serve("/asked.wav", wav_reply(ASKED_HZ))
                self.customer.serve(path, f"<Response><Play>{sound}</Play></Response>")
            return self.customer.url(path)

        text = re.sub(r"https://(?:example\.com|app\.example)/([\w.-]*)", here, text)
        text = text.replace("wss://agent.example/agent", self.agent.url)
        return f"/{page}-{at}", text, list(pitches.values())

    async def phone(self):
        """Return a fresh phone."""
        self._made += 1
        return await self._new_phone(user=f"1555000{self._made:04d}")

    async def call(self, path, text):
        """Return the call of a fresh phone to a number with this document."""
        number = await self.customer.number(self.customer.serve(path, text))
        return await (await self.phone()).call(self._platform.uri(number))

    async def answered(self, path, text):
        """Return the answered call of a fresh phone to a number with this document."""
        number = await self.customer.number(self.customer.serve(path, text))
        return await answered(await self.phone(), self._platform, number)


def heard_in_order(call, *pitches_hz):
    """Check that these pitches were heard, one after the other."""
    windows = call.heard_samples()
    windows = windows[: len(windows) // 320 * 320].reshape(-1, 320)
    begun = [int(np.argmax([tones.goertzel_dbov(each, pitch) > -32 for each in windows])) for pitch in pitches_hz]
    assert all(tone_ms(call.heard_samples(), pitch) >= 280 for pitch in pitches_hz)
    assert begun == sorted(begun)


async def conference(reader):
    path, text, _ = reader.example("conference")
    pitches = (800.0, 1300.0)
    calls = [await reader.answered(f"{path}-{pitch}", text) for pitch in pitches]
    first, second = (Participant(call, pitch) for call, pitch in zip(calls, pitches, strict=True))
    await asyncio.gather(first.hears(second), second.hears(first))
    await first.hears_nothing_of(first)
    await asyncio.gather(*(hung_up(call) for call in calls))
    await reader.customer.until(f"{path}/conference", ConferenceAction="exit")


async def dial(reader):
    path, text, (nobody_hz,) = reader.example("dial")
    human = await reader.phone()
    call = await reader.answered(path, text.replace("sip:agent@pbx.example.com", human.uri))
    callee = await human.next_call(20)
    assert callee.request.from_.uri.user == "15550001111"
    callee.ring()
    await until_tone(call, RING_HZ)
    callee.answer()
    await assert_joined(call, callee)
    await hung_up(callee)
    await call.until_ended(60)
    (told,) = reader.customer.seen(f"{path}/after")
    assert told.params["DialStatus"] == "completed"
    assert tone_ms(call.heard_samples(), ASKED_HZ) >= 280
    assert tone_ms(call.heard_samples(), nobody_hz) < 80


async def dtmf(reader):
    path, text, _ = reader.example("dtmf")
    call = await reader.answered(path, text)
    await call.until_ended(60)
    assert call.digits == "12345#"


async def get_digits(reader):
    path, text, (menu_hz, goodbye_hz) = reader.example("get_digits")
    call = await reader.answered(path, text)
    await until_tone(call, menu_hz)
    call.send_digits("7")
    await call.until_ended(60)
    (told,) = reader.customer.seen(f"{path}/menu")
    assert told.params["Digits"] == "7"
    heard_in_order(call, menu_hz, ASKED_HZ)
    assert tone_ms(call.heard_samples(), goodbye_hz) < 80


async def get_input(reader):
    path, text, (prompt_hz,) = reader.example("get_input")
    call = await reader.answered(path, text)
    await until_tone(call, prompt_hz)
    call.play(words("technical_support"))
    await call.until_ended(60)
    (told,) = reader.customer.seen(f"{path}/input")
    assert (told.params["InputType"], told.params["Speech"]) == ("speech", "technical support")
    heard_in_order(call, prompt_hz, ASKED_HZ)


async def hangup(reader):
    path, text, _ = reader.example("hangup")
    call = await reader.answered(path, text)
    await until(lambda: spoken_ms(call.heard_samples()) > 600, "the warning")
    await hung_up(call)
    busy = await reader.call(*reader.example("hangup", 1)[:2])
    with pytest.raises(CallNotAnswered) as refused:
        await busy.until_answered()
    assert refused.value.status == 486
    await busy.until_ended()


async def message(reader):
    path, text, _ = reader.example("message")
    call = await reader.answered(path, text)
    await call.until_ended()
    note = await reader.customer.until_event(call.call_uuid, "element", phase="note", name="Message")
    assert "not sent" in note["fields"]["text"]


async def multi_party_call(reader):
    path, text, _ = reader.example("multi_party_call")
    waiting = await reader.answered(path, text)
    await until_tone(waiting, ASKED_HZ)
    agent = '<Response><MultiPartyCall role="Agent" enterSound="none">Sale 4711</MultiPartyCall></Response>'
    first = Participant(waiting, 800.0)
    second = Participant(await reader.answered(f"{path}-agent", agent), 1300.0)
    await asyncio.gather(first.hears(second), second.hears(first))
    await asyncio.gather(hung_up(waiting), hung_up(second.call))
    await reader.customer.until(f"{path}/after")


async def play(reader):
    path, text, (pitch_hz,) = reader.example("play")
    call = await reader.answered(path, text)
    await call.until_ended(60)
    assert tone_ms(call.heard_samples(), pitch_hz) == pytest.approx(800, abs=240), "it is played twice"


async def pre_answer(reader):
    path, text, (hold_hz, welcome_hz) = reader.example("pre_answer")
    call = await reader.call(path, text)
    await until_tone(call, hold_hz)
    assert call.answered_at is None
    await call.until_ended(60)
    assert call.answered_at is not None
    heard_in_order(call, hold_hz, welcome_hz)


async def record(reader):
    path, text, (prompt_hz, nothing_hz) = reader.example("record")
    call = await reader.answered(path, text)
    await until_tone(call, prompt_hz)
    await reader.customer.until_event(call.call_uuid, "media", event="recording started")
    call.play(tones.tone(CALLER_HZ, 600))
    await until_heard_ms(call, len(call.heard_samples()) / 8 + 1_000)
    call.send_digits("#")
    await call.until_ended(60)
    (told,) = reader.customer.seen(f"{path}/message")
    assert int(told.params["RecordingDurationMs"]) >= 600
    heard_in_order(call, prompt_hz, ASKED_HZ)
    assert tone_ms(call.heard_samples(), nothing_hz) < 80
    await reader.customer.until(f"{path}/file-is-ready")


async def redirect(reader):
    path, text, _ = reader.example("redirect")
    call = await reader.answered(path, text)
    await call.until_ended(60)
    (asked,) = reader.customer.seen(f"{path}/next")
    assert (asked.method, asked.params["step"]) == ("GET", "2")
    # Two words; a phone that learns of the answer late misses the beginning.
    assert spoken_ms(call.heard_samples()) > 400
    assert tone_ms(call.heard_samples(), ASKED_HZ) >= 280


async def speak(reader):
    path, text, _ = reader.example("speak")
    call = await reader.answered(path, text)
    await call.until_ended(60)
    assert spoken_ms(call.heard_samples()) > 3_000


async def stream(reader):
    path, text, _ = reader.example("stream")
    call = await reader.answered(path, text)
    connection = await connection_of(reader.agent, call)
    assert connection.messages[0]["extra_headers"] == "tenant=7,ringback.hold=tone"
    await say_until(call, tones.tone(CALLER_HZ, 800), lambda: hears(call, CALLER_HZ), "the caller's own echo")
    connection.close()
    await until_tone(call, ASKED_HZ)
    await call.until_ended(60)
    await reader.customer.until(f"{path}/stream-status", Event="StopStream")


async def wait(reader):
    path, text, (message_hz,) = reader.example("wait")
    call = await reader.answered(path, text)
    # The first of them may come before anybody listens.
    call.play(np.concatenate([tones.silence(600), tones.tone(1000, 500), tones.silence(900)] * 5))
    await call.until_ended(60)
    assert tone_ms(call.heard_samples(), message_hz) >= 280


FIRST = (dtmf, get_digits, get_input, hangup, message, play, pre_answer, record)
SECOND = (conference, dial, multi_party_call, redirect, speak, stream, wait)


def test_no_page_is_without_an_example_that_runs():
    assert sorted(run.__name__ for run in (*FIRST, *SECOND)) == sorted(page.stem for page in PAGES.glob("*.md"))


@pytest.mark.parametrize("pages", [FIRST, SECOND], ids=["first", "second"])
async def test_the_examples_of_the_pages_are_heard(customer, platform, new_phone, agent, pages):
    reader = Reader(customer, platform, new_phone, agent)
    await asyncio.gather(*(run(reader) for run in pages))
