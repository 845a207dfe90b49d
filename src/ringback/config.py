"""Every setting of the product: one typed model, its sources, and errors that name the fix.

Precedence: flags > `RINGBACK_*` environment (nested by `__`) > `ringback.toml` > what the environment (`development`,
`production`) implies > defaults. An unknown key is an error. Secrets may stand in files: `token_file`,
`RINGBACK_AUTH__TOKEN_FILE`. Rooms do not read this module; `server` hands each its part.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Literal, get_args, get_origin

from pydantic import (
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ringback.config_tables import (
    AppSection,
    Method,
    NumberSection,
    NumberStockSection,
    Port,
    Section,
    TrunkSection,
)
from ringback.errors import ConfigError
from ringback.numbers.stock import Stock

DEVELOPMENT_ACCOUNT = "MADEVDEVDEVDEVDEVDEV"
"""The account id of `ringback dev`: 20 characters, as official SDKs demand."""
DEFAULT_FILE = "ringback.toml"

_HOST_NAME = r"^[A-Za-z0-9._-]*$"


class Auth(Section):
    """The account that exists from the start."""

    id: str = ""
    """`auth_id`: `MA` and 18 upper-case letters or digits. Empty in production: no account is made."""
    token: SecretStr = SecretStr("")
    """`auth_token`. Empty in development: made once and kept in the data folder."""

    @field_validator("id")
    @classmethod
    def _has_sdk_shape(cls, value: str) -> str:
        if value and not re.fullmatch(r"MA[A-Z0-9]{18}", value):
            raise ValueError("expected MA and 18 upper-case letters or digits, as official SDKs check")
        return value


class Http(Section):
    """Where the REST API, health and metrics listen."""

    host: str = "127.0.0.1"
    port: Port = 8080
    public_url: str = ""
    """How customers reach the API; used in links. Empty: built from host and port."""


class Sip(Section):
    """Where SIP listens, and how it names itself."""

    host: str = "127.0.0.1"
    port: Port = 5060
    tcp: bool = True
    advertised_address: str = ""
    """The address written into Contact and Via. Empty: the listener's own."""
    domain: Annotated[str, Field(pattern=_HOST_NAME)] = ""
    """The name by which phones know this node: it stands in `sip_uri` of endpoints and in From. Empty: the address."""
    domains: tuple[Annotated[str, Field(pattern=_HOST_NAME, min_length=1)], ...] = ("phone.plivo.com",)
    """Further names of it: calls to `sip:user@name` ring our own endpoints."""
    user_agent: str = "Ringback"
    trust_loopback: bool = False
    """Whether calls from 127.0.0.0/8 and ::1 are accepted without a trunk."""


class Endpoints(Section):
    """Phones that register as endpoints."""

    min_expires_s: Annotated[int, Field(ge=1, le=3_600)] = 60
    """Shorter registrations are refused with 423."""
    max_expires_s: Annotated[int, Field(ge=1, le=86_400)] = 3_600
    """Longer ones are cut, and those that name no time get it."""
    contacts_max: Annotated[int, Field(ge=1, le=100)] = 10
    """Phones of one endpoint that ring at once; one more takes the place of the one refreshed longest ago."""
    digest: Annotated[tuple[Literal["MD5", "SHA-256"], ...], Field(min_length=1, max_length=2)] = ("MD5",)
    """Algorithms offered, the preferred first. Many phones give up at a challenge that is not MD5."""

    @model_validator(mode="after")
    def _times_are_in_order(self) -> Endpoints:
        if self.min_expires_s > self.max_expires_s:
            raise ValueError(f"expected min_expires_s <= max_expires_s, found {self.min_expires_s}")
        return self


