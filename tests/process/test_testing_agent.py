import asyncio
import base64
import json
import subprocess
import sys
import urllib.error
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ET

import pytest
import websockets
from tests.support.waiting import until

from ringback.testing.agent import Agent, stream_document
from ringback.testing.answer_server import REQUEST_MAX_BYTES, AnswerServer, AppReply

MEDIA = {
    "event": "media",
    "sequenceNumber": 2,
    "streamId": "s",
    "media": {"track": "inbound", "timestamp": "1", "chunk": 1, "payload": base64.b64encode(b"\xff" * 160).decode()},
    "extra_headers": "",
}


def start(encoding: str, rate: int) -> str:
    media_format = {"encoding": encoding, "sampleRate": rate}
    return json.dumps({"event": "start", "start": {"streamId": "s", "callId": "c", "mediaFormat": media_format}})


def compact(message: dict) -> str:
    return json.dumps(message, separators=(",", ":"))


def fetch(url: str, data: dict | None = None) -> str:
    body = urllib.parse.urlencode(data).encode() if data is not None else None
    with urllib.request.urlopen(url, body, timeout=20) as reply:
        return reply.read().decode()


@pytest.fixture
async def agent():
    agent = Agent()
    await agent.start()
    yield agent
    await agent.close()


@pytest.mark.parametrize("data", [None, {"CallUUID": "c1"}])
async def test_answer_url_returns_a_stream_document_to_get_and_post(agent, data):
    document = ET.fromstring(await asyncio.to_thread(fetch, agent.answer_url, data))
    (stream,) = document
    assert document.tag == "Response"
    assert stream.tag == "Stream"
    assert stream.attrib == {
        "bidirectional": "true",
        "keepCallAlive": "true",
        "contentType": "audio/x-mulaw;rate=8000",
    }
    assert stream.text == agent.stream_url()
    assert agent.requests[-1].params.get("CallUUID", "") == (data or {}).get("CallUUID", "")


async def test_content_type_and_behaviour_are_chosen_by_the_query(agent):
    query = urllib.parse.urlencode({"contentType": "audio/x-l16;rate=16000", "agent": "silent"})
    (stream,) = ET.fromstring(await asyncio.to_thread(fetch, f"{agent.answer_url}?{query}"))
    assert stream.attrib["contentType"] == "audio/x-l16;rate=16000"
    assert stream.text == agent.stream_url("silent")


def test_document_escapes_what_it_is_given():
    (stream,) = ET.fromstring(stream_document("ws://h/?a=1&b=<2>", 'x"y'))
    assert stream.text == "ws://h/?a=1&b=<2>"
    assert stream.attrib["contentType"] == 'x"y'


@pytest.mark.parametrize("spelling", [compact, json.dumps])
@pytest.mark.parametrize(("encoding", "rate"), [("audio/x-mulaw", 8000), ("audio/x-l16", 16000)])
async def test_payload_comes_back_in_the_stream_format(agent, spelling, encoding, rate):
    async with websockets.connect(agent.stream_url()) as socket:
        await socket.send(start(encoding, rate))
        await socket.send(spelling(MEDIA))
        answer = json.loads(await socket.recv())
    assert answer == {
        "event": "playAudio",
        "media": {"contentType": encoding, "sampleRate": rate, "payload": MEDIA["media"]["payload"]},
    }
    assert agent.events[0]["event"] == "start"


async def test_fragmented_message_is_echoed_once(agent):
    text = compact(MEDIA)
    async with websockets.connect(agent.stream_url()) as socket:
        await socket.send([text[:50], text[50:100], text[100:]])
        assert json.loads(await socket.recv())["media"]["payload"] == MEDIA["media"]["payload"]


async def test_digits_are_noted_and_not_echoed(agent):
    async with websockets.connect(agent.stream_url()) as socket:
        await socket.send(compact({"event": "dtmf", "dtmf": {"digit": "5"}}))
        await socket.send(compact(MEDIA))
        assert json.loads(await socket.recv())["event"] == "playAudio"
    assert agent.events[0]["dtmf"]["digit"] == "5"


async def test_open_streams_are_counted(agent):
    async with websockets.connect(agent.stream_url()):
        assert agent.open_streams == 1
    await until(lambda: agent.open_streams == 0, "the stream to be counted out")


