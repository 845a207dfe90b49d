"""Answer documents: every element of this version, run on a live call and judged by what the caller hears."""

import pytest
from tests.support.agent_audio import heard_by, say, sounding
from tests.support.customer import response, stream
from tests.support.live_calls import answered, connection_of, hung_up, say_until, until_heard_ms
from tests.support.sounds import MP3_HZ, heard_tones, mp3_reply, wav_reply
from tests.support.waiting import until

from ringback.phones import tones
from ringback.phones.call import CallNotAnswered
from ringback.testing.answer_server import AppReply

pytestmark = pytest.mark.functional


@pytest.fixture
async def run(customer, phone, platform):
    """Calls a number that answers with this document; returns the call."""

    async def dial(*elements):
        document = response(*elements)
        number = await customer.number(customer.serve("/answer", document), hangup_url=customer.url("/hangup"))
        return await answered(phone, platform, number)

    return dial


async def cause(customer, call):
    """Return code and source of the call's end as both accounts tell it."""
    params = await customer.hangup_params(call_uuid=call.call_uuid)
    cdr = await customer.cdr(call.call_uuid)
    assert (cdr.hangup_cause_code, cdr.hangup_source) == (int(params["HangupCauseCode"]), params["HangupSource"])
    return cdr.hangup_cause_code, cdr.hangup_source


def near(expected, call):
    """Return tones as approximations: 10 Hz, and 120 ms for edges and concealment, besides what stood still."""
    return [(pytest.approx(pitch, abs=10), pytest.approx(ms, abs=120 + call.stood_still_ms)) for pitch, ms in expected]


def pause(after_ms, still_ms):
    """Return silence as `heard_tones` tells it."""
    return 0, pytest.approx(after_ms, abs=250 + still_ms)


# ── Play, Wait ──────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_play_wav_and_mp3_in_order(customer, run):
    files = {
        "/narrow.wav": wav_reply(600),
        "/beep.mp3": mp3_reply(),
        "/studio.wav": wav_reply(1500, rate_hz=44100, channels=2),
        "/wide.wav": wav_reply(2100, rate_hz=16000),
    }
    urls = [customer.serve(path, reply) for path, reply in files.items()]
    call = await run(*(f"<Play>\n  {url}?x=1&amp;y=2\n</Play>" for url in urls))
    assert (await call.until_ended()).by == "them"
    heard = [tone for tone in heard_tones(call.heard_samples()) if tone[0]]
    assert heard == near([(600, 400), (MP3_HZ, 600), (1500, 400), (2100, 400)], call)
    assert tones.level_dbov(sounding(call.heard_samples())[: 8 * 300]) == pytest.approx(-15, abs=1.5)
    assert await cause(customer, call) == (4010, "Plivo")
    assert {request.target for request in customer.seen("/narrow.wav")} == {"/narrow.wav?x=1&y=2"}


async def test_play_loops(customer, run):
    url = customer.serve("/beep.wav", wav_reply(800, 300))
    call = await run(f'<Play loop="3">{url}</Play>')
    await call.until_ended()
    assert len(sounding(call.heard_samples())) / 8 == pytest.approx(900, abs=100 + call.stood_still_ms)
    assert len(customer.seen("/beep.wav")) == 1


async def test_play_that_cannot_be_had_is_skipped(customer, run):
    bad = [
        customer.serve("/missing.wav", AppReply(b"no", 404, "text/plain")),
        customer.serve("/page.wav", AppReply(b"<html>not audio</html>", 200, "audio/wav")),
        customer.serve("/short.wav", AppReply(wav_reply(500).body[:30], 200, "audio/wav")),
        "ftp://127.0.0.1/x.wav",
        "http://127.0.0.1:1/x.wav",
    ]
    good = customer.serve("/good.wav", wav_reply(900))
    call = await run(*(f"<Play>{url}</Play>" for url in bad), f"<Play>{good}</Play>")
    await call.until_ended()
    assert [tone for tone in heard_tones(call.heard_samples()) if tone[0]] == near([(900, 400)], call)
    notes = [row["fields"]["text"] for row in await customer.events(call.call_uuid, "element", phase="note")]
    assert sum("file skipped" in note for note in notes) == len(bad), notes


