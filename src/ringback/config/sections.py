"""Every setting of the product, each with its default; what may stand there more than once is in `tables`."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    Field,
    SecretStr,
    ValidationInfo,
    field_validator,
    model_validator,
)

from ringback.config.tables import (
    AppSection,
    Method,
    NumberSection,
    NumberStockSection,
    Port,
    Section,
    TrunkSection,
)
from ringback.numbers.stock import Stock

DEVELOPMENT_ACCOUNT = "MADEVDEVDEVDEVDEVDEV"
"""The account id of `ringback dev`: 20 characters, as official SDKs demand."""

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
    ping_ms: Annotated[int, Field(ge=1_000, le=60_000)] = 30_000
    """How often agents are pinged."""
    pong_within_ms: Annotated[int, Field(ge=1_000, le=600_000)] = 60_000
    """How long an agent that reads may then send nothing, no pong either, before its connection counts as lost."""
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
    calls_min: Annotated[int, Field(ge=1, le=1_000)] = 50
    """Calls (media sessions) of each worker that it always takes, whatever its figures say."""
    late_ms: Annotated[int, Field(ge=5, le=100)] = 10
    """A slot of 5 ms that runs so much later than it was due is late."""
    late_percent: Annotated[int, Field(ge=1, le=100)] = 15
    """Share of late slots that makes a second a late one."""
    calm_percent: Annotated[int, Field(ge=0, le=99)] = 5
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
