"""Gate: files stay short. Warns at 500 lines, fails at 800 (tests: 800 and 1,200).

An exception is one line in scripts/size_allow.txt: path, reason, owner, date to look again. Fix: split by noun, a new
file with a name of its own, never `_2` or `_part`.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
LIMITS = {"tests": (800, 1_200), "": (500, 800)}
GENERATED = ("constraints.txt",)


def tracked_files() -> list[Path]:
    """Return the Python files that git knows or would add."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.py"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    return [ROOT / name for name in listing.splitlines() if (ROOT / name).is_file()]


def allowed() -> set[str]:
    """Return the paths that may be longer."""
    listed = ROOT / "scripts" / "size_allow.txt"
    lines = listed.read_text().splitlines() if listed.exists() else []
    return {line.split()[0].rstrip(",") for line in lines if line.strip() and not line.startswith("#")}


def main() -> int:
    """Report long files; return 1 if one is beyond its limit."""
    exceptions, failed = allowed(), False
    for path in tracked_files():
        name = path.relative_to(ROOT).as_posix()
        warn, limit = LIMITS["tests" if name.startswith("tests/") else ""]
        length = len(path.read_text(encoding="utf-8").splitlines())
        if length > limit and name not in exceptions:
            failed = True
            sys.stdout.write(f"{name}: {length} lines, allowed {limit}. Split it by noun: one concept per file.\n")
        elif length > warn:
            sys.stdout.write(f"{name}: {length} lines (warning from {warn} on)\n")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
