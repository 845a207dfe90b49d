"""The smallest voice agent: every caller hears itself. Needs nothing that Ringback does not bring.

Run: .venv/bin/python examples/first_agent.py
Then, in other terminals: make dev ARGS="--answer-url http://127.0.0.1:5000/answer"
                          .venv/bin/ringback call 15551112222
"""

import os

from aiohttp import web

DOCUMENT = """<Response>
  <Stream bidirectional="true" keepCallAlive="true" contentType="audio/x-mulaw;rate=8000">ws://{host}/ws</Stream>
</Response>"""


async def answer(request):
    return web.Response(text=DOCUMENT.format(host=request.host), content_type="application/xml")


async def talk(request):
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        event = message.json()
        if event["event"] == "media":
            heard = event["media"]["payload"]  # 20 ms of µ-law in base64: give it to your recogniser
            audio = {"contentType": "audio/x-mulaw", "sampleRate": 8000, "payload": heard}  # and say something better
            await socket.send_json({"event": "playAudio", "media": audio})
    return socket


app = web.Application()
app.add_routes([web.post("/answer", answer), web.get("/ws", talk)])

if __name__ == "__main__":
    web.run_app(app, host="127.0.0.1", port=int(os.environ.get("PORT", "5000")))