class Media(Section):
    """Media workers and RTP."""

    workers: Annotated[int, Field(ge=0, le=256)] = 0
    """Worker processes; 0 is one per core."""
    rtp_ports: str = "20000-29999"
    host: str = ""
    """Where RTP is bound. Empty: the SIP host."""
    advertised_address: str = ""
    """The address written into SDP. Empty: the bound one."""
    idle_ms: Annotated[int, Field(ge=0)] = 60_000
    """Silence on RTP after which a call ends with cause 6020; 0 is never."""
    detached_limit_s: Annotated[int, Field(ge=1)] = 300
    """How long a worker keeps calls without a server."""
    runtime_dir: Path | None = None
    """Folder of the workers' sockets. Default: `run` in the data folder."""
    machine_detector: str = ""
    """`package.module:factory` that judges who answered (docs/machine_detection.md). Empty: the built-in rules."""

    @field_validator("rtp_ports")
    @classmethod
    def _is_port_range(cls, value: str) -> str:
        match = re.fullmatch(r"(\d{1,5})-(\d{1,5})", value.replace(" ", ""))
        if match is None:
            raise ValueError("expected LOW-HIGH, such as 20000-29999")
        low, high = int(match[1]), int(match[2])
        if not 1024 <= low < high <= 65535:
            raise ValueError("expected 1024 <= LOW < HIGH <= 65535")
        return f"{low}-{high}"

    @property
    def rtp_port_range(self) -> tuple[int, int]:
        """Return the lowest and the highest RTP port, both included."""
        low, _, high = self.rtp_ports.partition("-")
        return int(low), int(high)


