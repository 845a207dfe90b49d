"""A voice agent in a process of its own, which tells what happens to it as JSON lines."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.waiting import until


@dataclass
class AgentProcess:
    """`facts` grows with what the agent tells, `complaints` with what it writes to its error output."""

    facts: list[dict[str, Any]] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)

    def told(self, event: str, **fields: object) -> list[dict[str, Any]]:
        """Return the facts of one event with these fields."""
        return [fact for fact in self.facts if fact["event"] == event and fields.items() <= fact.items()]

    async def until_told(self, event: str, timeout_s: float = 40, **fields: object) -> dict[str, Any]:
        """Return the first fact of one event with these fields."""
        return (await until(lambda: self.told(event, **fields), f"{event} from the agent", timeout_s))[0]


@asynccontextmanager
async def agent_process(script: Path, *arguments: str) -> AsyncIterator[tuple[AgentProcess, int]]:
    """Run an agent script; yields it and the port it listens on."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, str(script), *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    assert process.stderr is not None
    agent = AgentProcess()

    async def read_facts(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            agent.facts.append(json.loads(line))

    async def read_complaints(stream: asyncio.StreamReader) -> None:
        async for line in stream:
            agent.complaints.append(line.decode(errors="replace").rstrip())

    readers = asyncio.gather(read_facts(process.stdout), read_complaints(process.stderr))
    try:
        yield agent, (await agent.until_told("listening", 90))["port"]
    finally:
        # Killed, because a web server that is asked politely waits for its open WebSockets.
        if process.returncode is None:
            process.kill()
        await process.wait()
        await readers
