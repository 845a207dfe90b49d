"""A voice agent on `agent-transport`, whose protocol, pacing and codecs are native code: `AudioStreamEndpoint`.

It echoes what it hears at the endpoint's 16 kHz and tells what happens to it as JSON lines. Keys: `9` asks for a
checkpoint and waits for its acknowledgement, `*` ends the echo and clears the audio, `5` sends the keys `12#` back.
Argument: the port to listen on.
"""

import json
import sys
import threading

from agent_transport import AudioStreamEndpoint, init_logging

_LOCK = threading.Lock()


def tell(**facts: object) -> None:
    with _LOCK:
        sys.stdout.write(json.dumps(facts) + "\n")
        sys.stdout.flush()


class Talk(threading.Thread):
    """One call's audio."""

    def __init__(self, endpoint: AudioStreamEndpoint, session_id: str) -> None:
        super().__init__(daemon=True)
        self.endpoint = endpoint
        self.session_id = session_id
        self.echoes = True

    def run(self) -> None:
        frames = 0
        try:
            while True:
                heard = self.endpoint.recv_audio_bytes_blocking(self.session_id, 100)
                if heard is None:
                    continue
                audio, rate_hz, channels = heard
                frames += 1
                if frames == 1:
                    tell(event="audio", rate_hz=rate_hz, channels=channels, size_bytes=len(audio))
                if self.echoes:
                    self.endpoint.send_audio_bytes(self.session_id, bytes(audio), rate_hz, channels)
        except Exception as error:
            # The endpoint raises when the session is over.
            tell(event="over", frames=frames, text=str(error))

    def press(self, digit: str) -> None:
        match digit:
            case "9":
                self.endpoint.flush(self.session_id)
                tell(event="played", done=self.endpoint.wait_for_playout(self.session_id, 20_000))
            case "*":
                self.echoes = False
                self.endpoint.clear_buffer(self.session_id)
            case "5":
                self.endpoint.send_dtmf(self.session_id, "12#")


def main() -> None:
    init_logging("warn")
    port = int(sys.argv[1])
    endpoint = AudioStreamEndpoint(
        listen_addr=f"127.0.0.1:{port}", input_sample_rate=16_000, output_sample_rate=16_000, auto_hangup=False
    )
    tell(event="listening", port=port)
    talks: dict[str, Talk] = {}
    while True:
        event = endpoint.wait_for_event(timeout_ms=200)
        if event is None:
            continue
        facts = {name: value for name, value in event.items() if isinstance(value, str | int | float | bool | dict)}
        kind = facts.pop("type", "")
        if kind != "audio_capture_complete":
            # One for each 20 ms that were sent.
            tell(event=kind, **facts)
        session = facts.get("session")
        session_id = facts.get("session_id") or (session or {}).get("session_id", "")
        if session_id and session_id not in talks:
            talks[session_id] = Talk(endpoint, session_id)
            talks[session_id].start()
        if kind == "dtmf_received":
            threading.Thread(target=talks[session_id].press, args=(facts["digit"],), daemon=True).start()


main()
