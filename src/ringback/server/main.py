"""The server's process: a node from its start to SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import gc
import signal

import uvloop

from ringback.config.sections import Config
from ringback.server.node import Node
from ringback.telemetry.logs import configure_logs, get_logger

_log = get_logger(__name__)


def main(config: Config) -> int:
    """Run the server until SIGTERM or SIGINT; return its exit code."""
    configure_logs(config.observability.log, config.observability.level)
    return uvloop.run(_run_until_signal(config))


async def _run_until_signal(config: Config) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # What a start makes stays: looking for garbage in it would take a tenth of the start.
    gc.disable()
    async with Node(config):
        gc.enable()
        await stop.wait()
        _log.info("server stopping")
    return 0
