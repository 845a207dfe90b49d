"""Writes constraints.txt: the versions that pip chooses today for everything in pyproject.toml.

Run by `make constraints`, in an environment that has pip; it installs nothing.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
HEAD = "# The versions that `make` installs: what the tests ran with. `make constraints` writes this file.\n"


def main() -> int:
    """Ask pip what it would install and write it down."""
    command = [
        sys.executable,
        "-m",
        "pip",
        "install",
        "--dry-run",
        "--ignore-installed",
        "--prefer-binary",
        "-e",
        ".[dev]",
    ]
    output = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    (line,) = [line for line in output.splitlines() if line.startswith("Would install ")]
    found = [re.fullmatch(r"(.+)-(\d[^-]*)", word) for word in line.removeprefix("Would install ").split()]
    pins = sorted(f"{match[1]}=={match[2]}" for match in found if match and match[1] != "ringback")
    (ROOT / "constraints.txt").write_text(HEAD + "\n".join(sorted(pins, key=str.lower)) + "\n")
    sys.stdout.write(f"{len(pins)} versions written to constraints.txt\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