async def test_wait_lets_its_time_pass(customer, run):
    url = customer.serve("/beep.wav", wav_reply(800, 300))
    call = await run(
        f"<Play>{url}</Play>", '<Wait length="1"/>', f"<Play>{url}</Play>", "<Wait/>", f"<Play>{url}</Play>"
    )
    await call.until_ended(60)
    heard = heard_tones(call.heard_samples())
    while heard[0][0] == 0:
        del heard[0]
    first, gap, second, another, third = heard[:5]
    assert [first, second, third] == near([(800, 300)] * 3, call)
    assert (gap, another) == (pause(1000, call.stood_still_ms), pause(1000, call.stood_still_ms))
    assert gap[1] >= 950 - call.stood_still_ms


# ── Redirect, Hangup ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("method", ["POST", "GET"])
async def test_redirect_goes_on_with_another_document(customer, run, method):
    sound = customer.serve("/beep.wav", wav_reply(700, 300))
    url = customer.serve("/next", response(f"<Play>{sound}</Play>"))
    call = await run(f'<Redirect method="{method}">{url}?step=2&amp;x=y</Redirect>', "<Play>http://127.0.0.1:1/</Play>")
    await call.until_ended()
    (request,) = customer.seen("/next")
    assert request.method == method
    assert request.params["step"] == "2"
    wanted = {"CallUUID": call.call_uuid, "CallStatus": "in-progress", "Event": "StartApp", "Direction": "inbound"}
    assert request.params == request.params | wanted
    assert len(sounding(call.heard_samples())) / 8 == pytest.approx(300, abs=120 + call.stood_still_ms)
    assert await cause(customer, call) == (4010, "Plivo")


@pytest.mark.parametrize(
    ("attributes", "status", "code"),
    [('reason="rejected"', 603, 3020), ('reason="busy"', 486, 3010), ("", 603, 3020)],
)
async def test_hangup_as_the_first_element_refuses_the_call(customer, phone, platform, attributes, status, code):
    document = response(f"<Hangup {attributes}/>")
    number = await customer.number(customer.serve("/answer", document), hangup_url=customer.url("/hangup"))
    call = await phone.call(platform.uri(number))
    with pytest.raises(CallNotAnswered) as refused:
        await call.until_answered()
    assert refused.value.status == status
    await call.until_ended()
    assert await cause(customer, call) == (code, "Answer XML")
    assert (await customer.cdr(call.call_uuid)).answer_time is None


async def test_hangup_after_the_answer_is_a_normal_one(customer, run):
    url = customer.serve("/beep.wav", wav_reply(800, 200))
    call = await run(f"<Play>{url}</Play>", '<Hangup reason="busy"/>', f"<Play>{url}</Play>")
    await call.until_ended()
    assert await cause(customer, call) == (4000, "Answer XML")
    assert len(sounding(call.heard_samples())) / 8 == pytest.approx(200, abs=120 + call.stood_still_ms)


async def test_scheduled_hangup_lets_the_rest_run_until_then(customer, silent_agent, run):
    call = await run('<Hangup schedule="1"/>', stream(silent_agent.url))
    connection = await connection_of(silent_agent, call)
    say(connection, tones.tone(900, 3000))
    await call.until_ended()
    assert await cause(customer, call) == (6000, "Answer XML")
    # How much of the second was left for the agent is the machine's business; three seconds it had not.
    assert 0 < len(sounding(call.heard_samples())) / 8 < 2_700
    await until(lambda: connection.is_gone, "the stream to end")


