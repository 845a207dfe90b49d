"""How verbs get the settings: `config.sources.load` with its faults turned into a command's failure."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ringback.cli.failure import Failure

if TYPE_CHECKING:
    from ringback.config.sources import Loaded


def load_settings(
    file: Path | None = None,
    flags: dict[str, Any] | None = None,
    default_env: Literal["development", "production"] = "development",
) -> Loaded:
    """Return the gathered settings.

    Raises:
        Failure: RB5001, with every fault on a line of its own.
    """
    from ringback.config.sources import ConfigFaults, load

    try:
        return load(file, flags, default_env=default_env)
    except ConfigFaults as faults:
        first, *others = faults.faults
        more = "".join(f"\n       {fault}" for fault in others)
        raise Failure("RB5001", first.what, first.where, first.fix + more) from None


def host_and_port(text: str, flag: str, default_host: str) -> tuple[str, int]:
    """Return the parts of `HOST:PORT`, `:PORT`, `PORT` or `[IPV6]:PORT`.

    Raises:
        Failure: RB5002.
    """
    host, _, port = text.strip().rpartition(":")
    if not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise Failure("RB5002", f"read {flag} {text}", fix="expected HOST:PORT, such as 127.0.0.1:8080")
    return host.strip("[]") or default_host, int(port)