class Stream(Section):
    """Stream WebSockets to customers' agents."""

    connect_timeout_ms: Annotated[int, Field(ge=100, le=60_000)] = 5_000
    connect_attempts: Annotated[int, Field(ge=1, le=10)] = 3
    """At most; all attempts and pauses together take no longer than 12 s, because the caller hears silence."""
    connect_gap_ms: Annotated[int, Field(ge=0, le=60_000)] = 1_000
    playout_max_ms: Annotated[int, Field(ge=1_000, le=600_000)] = 60_000
    uplink_max_ms: Annotated[int, Field(ge=100, le=30_000)] = 2_000
    """Audio that may wait for a slow agent before the oldest is dropped."""
    subprotocol: Annotated[str, Field(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{0,128}$")] = "audio.drachtio.org"
    """The sub-protocol offered to agents, who need not choose it. Empty: none."""
    send_stop: bool = True
    """Whether agents are told `stop` before a clean close."""
    formats: Literal["any", "strict", "strict-20ms"] = "any"
    """Which `playAudio` is played: all that is understood, only the stream's own format, or that in chunks of 20 ms."""
    extra_headers: Literal["verbatim", "json"] = "verbatim"
    """How `extra_headers` is delivered: as written, or as the text of a JSON object."""
    handshake_headers: bool = False
    """Whether the pairs of `extra_headers` are headers of the WebSocket upgrade besides."""
    status_events: Literal["StartStream", "started"] = "StartStream"
    """Which of the two published schemes status callbacks follow, named by its first `Event`."""
    status_body: Literal["form", "json"] = "form"
    transfer: Literal["at-once", "after-stream"] = "at-once"
    """When a transfer takes a document that a `keepCallAlive` stream holds: now, or when the stream is over."""
    allow_insecure: Literal["loopback", "never", "always"] = "never"
    """Where `ws://` is allowed."""
    verify_tls: bool = True
    ca_file: Path | None = None
    """PEM file of authorities that agents' certificates may come from, besides the system's."""
    dead_after_ms: Annotated[int, Field(ge=0, le=600_000)] = 4_000
    """How long an agent may take nothing that is sent to it before its connection counts as lost; 0 is for ever."""
    reconnects: Annotated[int, Field(ge=0, le=10)] = 2
    """How often a dropped stream is dialled again."""
    reconnect_max_ms: Annotated[int, Field(ge=0, le=6_000)] = 6_000
    """How long dialling again may take in all; 4 s with a fallback URL and no hold sound."""
    hold: str = "silence"
    """What the caller hears while the agent of a two-way stream is away: `silence`, `tone`, or a wav or mp3 URL."""
    hold_after_ms: Annotated[int, Field(ge=0, le=5_000)] = 1_000
    """How long the agent is away before the hold sound begins."""
    fallback_url: str = ""
    """Where the document comes from that takes over when the agent of a two-way stream cannot be reached (again)."""
    fallback_method: Method = "POST"
    delay_policy: Literal["drop-oldest", "shorten-silence", "keep"] = "drop-oldest"
    """What is done with audio of a real-time agent that came late and would delay the rest of the call."""
    truth: bool = False
    """Whether every agent is told what was heard and dropped, not only those that ask with `ringback.truth=1`."""

    @field_validator("hold", "fallback_url")
    @classmethod
    def _is_http_url(cls, value: str, info: ValidationInfo) -> str:
        words = ("silence", "tone") if info.field_name == "hold" else ("",)
        if value not in words and not re.match(r"https?://.", value):
            raise ValueError(f"expected {', '.join(filter(None, (*words, 'an http or https URL')))}")
        return value

    @field_validator("ca_file")
    @classmethod
    def _is_file(cls, value: Path | None) -> Path | None:
        if value is not None and not value.is_file():
            raise ValueError(f"expected a PEM file, there is none at {value}")
        return value


class Speech(Section):
    """Speech out: `<Speak>` and its like in the API."""

    prefer: tuple[Literal["piper", "flite", "espeak"], ...] = ()
    """Engines to prefer, best first. Empty: by the naturalness of a voice and its gender."""
    voices_dir: Path | None = None
    """A folder of further Piper voices: `NAME.onnx` with `NAME.onnx.json`."""
    preload: bool = True
    """Whether voices that take seconds to load (those of Piper) are loaded at start."""
    cache_max_bytes: Annotated[int, Field(ge=1_048_576)] = 268_435_456
    """What has been said is kept as files up to this size."""
    waiting_max: Annotated[int, Field(ge=1, le=10_000)] = 256
    """Sentences of all calls that may wait for the synthesiser."""


class Noise(Section):
    """Noise suppression for streams that ask for it (`noiseCancellation`)."""

    engine: Literal["auto", "dtln", "speex"] = "auto"
    """`dtln` is the better one, `speex` costs next to nothing; `auto` takes the best that is installed."""
    max_streams_per_worker: Annotated[int, Field(ge=0, le=1_000)] = 12
    """Streams with `dtln` at a time; further ones get `speex`."""


class Recognition(Section):
    """Speech in: `<GetInput inputType="speech">`."""

    engine: str = "auto"
    """`auto` (what is installed), `pocketsphinx`, `whisper`, `none`, or `module:Class` of one's own engine."""
    waiting_max: Annotated[int, Field(ge=1, le=1_000)] = 32
    """Utterances of all calls that may wait for the recogniser."""
    timeout_ms: Annotated[int, Field(ge=100, le=60_000)] = 10_000
    """How long one utterance may take."""


class Recording(Section):
    """Recordings of calls and conferences."""

    dir: Path | None = None
    """Folder of the files. Default: `recordings` in the data folder."""
    retention_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    """Age at which recordings are deleted; 0 keeps them."""
    account_max_gb: Annotated[int, Field(ge=0, le=100_000)] = 10
    """What the recordings of one account may take; the next one is refused."""
    free_min_mb: Annotated[int, Field(ge=0)] = 1_024
    """Free space below which none begins and running ones end, or 5 % of the disk if that is less."""
    url_auth: Literal["none", "basic"] = "none"
    """`none`: who knows a file's address may have it, as in the cloud. `basic`: with the account's credentials only."""


class Webhooks(Section):
    """Requests to customers' URLs; a URL's fragment (`#ct=…&rt=…`) overrides the times."""

    connect_ms: Annotated[int, Field(ge=100, le=10_000)] = 2_000
    read_ms: Annotated[int, Field(ge=100, le=40_000)] = 15_000
    total_ms: Annotated[int, Field(ge=100, le=55_000)] = 55_000
    retries: Annotated[int, Field(ge=0, le=5)] | None = None
    """Attempts after the first one. Unset: one, or two when there is a fallback URL."""
    body_max_bytes: Annotated[int, Field(ge=1_024, le=1_048_576)] = 131_072
    """The largest document."""
    outbox_hours: Annotated[int, Field(ge=1, le=720)] = 24
    """How long an undelivered callback is tried before it is set aside."""
    number_plus: bool = False
    """Whether `From` and `To` are written with `+`, as some of Plivo's pages show them; captures have none."""


class Xml(Section):
    """What answer documents mean where Plivo's pages leave a choice."""

    first_wait: Literal["answers", "rings"] = "answers"
    """Whether a `<Wait>` before everything else answers the call, or lets it ring meanwhile, as older pages say."""


class Egress(Section):
    """Which addresses customers' URLs may name."""

    mode: Literal["public", "dev"] = "public"
    """`public`: no private, loopback or link-local address. `dev`: loopback too, and plain `http`, `ws` there."""
    allow: tuple[str, ...] = ()
    """Networks (`10.1.0.0/16`) and host names that are allowed besides."""
    ca_file: str = ""
    """Certificate authorities that are trusted besides the system's."""
    media_max_bytes: Annotated[int, Field(ge=1_024)] = 10_485_760


class DatabaseSection(Section):
    """Where calls, callbacks and settings made by API are kept."""

    url: SecretStr = SecretStr("")
    """`sqlite+aiosqlite:///PATH` or `postgresql+asyncpg://…`. Empty: `ringback.db` in the data folder."""


class Limits(Section):
    """Bounds of the whole node."""

    calls: Annotated[int, Field(ge=0)] = 0
    """Live calls; 0 is 1,000. One more gets 503 with Retry-After, or 429 from the API."""
    outbound_cps: Annotated[int, Field(ge=0, le=1_000)] = 20
    """Calls that an account may start by API in a second; more wait for their turn (`call queued`). 0 is any number."""
    queued_calls: Annotated[int, Field(ge=0, le=1_000_000)] = 10_000
    """Calls that may wait for their turn; one more gets 429."""
    queue_max_s: Annotated[int, Field(ge=1, le=86_400)] = 14_400
    """How long a call may wait for its turn, restarts included, before it is given up."""
    api_per_5s: Annotated[int, Field(ge=0)] = 300
    max_call_s: Annotated[int, Field(ge=1, le=86_400)] = 14_400
    allowed_prefixes: tuple[str, ...] = ()
    """Digits with which called numbers must begin. Empty: any."""


class Load(Section):
    """When media workers that are late get no new calls (docs/overload.md); established calls are never touched."""

    admission: Literal["on", "off"] = "on"
    """`off`: only `limits.calls` bounds the calls, and with too many of them the delay of all grows to seconds."""
    calls_min: Annotated[int, Field(ge=1, le=1_000)] = 32
    """Calls (media sessions) of each worker that it always takes, whatever its figures say."""
    late_ms: Annotated[int, Field(ge=5, le=100)] = 10
    """A slot of 5 ms that runs so much later than it was due is late."""
    late_percent: Annotated[int, Field(ge=1, le=100)] = 25
    """Share of late slots that makes a second a late one."""
    calm_percent: Annotated[int, Field(ge=0, le=99)] = 10
    """Share of late slots up to which a second is calm again."""
    pace_after_s: Annotated[int, Field(ge=1, le=60)] = 2
    """Late for so long, a worker gets `paced_cps` new calls a second."""
    full_after_s: Annotated[int, Field(ge=1, le=60)] = 4
    """Late for so long, it gets none."""
    open_after_s: Annotated[int, Field(ge=1, le=600)] = 5
    """Better for so long, it gets a few again, and calm for so long again, any number."""
    paced_cps: Annotated[int, Field(ge=1, le=100)] = 5

    @model_validator(mode="after")
    def _steps_are_in_order(self) -> Load:
        if self.calm_percent >= self.late_percent:
            raise ValueError(f"expected calm_percent < late_percent, found {self.calm_percent} and {self.late_percent}")
        if self.pace_after_s > self.full_after_s:
            found = f"{self.pace_after_s} and {self.full_after_s}"
            raise ValueError(f"expected pace_after_s <= full_after_s, found {found}")
        return self


class Billing(Section):
    """What calls and audio streams cost; nothing is charged, the amounts stand in the API's answers and callbacks."""

    call_per_minute: Annotated[Decimal, Field(ge=0, le=1_000, decimal_places=5)] = Decimal(0)
    """USD for each started minute: `total_rate`, `total_amount`, `BillRate`, `TotalCost`, and `/Pricing/`."""
    stream_per_minute: Annotated[Decimal, Field(ge=0, le=1_000, decimal_places=5)] = Decimal(0)
    """USD for each started minute: `billed_amount` of a stream."""


class Observability(Section):
    """Logs."""

    log: Literal["auto", "pretty", "json"] = "auto"
    """`auto`: pretty on a terminal, else JSON."""
    level: Literal["debug", "info", "warning", "error"] = "info"


class Config(Section):
    """All settings of one node."""

    env: Literal["development", "production"] = "development"
    data_dir: Path = Path(".ringback")
    """Database, media cache, development token, `run.json`."""
    auth: Auth = Auth()
    http: Http = Http()
    sip: Sip = Sip()
    endpoints: Endpoints = Endpoints()
    media: Media = Media()
    stream: Stream = Stream()
    speech: Speech = Speech()
    noise: Noise = Noise()
    recognition: Recognition = Recognition()
    recording: Recording = Recording()
    webhooks: Webhooks = Webhooks()
    xml: Xml = Xml()
    egress: Egress = Egress()
    database: DatabaseSection = DatabaseSection()
    limits: Limits = Limits()
    load: Load = Load()
    billing: Billing = Billing()
    observability: Observability = Observability()
    trunk: tuple[TrunkSection, ...] = ()
    number: tuple[NumberSection, ...] = ()
    number_stock: tuple[NumberStockSection, ...] = ()
    app: tuple[AppSection, ...] = ()
    default_app: str = ""
    """Name of the `[[app]]` that answers every number without an application of its own. Empty: none does."""

    @model_validator(mode="after")
    def _names_are_consistent(self) -> Config:
        names = [app.name for app in self.app]
        for kind, values in (
            ("app", names),
            ("trunk", [trunk.name for trunk in self.trunk]),
            ("number", [number.number.lstrip("+") for number in self.number]),
        ):
            twice = sorted({value for value in values if values.count(value) > 1})
            if twice:
                raise ValueError(f"[[{kind}]] {twice[0]} stands twice")
        for user, wanted in [(f"[[number]] {n.number}", n.app) for n in self.number] + [
            ("default_app", self.default_app)
        ]:
            if wanted and wanted not in names:
                raise ValueError(f"{user} names app {wanted!r}, expected one of: {', '.join(names) or 'none given'}")
        self.stock()
        return self

    def stock(self) -> Stock:
        """Return the numbers that accounts may take.

        Raises:
            ValueError: they cannot be used; not once the settings have been read.
        """
        return Stock([block for section in self.number_stock for block in section.blocks()])

    @property
    def database_url(self) -> str:
        """Return the database to open: the configured one, or SQLite in the data folder."""
        return self.database.url.get_secret_value() or f"sqlite+aiosqlite:///{self.data_dir.absolute()}/ringback.db"


IMPLIED: Mapping[str, Mapping[str, Any]] = {
    "development": {
        "auth": {"id": DEVELOPMENT_ACCOUNT},
        "sip": {"trust_loopback": True},
        "stream": {"allow_insecure": "loopback"},
        "egress": {"mode": "dev"},
    },
    "production": {},
}
"""What `env` changes about the defaults."""

_SHORTHANDS = {"auth_id": ("auth", "id"), "auth_token": ("auth", "token"), "auth_token_file": ("auth", "token_file")}
_PLIVO_ALIASES = {"PLIVO_AUTH_ID": ("auth", "id"), "PLIVO_AUTH_TOKEN": ("auth", "token")}
_NOT_SETTINGS = frozenset({"RINGBACK_URL", "RINGBACK_CONFIG"})
_WEAK_TOKEN_CHARACTERS = 24
MASK = "********"


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with the settings: where it stands, what it is, what to do."""

    where: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return " · ".join(part for part in (self.what, self.where, self.fix) if part)


class ConfigFaults(ConfigError):
    """The settings cannot be used; `faults` holds all that is wrong, at once."""

    def __init__(self, faults: list[Fault]) -> None:
        super().__init__("\n".join(map(str, faults)), count=len(faults))
        self.faults = tuple(faults)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration and, for every setting that is not a default, where its value came from."""

    config: Config
    sources: Mapping[str, str]
    file: Path | None

    def rows(self) -> list[tuple[str, str, str]]:
        """Return (dotted name, value, source) of every setting, secrets masked."""
        shown = json.loads(self.config.model_dump_json())
        return [(name, _as_text(value), self.sources.get(name, "default")) for name, value in _leaves(shown, ())]


def load(
    file: Path | None = None,
    flags: Mapping[str, Any] | None = None,
    environment: Mapping[str, str] | None = None,
    *,
    default_env: Literal["development", "production"] = "development",
) -> Loaded:
    """Return the settings gathered from all sources.

    Args:
        file: The TOML file to read; without it `RINGBACK_CONFIG`, else `./ringback.toml` if that exists.
        flags: Nested mapping of what the command line said; it wins.
        environment: Replaces the process environment, for tests.
        default_env: What `env` is when no source says.
    Raises:
        ConfigFaults: something is wrong; all faults are named.
    """
    environment = os.environ if environment is None else environment
    faults: list[Fault] = []
    path, from_file, lines = _read_file(file, environment, faults)
    layers = [
        _Layer("flag", dict(flags or {})),
        _Layer("environment", _from_environment(environment, faults)),
        _Layer(str(path) if path else "file", from_file, lines, path.parent if path else Path()),
    ]
    for layer in layers:
        layer.values = _checked(Config, layer.values, (), layer, faults)
    env = next((layer.values["env"] for layer in layers if "env" in layer.values), default_env)
    if env == "development":
        layers.append(_Layer("PLIVO_* environment", _aliases(environment)))
    layers.append(_Layer(f"default in {env}", {"env": default_env, **IMPLIED.get(str(env), {})}))
    merged: dict[str, Any] = {}
    sources: dict[str, str] = {}
    for layer in reversed(layers):
        _merge(merged, layer.values)
        for name, _ in _leaves(layer.values, ()):
            sources[name] = layer.where(name)
    if faults:
        raise ConfigFaults(faults)
    try:
        config = Config.model_validate(merged)
    except ValidationError as error:
        raise ConfigFaults([_fault_of(dict(entry), sources, layers) for entry in error.errors()]) from None
    if config.env == "production" and (refusals := _refused_in_production(config)):
        raise ConfigFaults(refusals)
    return Loaded(config, sources, path)


def server_url_from_environment() -> str:
    """Return `RINGBACK_URL`, the server that client verbs talk to, or nothing."""
    return os.environ.get("RINGBACK_URL", "").rstrip("/")


class _Layer:
    """One source of settings, and where in it each setting stands."""

    def __init__(
        self, name: str, values: Mapping[str, Any], lines: Mapping[str, int] | None = None, folder: Path | None = None
    ) -> None:
        self.name = name
        self.values = dict(values)
        self.lines = lines or {}
        self.folder = folder or Path()

    def where(self, dotted: str) -> str:
        """Return the source of `dotted` for people: the variable, or file and line."""
        if self.name == "environment":
            return "RINGBACK_" + dotted.upper().replace(".", "__")
        line = next((self.lines[name] for name in _shortenings(dotted) if name in self.lines), None)
        return f"{self.name}:{line}" if line else self.name


def _read_file(
    file: Path | None, environment: Mapping[str, str], faults: list[Fault]
) -> tuple[Path | None, dict[str, Any], dict[str, int]]:
    asked = file or (Path(environment["RINGBACK_CONFIG"]) if environment.get("RINGBACK_CONFIG") else None)
    path = asked or Path(DEFAULT_FILE)
    try:
        text = path.read_text(encoding="utf-8")
        return path, tomllib.loads(text), _line_numbers(text)
    except FileNotFoundError:
        if asked:
            faults.append(Fault(str(path), "settings file not found", "check --config and RINGBACK_CONFIG"))
        return None, {}, {}
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        faults.append(Fault(str(path), f"settings file unreadable: {error}", "write TOML, UTF-8"))
        return path, {}, {}


def _line_numbers(text: str) -> dict[str, int]:
    """Return the line of every table and key, by dotted name; inline tables count as their own key's line."""
    lines: dict[str, int] = {}
    table: tuple[str, ...] = ()
    counts: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), 1):
        if header := re.match(r"\s*(\[\[?)\s*([\w.-]+)\s*\]", line):
            names = header[2].split(".")
            table = tuple(names)
            if header[1] == "[[":
                counts[header[2]] = counts.get(header[2], -1) + 1
                table = (*names[:-1], names[-1], str(counts[header[2]]))
            elif names[0] in counts:
                table = (names[0], str(counts[names[0]]), *names[1:])
            lines.setdefault(".".join(table), number)
        elif key := re.match(r"\s*([\w.-]+)\s*=", line):
            lines.setdefault(".".join((*table, key[1])), number)
    return lines


