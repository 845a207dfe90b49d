"""`ringback creds`: what an SDK needs to talk to the development server."""

from __future__ import annotations

from pathlib import Path

from ringback.cli.failure import ExitCode
from ringback.cli.find_server import find_server
from ringback.cli.output import write_json, write_result


def creds(*, json: bool = False, data: Path | None = None) -> int:
    """Print account id and token; the token is made if there is none yet.

    Args:
        json: Print one JSON object.
        data: The server's data folder; ./.ringback here or in a folder above.
    """
    server = find_server("", data)
    if json:
        write_json({"auth_id": server.auth_id, "auth_token": server.auth_token, "url": server.url})
    else:
        write_result(f"PLIVO_AUTH_ID={server.auth_id}\nPLIVO_AUTH_TOKEN={server.auth_token}\nRINGBACK_URL={server.url}")
    return ExitCode.DONE
