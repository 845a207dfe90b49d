"""G.711 against the formulas of the standard; every rate path against a tone."""

from __future__ import annotations

import audioop

import numpy as np
import pytest
from tests.support.media_leg import measured, samples, sine_pcm

from ringback.media.codecs import concealment, convert
from ringback.media.codecs.comfort_noise import ComfortNoise, noise_level
from ringback.media.codecs.g711 import ALAW_TO_ULAW, PCMA, PCMU, ULAW_TO_ALAW, Law, law_named
from ringback.media.codecs.resample import Decimator, Doubler, resample_clip
from ringback.media.control.values import AudioFormat, Encoding

EVERY_BYTE = bytes(range(256))


def ulaw_value(code: int) -> int:
    """Return the value of a µ-law code by G.711 table 2, scaled to 16 bits."""
    code = ~code & 0xFF
    magnitude = ((2 * (code & 0x0F) + 33) << (code >> 4 & 7)) - 33
    return 4 * (-magnitude if code & 0x80 else magnitude)


def alaw_value(code: int) -> int:
    """Return the value of an A-law code by G.711 table 1, scaled to 16 bits."""
    code ^= 0x55
    segment, step = code >> 4 & 7, code & 0x0F
    magnitude = 2 * step + 1 if segment == 0 else (2 * step + 33) << (segment - 1)
    return 8 * (magnitude if code & 0x80 else -magnitude)


@pytest.mark.parametrize(("law", "value"), [(PCMU, ulaw_value), (PCMA, alaw_value)])
def test_every_code_decodes_to_the_value_of_the_standard(law: Law, value) -> None:
    assert samples(law.decode(EVERY_BYTE)).tolist() == [value(code) for code in range(256)]


@pytest.mark.parametrize(("law", "value", "step"), [(PCMU, ulaw_value, 4), (PCMA, alaw_value, 8)])
def test_every_sample_encodes_by_the_decision_values_of_the_standard(law: Law, value, step: int) -> None:
    # The input of µ-law is 14 bits, that of A-law 13: multiples of 4 and 8 here.
    every = np.arange(-32768, 32768, step)
    decoded = samples(law.decode(law.encode(every.astype("<i2").tobytes())))
    levels = np.array(sorted({abs(value(code)) for code in range(256)}), dtype=float)
    segments = np.arange(127) // 16
    sizes = 8 << segments if law is PCMU else 16 << np.maximum(segments - 1, 0)
    # A decision value lies half a step of the lower level's segment above that level (tables 1 and 2).
    decisions = levels[:-1] + sizes / 2
    at = np.searchsorted(decisions, np.abs(every), side="right")
    tie = np.minimum(np.searchsorted(decisions, np.abs(every), side="left"), at)
    matches = (np.abs(decoded) == levels[at]) | (np.abs(decoded) == levels[tie])
    # Compression of negative samples may round by one unit of the law's linear input.
    below = np.abs(decoded) == levels[np.searchsorted(decisions, np.abs(every) - step, side="right")]
    assert np.all(matches | ((every < 0) & below)), every[~matches]
    assert np.all(np.sign(decoded[every != 0]) * np.sign(every[every != 0]) >= 0)


@pytest.mark.parametrize("law", [PCMU, PCMA])
def test_decoding_and_encoding_gives_the_same_code(law: Law) -> None:
    again = law.encode(law.decode(EVERY_BYTE))
    same_but_zero = EVERY_BYTE.replace(b"\x7f", b"\xff") if law is PCMU else EVERY_BYTE
    assert again == same_but_zero


def test_silence_is_zero_and_codes_of_it() -> None:
    assert PCMU.silence == b"\xff" * 160
    assert set(samples(PCMU.decode(PCMU.silence))) == {0}
    assert set(np.abs(samples(PCMA.decode(PCMA.silence)))) == {8}


def test_law_tables_keep_values_within_the_coarser_step() -> None:
    for table, source, target in ((ULAW_TO_ALAW, PCMU, PCMA), (ALAW_TO_ULAW, PCMA, PCMU)):
        before, after = samples(source.decode(EVERY_BYTE)), samples(target.decode(EVERY_BYTE.translate(table)))
        assert np.all(np.abs(before - after) <= np.maximum(16, np.abs(before) / 16))


def test_law_is_found_by_its_sdp_name() -> None:
    assert law_named("pcmu") is PCMU
    assert law_named("PCMA") is PCMA
    assert law_named("G722") is None


