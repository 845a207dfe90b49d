"""Arguments of `ringback dev` that can mean nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from ringback.cli.dev import dev
from ringback.cli.failure import Failure


@pytest.mark.parametrize("url", ["agent", "127.0.0.1:5000/answer", "ftp://127.0.0.1/answer", "http://"])
def test_an_answer_url_that_is_none_is_refused_before_anything_starts(url: str, tmp_path: Path) -> None:
    with pytest.raises(Failure, match="read --answer-url"):
        dev(answer_url=url, data=tmp_path / "data")
    assert not (tmp_path / "data").exists()
