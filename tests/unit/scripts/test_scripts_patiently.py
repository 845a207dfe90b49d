"""`scripts/patiently.sh`: a hiccup of a mirror is survived, a real failure is not, and it ends."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[3] / "scripts" / "patiently.sh"


@pytest.mark.parametrize(("good_from", "code", "runs"), [(1, 0, 1), (2, 0, 2), (3, 0, 3), (4, 7, 3)])
def test_command_runs_until_it_succeeds_three_times_at_most(
    tmp_path: Path, good_from: int, code: int, runs: int
) -> None:
    command = 'echo >>runs; [ "$(wc -l <runs)" -ge "$1" ] || exit 7'
    done = subprocess.run(
        [SCRIPT, "sh", "-c", command, "sh", str(good_from)],
        cwd=tmp_path,
        env={**os.environ, "PATIENTLY_PAUSES": "0 0"},
        check=False,
        capture_output=True,
    )
    assert done.returncode == code
    assert (tmp_path / "runs").read_text().count("\n") == runs
