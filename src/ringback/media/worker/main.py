"""The worker process: `python -m ringback.media.worker.main --socket PATH --worker-id ID --rtp-ports LO-HI`.

It runs in a session of its own and does not need its server: calls go on without one until the detached limit. It
exits when told to, when drained, when nobody drives it and it holds nothing, and on SIGTERM.
"""

from __future__ import annotations

import asyncio
import faulthandler
import gc
import signal
import sys
from argparse import ArgumentParser
from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec
import uvloop

from ringback import clock
from ringback.errors import ConfigError
from ringback.ids import Incarnation, WorkerId, new_token
from ringback.machine import MS
from ringback.media.control.settings import WorkerSettings
from ringback.media.control.values import SessionEnd
from ringback.media.worker.engine import Engine
from ringback.media.worker.link import ControlServer
from ringback.telemetry.logs import configure_logs, get_logger

_log = get_logger(__name__)

_CHECK_S = 1.0
_GOODBYE_S = 1.5
"""How long a leaving worker waits for agents to close and for the server to acknowledge."""
_GC_THRESHOLDS = (50_000, 20, 100)
"""Calls make few cycles; the youngest generation is collected every few seconds under load instead of every few ms."""


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """What the command line says."""

    socket: Path
    worker_id: WorkerId
    rtp_ports: tuple[int, int]
    settings: WorkerSettings


def parse_options(argv: Sequence[str]) -> Options:
    """Return the options.

    Raises:
        ConfigError: a value is unusable.
    """
    parser = ArgumentParser(prog="python -m ringback.media.worker.main", description="Ringback media worker")
    parser.add_argument("--socket", required=True, help="path of the Unix socket to listen on")
    parser.add_argument("--worker-id", required=True, help="slot name, such as media-0")
    parser.add_argument("--rtp-ports", required=True, help="inclusive range, such as 20000-20999")
    parser.add_argument("--settings", default="{}", help="WorkerSettings as JSON")
    arguments = parser.parse_args(argv)
    low, _, high = str(arguments.rtp_ports).partition("-")
    if not (low.isdecimal() and high.isdecimal() and 1_024 <= int(low) < int(high) <= 65_535):
        raise ConfigError(f"read RTP ports {arguments.rtp_ports}, expected LOW-HIGH within 1024-65535")
    try:
        settings = msgspec.json.decode(arguments.settings, type=WorkerSettings)
    except msgspec.MsgspecError as error:
        raise ConfigError(f"unusable worker settings: {error}") from error
    return Options(
        socket=Path(arguments.socket).absolute(),
        worker_id=WorkerId(arguments.worker_id),
        rtp_ports=(int(low), int(high)),
        settings=settings,
    )


async def run_worker(options: Options) -> None:
    """Serve until there is a reason to leave."""
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_report_loop_fault)
    changed = asyncio.Event()
    control: ControlServer

    def pass_on_news() -> None:
        control.news()
        if engine.is_draining:
            changed.set()

    engine = Engine(
        options.rtp_ports,
        options.settings,
        pass_on_news,
        worker_id=options.worker_id,
        relay_folder=options.socket.parent,
    )
    control = ControlServer(engine, options.settings, Incarnation(new_token()))
    control.on_change = changed.set
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, control.shutdown_asked.set)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    await control.listen(options.socket)
    _tune_collector()
    _log.info("worker listening", worker_id=options.worker_id)

    def tell_figures() -> None:
        control.send_statistics(engine.stats())

    # At the end of the last call at once, so that no gauge says for a second more that something is left.
    engine.on_idle = tell_figures
    stats_timer = _repeat(loop, options.settings.stats_interval_ms / 1000, tell_figures)
    watcher = asyncio.create_task(_watch(engine, control, options.settings, changed))
    try:
        await control.shutdown_asked.wait()
    finally:
        watcher.cancel()
    engine.is_draining = True
    engine.close()
    await _say_goodbye(engine, control, changed)
    stats_timer.cancel()
    await control.close()
    _log.info("worker exits", worker_id=options.worker_id)


async def _watch(engine: Engine, control: ControlServer, settings: WorkerSettings, changed: asyncio.Event) -> None:
    """Ask for the end when the worker is drained, or alone for too long."""
    while True:
        changed.clear()
        try:
            async with asyncio.timeout(_CHECK_S):
                await changed.wait()
        except TimeoutError:
            pass
        if engine.is_draining and engine.is_idle:
            _log.info("worker drained")
            control.shutdown_asked.set()
            return
        since = control.detached_since
        if since is None:
            continue
        alone_ms = (clock.now() - since) // MS
        # A server that has started its workers may be a while, on a busy machine, before it comes to them.
        idle_exit_ms = settings.idle_exit_ms if control.was_attached else settings.first_attach_ms
        holds_nothing = engine.is_idle and len(engine.ledger) == 0
        if alone_ms >= settings.detached_limit_ms or (holds_nothing and alone_ms >= idle_exit_ms):
            _log.warning("no server", alone_ms=alone_ms, sessions=engine.session_count)
            engine.close_all(SessionEnd.ORPHANED)
            control.shutdown_asked.set()
            return


async def _say_goodbye(engine: Engine, control: ControlServer, changed: asyncio.Event) -> None:
    try:
        async with asyncio.timeout(_GOODBYE_S):
            while not (engine.is_idle and control.is_drained):
                changed.clear()
                await changed.wait()
    except TimeoutError:
        _log.warning("leaving without goodbye", unacknowledged=len(engine.ledger))


class _Repeating:
    """A timer that runs again until it is cancelled."""

    def __init__(self) -> None:
        self.handle: asyncio.TimerHandle | None = None

    def cancel(self) -> None:
        """Run no more."""
        if self.handle is not None:
            self.handle.cancel()


def _repeat(loop: asyncio.AbstractEventLoop, interval_s: float, work: Callable[[], None]) -> _Repeating:
    timer = _Repeating()

    def run() -> None:
        timer.handle = loop.call_later(interval_s, run)
        work()

    timer.handle = loop.call_later(interval_s, run)
    return timer


def _tune_collector() -> None:
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)


def _report_loop_fault(loop: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    error = context.get("exception")
    _log.error(
        "loop fault",
        reason=str(context.get("message", "")),
        exc_info=error if isinstance(error, BaseException) else None,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run a worker; returns the exit status."""
    configure_logs("json", "info")
    faulthandler.enable()
    faulthandler.register(signal.SIGUSR1)
    try:
        uvloop.run(run_worker(parse_options(sys.argv[1:] if argv is None else argv)))
    except ConfigError as error:
        _log.error("worker cannot start", reason=str(error))
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