@pytest.mark.parametrize("frequency", [300, 1000, 3000, 3400])
def test_doubler_keeps_pitch_and_level_and_makes_no_clicks(frequency: int) -> None:
    doubler = Doubler()
    source = sine_pcm(frequency, 1000)
    out = b"".join(doubler.process(source[at : at + 320]) for at in range(0, len(source), 320))
    assert len(out) == 2 * len(source)
    amplitude, purity = measured(samples(out)[200:], frequency, 16000)
    assert amplitude == pytest.approx(10_000, rel=0.01)
    assert purity > 45


@pytest.mark.parametrize("factor", [2, 3, 4, 6])
@pytest.mark.parametrize("frequency", [300, 1000, 3400])
def test_decimator_keeps_pitch_and_level_and_makes_no_clicks(factor: int, frequency: int) -> None:
    decimator = Decimator(factor)
    source = sine_pcm(frequency, 1000, 8000 * factor)
    step = 320 * factor
    out = b"".join(decimator.process(source[at : at + step]) for at in range(0, len(source), step))
    assert len(out) * factor == len(source)
    amplitude, purity = measured(samples(out)[200:], frequency, 8000)
    assert amplitude == pytest.approx(10_000, rel=0.01)
    assert purity > 60


@pytest.mark.parametrize("frequency", [4700, 5500, 7000])
def test_decimator_removes_what_would_alias(frequency: int) -> None:
    out = samples(Decimator(2).process(sine_pcm(frequency, 1000, 16000)))[100:]
    assert np.sqrt(2 * np.mean(out**2)) < 10_000 * 10 ** (-50 / 20)


def test_loud_audio_is_limited_not_wrapped() -> None:
    square = np.repeat(np.array([32767, -32768] * 200, dtype="<i2"), 20).tobytes()
    for process in (Doubler().process, Decimator(2).process):
        out = samples(process(square))
        assert out.max() > 32_000
        assert out.min() < -32_000
        # A wrapped sample would sit next to one of the other sign at full scale far from the edges of the square.
        assert np.abs(np.diff(out)).max() <= 65_535


def test_reset_forgets_the_past() -> None:
    for resampler, source in ((Doubler(), sine_pcm(1000, 20)), (Decimator(2), sine_pcm(1000, 20, 16000))):
        fresh = resampler.process(source)
        assert resampler.process(source) != fresh
        resampler.reset()
        assert resampler.process(source) == fresh
        assert resampler.process(b"") == b""


def test_clip_is_resampled_as_a_whole() -> None:
    out = resample_clip(sine_pcm(440, 500, 44_100), 44_100, 8000)
    assert len(out) == 2 * 4000
    amplitude, purity = measured(samples(out)[200:-200], 440, 8000)
    assert amplitude == pytest.approx(10_000, rel=0.01)
    assert purity > 50
    assert resample_clip(b"\x01\x02", 8000, 8000) == b"\x01\x02"


@pytest.mark.parametrize("law", [PCMU, PCMA])
@pytest.mark.parametrize("format", convert.STREAM_FORMATS)
def test_a_tone_survives_the_way_to_the_agent_and_back(law: Law, format: AudioFormat) -> None:
    up = convert.uplink(law, format)
    down = convert.Downlink(format, law)
    source = law.encode(sine_pcm(1000, 1000))
    frames = [source[at : at + 160] for at in range(0, len(source), 160)]
    carried = [up(frame) if up else frame for frame in frames]
    size = {convert.ULAW_8K: 160, convert.L16_8K: 320, convert.L16_16K: 640}[format]
    assert {len(frame) for frame in carried} == {size}
    returned = b"".join(down.process(frame) for frame in carried)
    assert len(returned) == len(source)
    amplitude, purity = measured(samples(law.decode(returned))[400:], 1000, 8000)
    assert amplitude == pytest.approx(10_000, rel=0.02)
    assert purity > 30
    if law is PCMU and format is convert.ULAW_8K:
        assert up is None
        assert returned == source


def test_l16_on_the_stream_is_little_endian() -> None:
    up = convert.uplink(PCMU, convert.L16_8K)
    assert up is not None
    assert up(b"\x00")[:2] == (-32124).to_bytes(2, "little", signed=True)


def test_downlink_of_fast_ulaw_and_its_reset() -> None:
    down = convert.Downlink(AudioFormat(Encoding.MULAW, 16000), PCMU)
    tone = audioop.lin2ulaw(sine_pcm(1000, 200, 16000), 2)
    first = down.process(tone)
    assert len(first) == 1600
    down.reset()
    assert down.process(tone) == first
    assert measured(samples(PCMU.decode(first))[200:], 1000, 8000)[1] > 30


