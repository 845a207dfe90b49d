"""The examples in docs/api run as they stand there, against a server that has what they speak of."""

from __future__ import annotations

import re
from pathlib import Path

import plivo
import pytest
from tests.support.api_server import ApiServer

DOCS = Path(__file__).parents[2] / "docs" / "api"
PAGES = sorted(page.stem for page in DOCS.glob("*.md"))
SILENT = frozenset({"call_actions", "conferences", "multiparty_calls", "recordings", "streams", "transfer"})
"""Pages whose examples do something and show nothing."""
_EXAMPLE = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("page", PAGES)
def test_examples_run(api: ApiServer, client: plivo.RestClient, page: str, capsys: pytest.CaptureFixture[str]) -> None:
    examples = _EXAMPLE.findall((DOCS / f"{page}.md").read_text())
    assert examples
    api.conferences.add("My Room", "17", "18")
    api.multiparty.add_live("Sale 4711", "48")
    call_uuid = api.calls.add()
    api.calls.bridged.add(call_uuid)
    for example in examples:
        exec(compile(example, f"{page}.md", "exec"), {"client": client, "plivo": plivo, "call_uuid": call_uuid})
    assert bool(capsys.readouterr().out) is (page not in SILENT)
