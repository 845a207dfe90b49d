"""The examples of the element pages are documents that run: nothing in them is unknown, ignored or illegal."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from ringback.callflow.document import parse_document
from ringback.callflow.elements.registry import bind

PAGES = sorted((Path(__file__).parents[3] / "docs" / "xml").glob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_examples_of_a_page_run(page: Path) -> None:
    examples = re.findall(r"```xml\n(.*?)```", page.read_text(), re.DOTALL)
    assert examples
    for example in examples:
        program = bind(parse_document(example.encode()))
        assert program.steps
        assert not program.notes
