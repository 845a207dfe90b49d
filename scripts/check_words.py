"""Gate: nothing committed names the machine it was made on, and no word of the house is used wrongly.

Fix: write paths relative to the repository, use RFC 5737 addresses and example.com in examples, open an issue instead
of leaving a note in the code.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
RULES = (
    (re.compile(r"(?<![\w./])/(?:work|home|root|Users)/\w"), "a path of one machine"),
    (re.compile(r"\b(?:TODO|FIXME|XXX|HACK)\b(?!.*#\d+)"), "a note without an issue number"),
    (re.compile(r"^\s*(?:print|breakpoint)\(", re.MULTILINE), "a print or breakpoint"),
    (re.compile(r"raise NotImplementedError"), "a stub"),
    (re.compile(r"^(?:<{7}|>{7}) ", re.MULTILINE), "a merge conflict"),
)
CODE_ONLY = {"a print or breakpoint", "a stub"}
EXEMPT = {"scripts/check_words.py"}
VECTORS = "tests/vectors/"
TEXT = {".py", ".md", ".toml", ".txt", ".yaml", ".yml", ".json", ".svg", ".xml", ".cfg", ".ini", ".mako", ".sh", ""}


def text_files() -> list[str]:
    """Return the text files that git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    listing = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    names = [name for name in listing.splitlines() if Path(name).suffix in TEXT and (ROOT / name).is_file()]
    return [name for name in names if name not in EXEMPT and not name.startswith(VECTORS)]


def main() -> int:
    """Report every unwanted word; return 1 if there is one."""
    failed = False
    for name in text_files():
        try:
            text = (ROOT / name).read_text(encoding="utf-8")
        except UnicodeDecodeError:
            continue
        for rule, meaning in RULES:
            if meaning in CODE_ONLY and not name.startswith("src/"):
                continue
            for match in rule.finditer(text):
                failed = True
                line = text.count("\n", 0, match.end()) + 1
                sys.stdout.write(f"{name}:{line}: {meaning}: {match[0].strip()!r}\n")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