def _from_environment(environment: Mapping[str, str], faults: list[Fault]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, text in environment.items():
        if not name.startswith("RINGBACK_") or name in _NOT_SETTINGS:
            continue
        short = name.removeprefix("RINGBACK_").lower()
        path = _SHORTHANDS.get(short) or tuple(short.split("__"))
        target = values
        for part in path[:-1]:
            inner = target.setdefault(part, {})
            if not isinstance(inner, dict):
                faults.append(Fault(name, f"{part} is set both as a whole and in part", "keep one of the variables"))
                inner = {}
            target = inner
        target[path[-1]] = _parsed(path, text, name, faults)
    return values


def _parsed(path: tuple[str, ...], text: str, name: str, faults: list[Fault]) -> object:
    """Return a variable's value: JSON for tables and lists, commas for lists of words, else the text."""
    model: type[Section] | None = Config
    annotation: object = None
    for part in path:
        field = model.model_fields.get(part) if model else None
        annotation = field.annotation if field else None
        model, _ = _section_of(annotation)
    if text.lstrip().startswith(("[", "{")) and (model or get_origin(annotation) in (tuple, dict)):
        try:
            return json.loads(text)
        except ValueError as error:
            faults.append(Fault(name, f"not JSON: {error}", "write a JSON list or object"))
            return []
    if get_origin(annotation) is tuple:
        return [word.strip() for word in text.split(",") if word.strip()]
    return text


def _aliases(environment: Mapping[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, (section, key) in _PLIVO_ALIASES.items():
        if environment.get(name):
            values.setdefault(section, {})[key] = environment[name]
    return values


def _section_of(annotation: object) -> tuple[type[Section] | None, bool]:
    """Return the section class behind an annotation and whether it is a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return annotation, False
    if get_origin(annotation) is tuple:
        return _section_of(get_args(annotation)[0])[0], True
    return None, False


def _checked(
    model: type[Section], raw: Mapping[str, Any], path: tuple[str, ...], layer: _Layer, faults: list[Fault]
) -> dict[str, Any]:
    """Return `raw` with secret files read; notes every key that `model` does not know."""
    values: dict[str, Any] = {}
    for key, value in raw.items():
        here = (*path, key)
        field = model.model_fields.get(key)
        if field is None:
            secret = model.model_fields.get(key.removesuffix("_file"))
            if key.endswith("_file") and secret is not None and secret.annotation is SecretStr:
                where = layer.where(".".join(here))
                values[key.removesuffix("_file")] = _secret(layer.folder / str(value), where, faults)
            else:
                faults.append(_unknown(model, here, value, layer))
            continue
        inner, many = _section_of(field.annotation)
        if inner and many and isinstance(value, list):
            values[key] = [
                _checked(inner, entry, (*here, str(index)), layer, faults) if isinstance(entry, dict) else entry
                for index, entry in enumerate(value)
            ]
        elif inner and not many and isinstance(value, dict):
            values[key] = _checked(inner, value, here, layer, faults)
        else:
            values[key] = value
    return values


def _secret(path: Path, where: str, faults: list[Fault]) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        faults.append(Fault(where, f"secret file unreadable: {error}", "check the path and its permissions"))
        return ""


def _unknown(model: type[Section], path: tuple[str, ...], value: object, layer: _Layer) -> Fault:
    near = difflib.get_close_matches(path[-1], model.model_fields, n=1, cutoff=0.5)
    fix = f"did you mean {near[0]}?" if near else f"known here: {', '.join(model.model_fields)}"
    full = _leaves(value, path)[0][0] if isinstance(value, dict) and value else ".".join(path)
    return Fault(layer.where(full), f"unknown setting {'.'.join(path)}", fix)


def _merge(into: dict[str, Any], values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if isinstance(value, Mapping) and isinstance(into.get(key), dict):
            _merge(into[key], value)
        elif isinstance(value, Mapping):
            into[key] = {}
            _merge(into[key], value)
        else:
            into[key] = value


def _leaves(values: Mapping[str, Any], path: tuple[str, ...]) -> list[tuple[str, Any]]:
    """Return (dotted name, value) of every setting; a list of tables is one setting."""
    leaves: list[tuple[str, Any]] = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            leaves += _leaves(value, (*path, key))
        else:
            leaves.append((".".join((*path, key)), value))
    return leaves


def _shortenings(dotted: str) -> list[str]:
    parts = dotted.split(".")
    return [".".join(parts[:count]) for count in range(len(parts), 0, -1)]


def _as_text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _fault_of(entry: Mapping[str, Any], sources: Mapping[str, str], layers: list[_Layer]) -> Fault:
    dotted = ".".join(str(part) for part in entry["loc"])
    where = next((sources[name] for name in _shortenings(dotted) if name in sources), "")
    if where.startswith(layers[2].name):
        where = layers[2].where(dotted)
    reason = str(entry["msg"]).removeprefix("Value error, ")
    reason = reason[:1].lower() + reason[1:]
    return Fault(where, f"{dotted}: {reason}" if dotted else reason, "see `ringback config schema`" if dotted else "")


def _refused_in_production(config: Config) -> list[Fault]:
    """Return what makes a production start unsafe."""
    faults = []
    token = config.auth.token.get_secret_value()
    if config.auth.id == DEVELOPMENT_ACCOUNT:
        faults.append(Fault("auth.id", "the development account in production", "choose an id of your own"))
    if config.auth.id and len(token) < _WEAK_TOKEN_CHARACTERS:
        fix = f"set auth.token or auth.token_file, at least {_WEAK_TOKEN_CHARACTERS} random characters"
        faults.append(Fault("auth.token", f"a token of {len(token)} characters", fix))
    return faults
