"""`ringback up`: the server in production, with nothing but what the settings say."""

from __future__ import annotations

import socket
from pathlib import Path

from ringback.cli.data_folder import locked, open_data_folder
from ringback.cli.ports import choose_port
from ringback.cli.serve import exit_on_sigterm, serve
from ringback.cli.settings import load_settings


def up(*, config: Path | None = None) -> int:
    """Run the server in the foreground until SIGTERM.

    Args:
        config: The settings file; `RINGBACK_CONFIG`, else ./ringback.toml.
    """
    settings = load_settings(config, default_env="production").config
    folder = open_data_folder(settings.data_dir)
    exit_on_sigterm()
    with locked(folder):
        kinds = (socket.SOCK_DGRAM, socket.SOCK_STREAM) if settings.sip.tcp else (socket.SOCK_DGRAM,)
        choose_port(settings.http.host, settings.http.port, [socket.SOCK_STREAM], explicit=True, flag="http.port")
        choose_port(settings.sip.host, settings.sip.port, kinds, explicit=True, flag="sip.port")
        return serve(settings.model_copy(update={"data_dir": folder}))