async def test_close_behaviour_closes_orderly(agent):
    async with websockets.connect(agent.stream_url("close")) as socket:
        await socket.send(start("audio/x-mulaw", 8000))
        with pytest.raises(websockets.ConnectionClosedOK):
            await socket.recv()


async def test_drop_behaviour_cuts_the_line(agent):
    async with websockets.connect(agent.stream_url("drop")) as socket:
        await socket.send(start("audio/x-mulaw", 8000))
        with pytest.raises(websockets.ConnectionClosedError):
            await socket.recv()


async def test_silent_behaviour_says_nothing(agent):
    async with websockets.connect(agent.stream_url("silent")) as socket:
        await socket.send(compact(MEDIA))
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(socket.recv(), 0.1)


async def test_faulty_behaviour_breaks_every_rule_and_still_echoes(agent):
    async with websockets.connect(agent.stream_url("faulty")) as socket:
        await socket.send(start("audio/x-mulaw", 8000))
        faults = [await socket.recv() for _ in range(7)]
        await socket.send(compact(MEDIA))
        assert json.loads(await socket.recv())["event"] == "playAudio"
    with pytest.raises(json.JSONDecodeError):
        json.loads(faults[0])


@pytest.mark.parametrize(("path", "status"), [("refuse", 403), ("answer200", 200), ("nowhere", 404)])
async def test_refusing_paths_do_not_upgrade(agent, path, status):
    with pytest.raises(websockets.InvalidStatus) as caught:
        await websockets.connect(agent.stream_url(path))
    assert caught.value.response.status_code == status


async def test_answer_server_can_be_slow_wrong_and_hang_up():
    replies = [AppReply(b"no", 500, "text/plain"), AppReply(hang_up=True), AppReply(b"late", delay_ms=50)]
    server = AnswerServer(lambda _request: replies.pop(0))
    await server.start()
    with pytest.raises(urllib.error.HTTPError) as caught:
        await asyncio.to_thread(fetch, server.url)
    caught.value.close()
    assert caught.value.code == 500
    with pytest.raises(OSError, match=r"closed|reset"):
        await asyncio.to_thread(fetch, server.url)
    assert await asyncio.to_thread(fetch, server.url) == "late"
    await server.close()


async def test_answer_server_answers_several_requests_on_one_connection_in_order():
    async def respond(request):
        await asyncio.sleep(0.02 if request.path == "/1" else 0)
        return AppReply(request.path.encode())

    server = AnswerServer(respond)
    await server.start()
    reader, writer = await asyncio.open_connection(server.host, server.port)
    writer.write(b"GET /1 HTTP/1.1\r\nHost: h\r\n\r\nGET /2 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
    text = (await reader.read()).decode()
    assert text.index("/1") < text.index("/2")
    writer.close()
    await server.close()


async def test_answer_server_refuses_rubbish_and_floods():
    server = AnswerServer(lambda _request: AppReply())
    await server.start()
    for data, status in (
        (b"\x16\x03rubbish\r\n\r\n", b"400"),
        (b"POST / HTTP/1.1\r\nContent-Length: 9999999\r\n\r\n" + b"x" * (REQUEST_MAX_BYTES + 1), b"413"),
    ):
        reader, writer = await asyncio.open_connection(server.host, server.port)
        writer.write(data)
        assert (await reader.readline()).split()[1] == status
        writer.close()
    await server.close()


def test_process_names_its_urls_and_ends_on_sigterm():
    command = [sys.executable, "-m", "ringback.testing.agent"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            urls = json.loads(process.stdout.readline())
            (stream,) = ET.fromstring(fetch(urls["answer_url"]))
            assert stream.text == urls["stream_url"]
            process.terminate()
            assert process.wait(20) == 0
        finally:
            process.kill()


def test_process_ends_when_its_parent_has_been_gone_for_the_limit():
    parent = (
        "import subprocess, sys\n"
        "agent = [sys.executable, '-m', 'ringback.testing.agent', '--detached-limit', '4']\n"
        "child = subprocess.Popen(agent, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)\n"
        "print(child.stdout.readline().strip())\nprint(child.pid, flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True, check=True, timeout=60)
    urls, _pid = done.stdout.splitlines()
    answer_url = json.loads(urls)["answer_url"]
    assert "Stream" in fetch(answer_url)
    for _ in range(200):
        try:
            fetch(answer_url)
        except OSError:
            return
        subprocess.run(["sleep", "0.1"], check=True)
    pytest.fail("the agent outlived its parent")
