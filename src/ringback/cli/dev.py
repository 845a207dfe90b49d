"""`ringback dev`: everything on this machine, with an agent to call."""

from __future__ import annotations

import os
import re
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import Parameter

from ringback import __version__
from ringback.cli.banner import BannerFacts, draw_banner
from ringback.cli.data_folder import RunFile, kept_token, locked, open_data_folder
from ringback.cli.echo_agent import EchoAgent
from ringback.cli.failure import Failure
from ringback.cli.output import write_result
from ringback.cli.ports import choose_port
from ringback.cli.readiness import ReadinessWatch
from ringback.cli.serve import exit_on_sigterm, preload, serve
from ringback.cli.settings import host_and_port, load_settings

if TYPE_CHECKING:
    from ringback.config.sections import Config
    from ringback.config.sources import Loaded

ECHO_NUMBER = "15550001000"
MENU_NUMBER = "15550002000"
_ECHO_APP = "ringback-echo"
_MENU_APP = "ringback-menu"
_BUILT_IN = {_ECHO_APP: "echo agent", _MENU_APP: "menu: keys, voices, echo"}
_ANSWER_APP = "ringback-answer-url"


def dev(
    *,
    answer_url: str = "",
    http: Annotated[str, Parameter(help="HOST:PORT of API and health; 127.0.0.1:8080.")] = "",
    sip: Annotated[str, Parameter(help="HOST:PORT of SIP, UDP and TCP; 127.0.0.1:5060.")] = "",
    rtp_ports: Annotated[str, Parameter(help="LO-HI; 20000-29999.")] = "",
    data: Annotated[Path | None, Parameter(help="Folder of database and token; ./.ringback.")] = None,
    workers: Annotated[int | None, Parameter(help="Media workers; one per core.")] = None,
) -> int:
    """Run everything on this machine until Ctrl-C.

    Args:
        answer_url: Your application's URL; it answers every number that has no application of its own.
    """
    if answer_url and not re.match(r"https?://[^/]", answer_url):
        raise Failure(
            "RB5002", f"read --answer-url {answer_url}", fix="expected a URL such as http://127.0.0.1:5000/answer"
        )
    flags = _flags(answer_url=answer_url, http=http, sip=sip, rtp_ports=rtp_ports, data=data, workers=workers)
    loaded = load_settings(flags=flags)
    folder = open_data_folder(loaded.config.data_dir)
    exit_on_sigterm()
    with locked(folder):
        config, remarks = _with_ports(loaded, folder)
        agent = EchoAgent(detached_limit_s=config.media.detached_limit_s)
        try:
            # The agent's process starts while this one imports the server, which takes most of the start.
            preload()
            return _serve(_with_built_ins(config, agent, answer_url), folder, agent, remarks)
        finally:
            agent.close()


def _flags(
    *, answer_url: str, http: str, sip: str, rtp_ports: str, data: Path | None, workers: int | None
) -> dict[str, Any]:
    """Return the command line as settings."""
    flags: dict[str, Any] = {}
    for name, text in (("http", http), ("sip", sip)):
        if text:
            host, port = host_and_port(text, f"--{name}", "127.0.0.1")
            flags[name] = {"host": host, "port": port}
    if rtp_ports:
        flags.setdefault("media", {})["rtp_ports"] = rtp_ports
    if workers is not None:
        flags.setdefault("media", {})["workers"] = workers
    if data is not None:
        flags["data_dir"] = str(data)
    return flags


def _with_ports(loaded: Loaded, folder: Path) -> tuple[Config, list[str]]:
    """Return the settings with free ports, a token and an absolute folder, and what to tell about it."""
    config = loaded.config
    remarks = []
    both = (socket.SOCK_DGRAM, socket.SOCK_STREAM) if config.sip.tcp else (socket.SOCK_DGRAM,)
    ports = {}
    for name, host, wanted, kinds in (
        ("http", config.http.host, config.http.port, (socket.SOCK_STREAM,)),
        ("sip", config.sip.host, config.sip.port, both),
    ):
        explicit = f"{name}.port" in loaded.sources
        ports[name] = choose_port(host, wanted, kinds, explicit=explicit, flag=f"--{name}")
        if wanted not in (0, ports[name]):
            remarks.append(f"port {wanted} is in use, so {name.upper()} listens on {ports[name]}")
    token = config.auth.token.get_secret_value() or kept_token(folder)
    updated = config.model_copy(
        update={
            "data_dir": folder,
            "http": config.http.model_copy(update={"port": ports["http"]}),
            "sip": config.sip.model_copy(update={"port": ports["sip"]}),
            "auth": config.auth.model_copy(update={"token": type(config.auth.token)(token)}),
        }
    )
    return updated, remarks


def _with_built_ins(config: Config, agent: EchoAgent, answer_url: str) -> Config:
    """Return the settings with the built-in numbers and the application of `--answer-url`; the user's own win."""
    from ringback.config.tables import AppSection, NumberSection

    apps, numbers, default_app = list(config.app), list(config.number), config.default_app
    own = {number.number.lstrip("+") for number in numbers}
    built_in = ((MENU_NUMBER, _MENU_APP, agent.menu_url), (ECHO_NUMBER, _ECHO_APP, agent.answer_url))
    for number, app, url in built_in:
        if number not in own:
            apps.append(AppSection(name=app, answer_url=url))
            numbers.insert(0, NumberSection(number=number, app=app))
    if answer_url:
        apps.append(AppSection(name=_ANSWER_APP, answer_url=answer_url))
        default_app = _ANSWER_APP
    return config.model_copy(update={"app": tuple(apps), "number": tuple(numbers), "default_app": default_app})


def _serve(config: Config, folder: Path, agent: EchoAgent, remarks: list[str]) -> int:
    run = RunFile(
        pid=os.getpid(),
        url=f"http://{_url_host(config.http.host)}:{config.http.port}",
        sip_host=config.sip.host,
        sip_port=config.sip.port,
        auth_id=config.auth.id,
        auth_token=config.auth.token.get_secret_value(),
        data_dir=str(folder),
        version=__version__,
        agent_pid=agent.pid,
    )
    run.write(folder)
    watch = ReadinessWatch(run.url, lambda: write_result(draw_banner(_banner_facts(config, run, remarks))))
    try:
        return serve(config)
    finally:
        watch.close()
        run.remove(folder)


def _banner_facts(config: Config, run: RunFile, remarks: list[str]) -> BannerFacts:
    urls = {app.name: app.answer_url for app in config.app}
    numbers = [(n.number, _BUILT_IN.get(n.app) or f"{n.app}: {urls[n.app]}") for n in config.number]
    return BannerFacts(
        version=run.version,
        data_dir=_shown_folder(Path(run.data_dir)),
        database=config.database_url.partition(":")[0].partition("+")[0].replace("sqlite", "SQLite"),
        api_url=config.http.public_url.rstrip("/") or run.url,
        sip=f"{run.sip_host}:{run.sip_port} {'udp+tcp' if config.sip.tcp else 'udp'}",
        auth_id=run.auth_id,
        auth_token=run.auth_token,
        numbers=numbers,
        every_other_number=urls.get(config.default_app, ""),
        trunks=[trunk.name for trunk in config.trunk],
        remarks=remarks,
    )


def _shown_folder(folder: Path) -> str:
    try:
        inside = folder.relative_to(Path.cwd())
        return f"./{inside}" if inside.parts else "this folder"
    except ValueError:
        return str(folder)


def _url_host(host: str) -> str:
    shown = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    return f"[{shown}]" if ":" in shown else shown
