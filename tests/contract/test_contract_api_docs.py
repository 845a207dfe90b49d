"""The examples in docs/api run as they stand there."""

from __future__ import annotations

import re
from pathlib import Path

import plivo
import pytest
from tests.support.api_server import ApiServer

DOCS = Path(__file__).parents[2] / "docs" / "api"
PAGES = ("account", "applications", "calls", "endpoints", "numbers", "pricing", "requests", "subaccounts")
_EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_examples_run(api: ApiServer, client: plivo.RestClient, page: str, capsys: pytest.CaptureFixture[str]) -> None:
    examples = _EXAMPLE.findall((DOCS / f"{page}.md").read_text())
    assert examples
    for example in examples:
        exec(compile(example, f"{page}.md", "exec"), {"client": client, "plivo": plivo})
    assert capsys.readouterr().out, "an example shows what it got"
