"""`docs/testing.md` as its reader follows it: the files that it shows, run by pytest, green and red."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from pathlib import Path

import pytest
from tests.support.ports import free_port

pytestmark = [pytest.mark.functional, pytest.mark.timeout(180)]
ROOT = Path(__file__).parents[2]
BLOCK = re.compile(r"```(?:python|ini)\n# (\S+)\n(.*?)```", re.DOTALL)


def project_in(folder: Path) -> Path:
    """Return the reader's project, with the agent on a port that is free here."""
    folder.mkdir()
    port = str(free_port())
    for name, text in BLOCK.findall((ROOT / "docs" / "testing.md").read_text()):
        (folder / name).write_text(text.replace("5000", port))
    agent = (ROOT / "examples" / "first_agent.py").read_text().replace("5000", port)
    (folder / "first_agent.py").write_text(agent)
    return folder


async def pytest_in(folder: Path, *options: str) -> tuple[int, str]:
    """Return exit code and output of a run of its own."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--color=no", *options),
        cwd=folder,
        env={**kept, "PYTHONPATH": os.pathsep.join(sys.path)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    return process.returncode or 0, output.decode()


async def test_the_shown_tests_are_green_and_a_red_one_shows_the_whole_call(tmp_path: Path) -> None:
    project, without_agent = project_in(tmp_path / "good"), project_in(tmp_path / "bad")
    (without_agent / "first_agent.py").write_text("")
    (code, output), (red_code, red) = await asyncio.gather(pytest_in(project), pytest_in(without_agent, "-k", "itself"))
    assert (code, "2 passed" in output) == (0, True), output
    assert (project / "heard.wav").stat().st_size > 16_000
    assert red_code == 1, red
    assert "AssertionError: the call was not answered" in red
    assert re.search(r"E +0\d\.\d{3}  sip          → INVITE sip:15551112222@", red), red
    assert re.search(r"E +0\d\.\d{3}  answer       POST http://127.0.0.1:\d+/answer  ", red), red
