"""Finds the server a command talks to: `--url`, `RINGBACK_URL`, the nearest `run.json` upwards, the default address."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from ringback.cli.data_folder import RunFile, kept_token, open_data_folder
from ringback.cli.settings import load_settings


@dataclass(frozen=True, slots=True)
class ServerAddress:
    """Where the server is and how to be let in."""

    url: str
    auth_id: str
    auth_token: str
    sip_host: str
    sip_port: int


def find_server(url: str = "", data: Path | None = None) -> ServerAddress:
    """Return the server to talk to; it need not be running.

    Args:
        url: What `--url` said; it wins.
        data: The data folder to look into instead of the nearest one.
    """
    from ringback.config.sources import server_url_from_environment

    config = load_settings().config
    folder = data or config.data_dir
    run = RunFile.read(folder) if data else _nearest_run(folder)
    url = (url or server_url_from_environment()).rstrip("/")
    if run is not None and (not url or url == run.url):
        return ServerAddress(run.url, run.auth_id, run.auth_token, run.sip_host, run.sip_port)
    token = config.auth.token.get_secret_value() or kept_token(open_data_folder(folder))
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.sip.host, config.sip.host)
    return ServerAddress(
        url or f"http://{config.http.host}:{config.http.port}", config.auth.id, token, host, config.sip.port
    )


def _nearest_run(folder: Path) -> RunFile | None:
    if folder.is_absolute():
        return RunFile.read(folder)
    here = Path.cwd()
    return next((run for parent in (here, *here.parents) if (run := RunFile.read(parent / folder)) is not None), None)