def test_formats_are_interned() -> None:
    assert convert.canonical(AudioFormat(Encoding.MULAW, 8000)) is convert.ULAW_8K
    assert convert.canonical(AudioFormat(Encoding.L16, 16000)) is convert.L16_16K
    odd = AudioFormat(Encoding.L16, 11025)
    assert convert.canonical(odd) is odd
    assert convert.unit_bytes(convert.L16_16K) == 4


@pytest.mark.parametrize("frequency", [110, 200, 333])
def test_concealed_voice_keeps_its_pitch_and_joins_without_a_click(frequency: int) -> None:
    wave = sine_pcm(frequency, 200)
    past, future = wave[:1600], wave[1600:]
    concealer = concealment.Concealer()
    concealer.begin(past)
    made = concealer.make(160)
    recovered = concealer.recover(future[320:])
    assert not concealer.is_active
    joined = samples(past + made + recovered)
    steepest = np.abs(np.diff(samples(wave))).max()
    assert np.abs(np.diff(joined)).max() < 2.0 * steepest
    amplitude, _ = measured(samples(made)[:80], frequency, 8000)
    assert amplitude == pytest.approx(10_000, rel=0.15)


def test_concealment_starts_where_a_swelling_voice_ended() -> None:
    at = np.arange(480)
    wave = 200 * np.exp(at / 120) * np.sin(2 * np.pi * 100 * at / 8000 + 1.2)
    concealer = concealment.Concealer()
    concealer.begin(wave[:470].astype("<i2").tobytes())
    made = samples(concealer.make(160))
    steepest = np.abs(np.diff(wave[300:])).max()
    assert abs(made[0] - wave[469]) < 1.2 * steepest


def test_concealment_fades_to_silence_within_100_ms() -> None:
    concealer = concealment.Concealer()
    concealer.begin(sine_pcm(200, 100))
    levels = [np.abs(samples(concealer.make(160))).max() for _ in range(6)]
    assert levels[0] > 8000
    assert levels[0] > levels[1] > levels[2] > levels[3] > levels[4]
    assert levels[5] == 0
    assert np.abs(samples(concealer.recover(sine_pcm(200, 20)))[:3]).max() < 1000


def test_concealment_without_a_past_is_silent() -> None:
    concealer = concealment.Concealer()
    concealer.begin(b"")
    assert concealer.make(160) == bytes(320)


def test_concealment_is_better_than_silence_and_repetition() -> None:
    wave = samples(sine_pcm(173, 400)) * (1 + 0.3 * np.sin(np.arange(3200) / 700))
    pcm = wave.astype("<i2").tobytes()
    error = {"concealed": 0.0, "silence": 0.0, "repetition": 0.0}
    for start in range(800, 2800, 170):
        truth = wave[start : start + 160]
        concealer = concealment.Concealer()
        concealer.begin(pcm[: 2 * start])
        for name, made in (
            ("concealed", samples(concealer.make(160))),
            ("silence", np.zeros(160)),
            ("repetition", wave[start - 160 : start]),
        ):
            error[name] += float(np.mean((truth - made) ** 2))
    assert error["concealed"] < 0.5 * min(error["silence"], error["repetition"])


def test_shortened_audio_has_no_click() -> None:
    pcm = sine_pcm(300, 100)
    short = concealment.shortened(pcm, 160)
    assert len(short) == len(pcm) - 320
    steepest = np.abs(np.diff(samples(pcm))).max()
    assert np.abs(np.diff(samples(short))).max() < 2.2 * steepest
    assert short[80:] == pcm[400:]
    assert concealment.shortened(pcm[:340], 160) == pcm[320:340]


def test_ramp_leads_to_silence_within_2_ms() -> None:
    ramp = samples(concealment.ramp_down(16_000, 160))
    assert ramp[0] == 15_000
    assert np.all(np.diff(np.abs(ramp)) <= 0)
    assert not ramp[16:].any()
    assert concealment.ramp_down(100, 0) == b""


def test_comfort_noise_has_the_level_asked_for() -> None:
    noise = ComfortNoise()
    audio = samples(b"".join(noise.take(160, 50) for _ in range(100)))
    level = 20 * np.log10(np.sqrt(np.mean(audio**2)) / (32768 / np.sqrt(2)))
    assert level == pytest.approx(-50, abs=0.5)
    assert noise.take(160, 127) == bytes(320)


def test_comfort_noise_payload_is_bounded() -> None:
    assert noise_level(b"\x00") == 30
    assert noise_level(b"\x3c\x10") == 60
    assert noise_level(b"") == 127
