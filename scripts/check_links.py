"""Gate: every link in a page leads to a file or a heading that is there, and the index of the docs lists every page.

Fix: correct the link, or list the page in docs/README.md.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parent.parent
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
CODE = re.compile(r"```.*?```|`[^`\n]*`", re.DOTALL)


def pages(root: Path) -> list[Path]:
    """Return the pages that git knows or would add."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listing = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True).stdout
    return [root / name for name in listing.splitlines() if (root / name).is_file()]


def anchors(page: Path) -> set[str]:
    """Return the names by which the headings of a page are linked, as GitHub makes them."""
    headings = re.findall(r"^#+ (.+)$", re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", re.sub(r"[`*]", "", heading).lower()).strip().replace(" ", "-") for heading in headings
    }


def faults(page: Path) -> Iterator[str]:
    """Yield what is wrong with the links of a page."""
    for target in LINK.findall(CODE.sub("", page.read_text())):
        path, _, anchor = target.partition("#")
        if re.match(r"[a-z]+:", path):
            continue
        file = (page.parent / path).resolve() if path else page
        if not file.exists():
            yield f"{target}: there is no {path}"
        elif anchor and file.suffix == ".md" and anchor not in anchors(file):
            yield f"{target}: no such heading"


def unlisted(root: Path, names: list[Path]) -> Iterator[str]:
    """Yield the pages below docs that docs/README.md does not link."""
    index = root / "docs" / "README.md"
    listed = {(index.parent / target.partition("#")[0]).resolve() for target in LINK.findall(index.read_text())}
    for page in names:
        if page.is_relative_to(index.parent) and page != index and page.resolve() not in listed:
            yield f"{page.relative_to(root)} is not listed"


def main() -> int:
    """Report every fault; return 1 if there is one."""
    names = pages(ROOT)
    found = [f"{page.relative_to(ROOT)}: {fault}" for page in names for fault in faults(page)]
    found += [f"docs/README.md: {fault}" for fault in unlisted(ROOT, names)]
    sys.stderr.writelines(f"{fault}\n" for fault in found)
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