@pytest.mark.parametrize("document", ["<Response/>", '<?xml version="1.0" encoding="UTF-8"?>\n<Response></Response>\n'])
async def test_empty_document_ends_the_call_at_once(customer, phone, platform, document):
    number = await customer.number(customer.serve("/answer", document), hangup_url=customer.url("/hangup"))
    call = await phone.call(platform.uri(number))
    await call.until_ended()
    assert await cause(customer, call) == (4010, "Plivo")


async def test_unknown_elements_and_attributes_are_skipped_and_noted(customer, run):
    url = customer.serve("/beep.wav", wav_reply(800, 300))
    call = await run(
        "<Say voice='x'>hello</Say>", "<Speek>typo</Speek>", f'<Play color="red">{url}</Play>',
        "<Reject/>",
    )  # fmt: skip
    await call.until_ended()
    assert len(sounding(call.heard_samples())) / 8 == pytest.approx(300, abs=120 + call.stood_still_ms)
    assert await cause(customer, call) == (4010, "Plivo")
    notes = " | ".join(row["fields"]["text"] for row in await customer.events(call.call_uuid, "element", phase="note"))
    for words in ("<Say>", "did you mean <Speak>", "attribute color", "<Reject>"):
        assert words in notes


# ── Stream ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def test_kept_alive_stream_blocks_what_follows(customer, silent_agent, run):
    url = customer.serve("/beep.wav", wav_reply(800, 300))
    call = await run(stream(silent_agent.url), f"<Play>{url}</Play>")
    connection = await connection_of(silent_agent, call)
    await until_heard_ms(call, 300)
    assert not len(sounding(call.heard_samples()))
    connection.close()
    await call.until_ended()
    assert len(sounding(call.heard_samples())) / 8 == pytest.approx(300, abs=120 + call.stood_still_ms)
    assert await cause(customer, call) == (4010, "Plivo")


async def test_stream_that_is_not_kept_alive_runs_beside_what_follows(customer, silent_agent, run):
    url = customer.serve("/beep.wav", wav_reply(800, 400))
    call = await run(stream(silent_agent.url, keepCallAlive="false"), f"<Play>{url}</Play>", '<Wait length="30"/>')
    connection = await connection_of(silent_agent, call)
    await say_until(
        call, tones.tone(1300, 500), lambda: len(sounding(heard_by(connection))) > 8 * 300, "the caller at the agent"
    )
    assert tones.pitch_hz(sounding(heard_by(connection))) == pytest.approx(1300, abs=3)
    assert [tone for tone in heard_tones(call.heard_samples()) if tone[0]] == near([(800, 400)], call)
    connection.close()
    await until(lambda: connection.is_gone, "the stream to end")
    assert not call.is_over, "the end of such a stream does not end the call"
    await hung_up(call)


async def test_stream_that_is_not_kept_alive_with_nothing_after_it_ends_the_call(customer, silent_agent, run):
    """As the cloud does, and not what a newcomer expects (spec 2.4): the document is over."""
    call = await run(stream(silent_agent.url, keepCallAlive="false"))
    await call.until_ended()
    assert await cause(customer, call) == (4010, "Plivo")
    await until(lambda: all(each.is_gone for each in silent_agent.connections), "the stream to end")


async def test_two_streams_one_listens_and_one_talks(customer, silent_agent, run):
    call = await run(
        stream(silent_agent.url + "&ear=1", bidirectional="false", keepCallAlive="false"),
        stream(silent_agent.url + "&mouth=1", contentType="audio/x-l16;rate=16000"),
    )
    await until(lambda: len([c for c in silent_agent.connections if c.messages]) == 2, "two streams")
    ear, mouth = sorted(silent_agent.connections, key=lambda connection: connection.format[1])
    say(mouth, tones.tone(500, 600, 16000))
    for connection in (ear, mouth):
        rate_hz = connection.format[1]
        await say_until(
            call,
            tones.tone(1100, 600),
            lambda c=connection, r=rate_hz: len(sounding(heard_by(c))) > 0.3 * r,
            "the caller at the agent",
        )
        assert tones.pitch_hz(sounding(heard_by(connection)), rate_hz) == pytest.approx(1100, abs=3)
    await until(lambda: len(sounding(call.heard_samples())) > 8 * 300, "the agent at the caller")
    assert tones.pitch_hz(sounding(call.heard_samples())) == pytest.approx(500, abs=3)
    await hung_up(call)


