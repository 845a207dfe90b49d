"""A call behind a bad network: loss, 30 ms jitter, overtaking, duplicates. `make soak` holds such calls for long."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest
from tests.support.agent_audio import assert_gapless, heard_by, say
from tests.support.customer import Customer, response, stream
from tests.support.live_calls import answered, connection_of, hung_up, until_heard_ms
from tests.support.stream_agent import StreamAgent
from tests.support.waiting import until

from ringback.phones import tones
from ringback.phones.phone import Phone, PhoneSettings
from ringback.testing.bad_network import Faults, ProxiedAudio
from ringback.testing.platform import Platform

pytestmark = pytest.mark.functional
CALLER_HZ, AGENT_HZ = 500.0, 800.0
SPEECH_MS = 5_000


async def test_no_chunk_is_missing_and_the_audio_is_good(
    customer: Customer, silent_agent: StreamAgent, platform: Platform
) -> None:
    made: list[ProxiedAudio] = []

    def make(*arguments: object) -> ProxiedAudio:
        made.append(partial(ProxiedAudio, faults=Faults(loss=0.03), seed=3)(*arguments))  # type: ignore[arg-type]
        return made[-1]

    phone = Phone(PhoneSettings(user="15550002223"), make_audio=make)
    await phone.start()
    try:
        document = response(stream(silent_agent.url, contentType="audio/x-mulaw;rate=8000"))
        call = await answered(phone, platform, await customer.number(customer.serve("/answer", document)))
        connection = await connection_of(silent_agent, call)
        call.play(tones.tone(CALLER_HZ, SPEECH_MS))
        say(connection, tones.tone(AGENT_HZ, SPEECH_MS))
        connection.send({"event": "checkpoint", "name": "said"})
        await until(lambda: silent_agent.events("playedStream"), "the end of the agent's speech")
        await until_heard_ms(call, len(call.heard_samples()) / 8 + 300)
        heard_here = call.heard_samples()
        await hung_up(call)
        up = made[0].proxy.to_platform
        assert up.lost
        assert up.duplicated
        assert up.held_back
        assert_gapless(connection)
        for heard, pitch_hz in ((heard_by(connection), CALLER_HZ), (heard_here, AGENT_HZ)):
            levels = tones.levels_dbov(heard)
            sounding = np.flatnonzero(levels > -30)
            assert len(sounding) * 20 == pytest.approx(SPEECH_MS, abs=400 + call.stood_still_ms)
            middle = heard[sounding[0] * 160 + 1_600 : sounding[-1] * 160 - 1_600]
            assert tones.pitch_hz(middle) == pytest.approx(pitch_hz, abs=3)
            assert tones.level_dbov(middle) == pytest.approx(-15, abs=1.5)
    finally:
        await phone.close()
