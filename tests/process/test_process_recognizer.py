"""The recognising process: words of a file, guesses of a growing one, and what becomes of it when it fails."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from pathlib import Path

import numpy as np
import psutil
import pytest
from tests.support.sounds import wav
from tests.support.waiting import until

from ringback.phones import tones
from ringback.recognition.installed import transcription_fault
from ringback.recognition.recognizer import Recognizer
from ringback.recognition.settings import RecognizerSettings

pytest.importorskip("pocketsphinx")

SPEECH = Path(__file__).parents[1] / "vectors" / "speech"
HINTS = ("sales", "Technical Support", "check balance")


@pytest.fixture
async def recognizer(tmp_path: Path):
    made = Recognizer(tmp_path / "files", tmp_path / "log", RecognizerSettings(engine="pocketsphinx"))
    yield made
    await made.close()
    assert not list((tmp_path / "files").glob("*"))


def spoken(recognizer: Recognizer, name: str, suffix: str = "") -> str:
    path = recognizer.new_path()
    shutil.copy(SPEECH / f"{name}.wav", path + suffix)
    return path


async def heard(recognizer: Recognizer, name: str) -> str:
    found = await recognizer.recognize(spoken(recognizer, name), "en-US", HINTS, is_partial=False)
    assert not found.detail
    return found.text


async def test_expected_phrases_and_digits_are_recognised(recognizer: Recognizer) -> None:
    recognizer.warm()
    names = ("technical_support", "check_balance", "three_four_five")
    found = await asyncio.gather(*(heard(recognizer, name) for name in names))
    assert found == ["Technical Support", "check balance", "345"]


async def test_other_words_are_nothing(recognizer: Recognizer) -> None:
    assert await heard(recognizer, "i_would_like_to_talk_about_my_bicycle") == ""


async def test_growing_file_gives_guesses(recognizer: Recognizer) -> None:
    path = spoken(recognizer, "check_balance", ".part")
    found = await recognizer.recognize(path, "en-US", HINTS, is_partial=True)
    assert found.text == "check balance"
    recognizer.discard(path)


async def test_file_that_is_none_is_said_and_the_next_is_recognised(recognizer: Recognizer) -> None:
    path = recognizer.new_path()
    shutil.copy(__file__, path)
    found = await recognizer.recognize(path, "en-US", HINTS, is_partial=False)
    assert not found.text
    assert found.detail
    assert await heard(recognizer, "check_balance") == "check balance"


async def test_process_that_dies_is_replaced(recognizer: Recognizer) -> None:
    assert await heard(recognizer, "check_balance")
    process = recognizer._process
    assert process is not None
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    assert await heard(recognizer, "technical_support") == "Technical Support"


async def test_process_that_hangs_costs_its_utterance(tmp_path: Path) -> None:
    settings = RecognizerSettings(engine="pocketsphinx", timeout_ms=300)
    recognizer = Recognizer(tmp_path / "files", tmp_path / "log", settings)
    recognizer.warm()
    missing = recognizer.new_path()
    found = await recognizer.recognize(missing, "en-US", HINTS, is_partial=False)
    assert found.detail == "the recogniser failed: TimeoutError"
    assert recognizer._process is None
    await recognizer.close()


async def test_one_utterance_too_many_is_refused(tmp_path: Path) -> None:
    recognizer = Recognizer(tmp_path / "files", tmp_path / "log", RecognizerSettings(waiting_max=2))
    paths = [spoken(recognizer, "check_balance") for _ in range(3)]
    found = await asyncio.gather(*(recognizer.recognize(path, "en", HINTS, is_partial=False) for path in paths))
    assert [each.text for each in found] == ["check balance", "check balance", ""]
    assert "too many" in found[2].detail
    await recognizer.close()


def recognising() -> list[psutil.Process]:
    """Return the recognising processes of this process."""
    found = []
    for child in psutil.Process().children():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.ZombieProcess):
            if "ringback.recognition.worker.main" in " ".join(child.cmdline()):
                found.append(child)
    return found


@pytest.mark.parametrize("turns", [0, 1, 2, 3, 5, 8, 50])
async def test_closing_while_a_process_starts_leaves_none(tmp_path: Path, turns: int) -> None:
    recognizer = Recognizer(tmp_path / "files", tmp_path / "log", RecognizerSettings(engine="pocketsphinx"))
    path = recognizer.new_path()
    asked = [
        asyncio.create_task(recognizer.recognize(path, "en-US", HINTS, is_partial=False)),
        asyncio.create_task(recognizer.transcribe(path, 1_000)),
    ]
    for _ in range(turns):
        await asyncio.sleep(0)
    await recognizer.close()
    assert recognising() == []
    assert [bool(found.detail) for found in await asyncio.gather(*asked)] == [True, True]
    assert recognising() == []


async def test_closing_while_a_process_gets_ready_leaves_none(tmp_path: Path) -> None:
    recognizer = Recognizer(tmp_path / "files", tmp_path / "log", RecognizerSettings(engine="pocketsphinx"))
    asked = asyncio.create_task(recognizer.recognize(recognizer.new_path(), "en-US", HINTS, is_partial=False))
    await until(recognising, "the process")
    await recognizer.close()
    assert recognising() == []
    assert (await asked).detail


@pytest.mark.parametrize(
    ("engine", "language", "fault"),
    [
        ("none", "en-US", "switched off"),
        ("auto", "fr-FR", "the engines here know English"),
        ("pocketsphinx", "en-GB", ""),
        ("my.engine:Engine", "fr-FR", ""),
    ],
)
def test_what_cannot_be_recognised_is_known_beforehand(tmp_path: Path, engine: str, language: str, fault: str) -> None:
    recognizer = Recognizer(tmp_path, tmp_path / "log", RecognizerSettings(engine=engine))
    assert fault in recognizer.fault(language)
    assert bool(recognizer.fault(language)) == bool(fault)


async def test_engine_that_cannot_be_loaded_is_said(tmp_path: Path) -> None:
    recognizer = Recognizer(tmp_path / "files", tmp_path / "log", RecognizerSettings(engine="no.such:Engine"))
    found = await recognizer.recognize(recognizer.new_path(), "en", (), is_partial=False)
    assert "did not start" in found.detail
    assert "no.such" in (tmp_path / "log").read_text()
    await recognizer.close()


async def test_free_speech_is_written_down(tmp_path: Path) -> None:
    pytest.importorskip("faster_whisper")
    recognizer = Recognizer(tmp_path / "files", tmp_path / "log", RecognizerSettings(timeout_ms=30_000))
    path = spoken(recognizer, "i_would_like_to_talk_about_my_bicycle")
    found = await recognizer.recognize(path, "en-US", (), is_partial=False)
    assert "i would like to talk about my bicycle" in found.text.lower()
    assert 0.3 < found.confidence <= 1
    assert await heard(recognizer, "technical_support") == "Technical Support"
    await recognizer.close()


async def test_whole_recording_is_heard_piece_by_piece_and_the_process_rests(tmp_path: Path) -> None:
    settings = RecognizerSettings(engine="tests.support.tone_listener:Engine")
    ears = Recognizer(tmp_path / "files", tmp_path / "log", settings, is_background=True)
    assert ears.transcription_fault() == ""
    parts = [tones.tone(700, 20_000), tones.silence(1_000), tones.tone(1_200, 10_000), tones.silence(30_000)]
    left = np.concatenate(parts)
    (tmp_path / "said.wav").write_bytes(wav(left, channels=2))
    found = await ears.transcribe(str(tmp_path / "said.wav"), 61_000)
    assert (found.text, found.confidence, found.detail) == ("700 Hz for 20 s 1200 Hz for 10 s", 0.5, "")
    process = ears._process
    assert process is not None
    assert psutil.Process(process.pid).nice() == os.nice(0) + 10
    await ears.rest()
    assert process.returncode is not None
    mp3 = Path(__file__).parents[1] / "functional" / "sounds" / "tone-1000hz.mp3"
    assert (await ears.transcribe(str(mp3), 600)).text == "1000 Hz for 1 s"
    assert (await ears.transcribe("/nowhere.wav", 600)).detail
    await ears.close()
    assert (await ears.transcribe(str(mp3), 600)).detail == "the server shuts down"


def test_transcription_needs_free_speech() -> None:
    assert "ringback[free-speech]" in transcription_fault("pocketsphinx")
    assert "recognition.engine" in transcription_fault("none")
    assert transcription_fault("mine:Engine") == ""
