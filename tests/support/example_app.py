"""Runs a program of `examples/` as its user would: with uvicorn, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.support.ports import free_port
from tests.support.waiting import until

EXAMPLES = Path(__file__).parents[2] / "examples"


@asynccontextmanager
async def example_app(name: str, environment: Mapping[str, str]) -> AsyncIterator[str]:
    """Run `examples/<name>.py` for the time of the block; give its URL, which it knows as `BASE_URL`."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "uvicorn", f"{name}:app", "--port", str(port), "--log-level", "warning"),
        cwd=EXAMPLES,
        env={**os.environ, "BASE_URL": url, **environment},
    )

    def listens() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0

    try:
        await until(listens, "the example to listen", 30)
        yield url
    finally:
        process.kill()
        await process.wait()


def lines_of(name: str) -> int:
    """Return how long an example is."""
    return len((EXAMPLES / f"{name}.py").read_text().splitlines())
