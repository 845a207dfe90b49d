"""Noise suppression on live calls: what the agent hears, and that it stays complete and in time."""

from itertools import pairwise

import numpy as np
import pytest
from tests.support.agent_audio import heard_by
from tests.support.customer import response, stream
from tests.support.live_calls import connection_of, hung_up
from tests.support.noisy_speech import mixed, voice
from tests.support.waiting import until

pytestmark = pytest.mark.functional
SECONDS = 4


def floor_of(samples) -> float:
    """Return the root mean square of the quietest tenth of frames of a recording in which anything was said.

    While a process gets no processor nothing is said, and that is silence of zeros.
    """
    frames = np.asarray(samples, np.float64)[: len(samples) // 160 * 160].reshape(-1, 160)
    levels = np.sort(np.sqrt(np.mean(frames**2, axis=1)))
    levels = levels[levels > 1]
    return float(levels[: max(1, len(levels) // 10)].mean())


async def test_agent_hears_less_noise_and_every_frame(customer, silent_agent, phone):
    noisy = mixed(voice("slt")[: SECONDS * 8_000], "hiss", 10)
    heard = {}
    for name, more in (("plain", {}), ("clean", {"noiseCancellation": "true", "noiseCancellationLevel": "85"})):
        number = await customer.number(customer.serve(f"/{name}", response(stream(silent_agent.url, **more))))
        call = await phone.call(customer.platform.uri(number))
        await call.until_answered()
        connection = await connection_of(silent_agent, call)
        call.play(noisy)
        await until(lambda connection=connection: len(heard_by(connection)) >= SECONDS * 8_000, "the speech")
        media = [message["media"] for message in connection.messages if message.get("event") == "media"]
        chunks = [int(message["chunk"]) for message in media]
        assert chunks == list(range(chunks[0], chunks[0] + len(chunks)))
        stamps = [int(message["timestamp"]) for message in media]
        assert {later - earlier for earlier, later in pairwise(stamps)} == {20}
        heard[name] = heard_by(connection)[800:]
        if more:
            told = await customer.until_event(call.call_uuid, "stream", event="noise cancellation")
            assert (told["fields"]["engine"], told["fields"]["level"]) == ("dtln", 85)
        await hung_up(call)
        if more:
            told = await customer.until_event(call.call_uuid, "stream", event="noise cancellation ended")
            assert told["fields"]["engine"] == "dtln"
            assert told["fields"]["frames"] >= SECONDS * 50
            assert told["fields"]["passed_frames"] < told["fields"]["frames"]
            assert told["fields"]["cpu_us"] > 0
    assert floor_of(heard["clean"]) < 0.4 * floor_of(heard["plain"]), "8 dB at least"
    assert np.std(heard["clean"]) > 0.6 * np.std(heard["plain"]), "the voice stays"
