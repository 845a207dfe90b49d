"""Every document in docs/xml is one that we run, without a note."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ringback.callflow.document import parse_document
from ringback.callflow.elements.registry import bind

_FOLDER = Path(__file__).parents[3] / "docs" / "xml"
_EXAMPLES = [
    (page.stem, example)
    for page in sorted(_FOLDER.glob("*.md"))
    for example in re.findall(r"```xml\n(.*?)```", page.read_text(), re.DOTALL)
]


@pytest.mark.parametrize(("page", "example"), _EXAMPLES, ids=[page for page, _ in _EXAMPLES])
def test_the_example_runs(page: str, example: str) -> None:
    program = bind(parse_document(example.encode()))
    assert program.steps
    assert [note.text for note in program.notes if "not supported" not in note.text] == []