async def test_second_two_way_stream_does_not_start(customer, silent_agent, run):
    call = await run(
        stream(silent_agent.url + "&n=1", keepCallAlive="false"),
        stream(silent_agent.url + "&n=2"),
        '<Wait length="30"/>',
    )
    await connection_of(silent_agent, call)
    note = await customer.until_event(call.call_uuid, "element", phase="note", name="Stream")
    assert "has a bidirectional stream already" in note["fields"]["text"]
    assert len(silent_agent.connections) == 1
    await hung_up(call)


async def test_illegal_combination_is_an_invalid_document(customer, phone, platform, silent_agent):
    document = response(stream(silent_agent.url, audioTrack="both"))
    number = await customer.number(customer.serve("/answer", document), hangup_url=customer.url("/hangup"))
    call = await phone.call(platform.uri(number))
    assert (await call.until_ended()).status == 503
    assert (await cause(customer, call))[0] == 8011


async def test_unknown_content_type_fails_the_stream_and_the_call_goes_on(customer, silent_agent, run):
    url = customer.serve("/beep.wav", wav_reply(800, 300))
    broken = stream(silent_agent.url, contentType="audio/opus", statusCallbackUrl=customer.url("/status"))
    call = await run(broken, f"<Play>{url}</Play>")
    await call.until_ended()
    assert len(sounding(call.heard_samples())) / 8 == pytest.approx(300, abs=120 + call.stood_still_ms)
    (failed,) = await customer.until("/status")
    assert (failed.params["Event"], failed.params["StatusReason"]) == ("DroppedStream", "invalid_content_type")
    assert not silent_agent.connections


async def test_digits_reach_the_agent_and_no_element(customer, silent_agent, run):
    url = customer.serve("/beep.wav", wav_reply(800, 1200))
    call = await run(stream(silent_agent.url, keepCallAlive="false"), f"<Play>{url}</Play>")
    connection = await connection_of(silent_agent, call)
    call.send_digits("42")
    await call.until_ended()
    pressed = [message["dtmf"]["digit"] for message in connection.messages if message["event"] == "dtmf"]
    assert pressed == ["4", "2"]
    assert len(sounding(call.heard_samples())) / 8 == pytest.approx(1200, abs=100 + call.stood_still_ms)


async def test_three_documents_in_a_row_stay_one_call(customer, silent_agent, run):
    """A menu's skeleton: greet, redirect, stream, redirect after the agent has closed."""
    sound = customer.serve("/beep.wav", wav_reply(700, 200))
    last = customer.serve("/bye", response(f"<Play>{sound}</Play>", "<Hangup/>"))
    middle = customer.serve("/talk", response(stream(silent_agent.url), f"<Redirect>{last}</Redirect>"))
    call = await run(f"<Play>{sound}</Play>", f"<Redirect>{middle}</Redirect>")
    connection = await connection_of(silent_agent, call)
    say(connection, tones.tone(1500, 300))
    connection.send({"event": "checkpoint", "name": "said"})
    await until(lambda: any(m["event"] == "playedStream" for m in connection.messages), "the word")
    connection.close()
    await call.until_ended()
    assert [tone for tone in heard_tones(call.heard_samples()) if tone[0]] == near(
        [(700, 200), (1500, 300), (700, 200)], call
    )
    documents = [request.path for request in customer.requests if request.path in ("/answer", "/talk", "/bye")]
    assert documents == ["/answer", "/talk", "/bye"]
    assert {request.params["CallUUID"] for request in customer.requests if "CallUUID" in request.params} == {
        call.call_uuid
    }
    assert await cause(customer, call) == (4000, "Answer XML")
