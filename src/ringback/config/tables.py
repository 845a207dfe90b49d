"""What stands in the settings more than once: trunks, applications, numbers, and the base that every section has.

`sections` holds the others and gathers all of them.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator

from ringback.numbers.stock import Block, read_blocks

Port = Annotated[int, Field(ge=0, le=65535)]
Method = Literal["GET", "POST"]


class Section(BaseModel):
    """Base of all sections: frozen, and closed against misspelt keys."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)


class Gateway(Section):
    """One SIP peer of a trunk."""

    host: str
    port: Port = 5060
    transport: Literal["udp", "tcp"] = "udp"
    priority: Annotated[int, Field(ge=0)] = 10
    weight: Annotated[int, Field(ge=0)] = 100


class TrunkAuth(Section):
    """Credentials with which a trunk answers 401 and 407."""

    username: str = ""
    password: SecretStr = SecretStr("")
    realm: str = ""


class TrunkSection(Section):
    """`[[trunk]]`: a carrier or a PBX."""

    name: Annotated[str, Field(min_length=1)]
    direction: Literal["inbound", "outbound", "both"] = "both"
    gateways: tuple[Gateway, ...] = ()
    auth: TrunkAuth = TrunkAuth()
    allowed_addresses: tuple[str, ...] = ()
    """Networks from which calls are accepted, besides the gateways' own addresses."""
    numbers: tuple[str, ...] = ()
    """Prefixes of called numbers that leave by this trunk. Empty: all."""
    caller_id: str = ""
    codecs: tuple[Literal["PCMU", "PCMA"], ...] = ("PCMU", "PCMA")
    e164_plus: bool = True
    tech_prefix: str = ""
    ringing_timeout_s: Annotated[int, Field(ge=0, le=600)] = 0
    """The longest that a call by this trunk may ring; 0 leaves it to the `ring_timeout` of the call."""
    max_calls: Annotated[int, Field(ge=0)] = 0
    max_cps: Annotated[int, Field(ge=0, le=1_000)] = 0
    """Calls by API and legs of `<Dial>` that may start on this trunk in a second; more wait for their turn. 0 is any
    number."""
    nat: Literal["auto", "always", "never"] = "auto"
    """Whether RTP may come from elsewhere than the SDP says."""
    priority: Annotated[int, Field(ge=0)] = 10
    headers: dict[str, str] = {}


class AppSection(Section):
    """`[[app]]`: a customer's application."""

    name: Annotated[str, Field(min_length=1)]
    answer_url: Annotated[str, Field(min_length=1)]
    answer_method: Method = "POST"
    hangup_url: str = ""
    hangup_method: Method = "POST"
    fallback_url: str = ""
    fallback_method: Method = "POST"

    @field_validator("answer_url", "hangup_url", "fallback_url")
    @classmethod
    def _is_http_url(cls, value: str) -> str:
        if value and not re.match(r"https?://[^/]", value):
            raise ValueError(f"expected an http or https URL, found {value}")
        return value


class NumberSection(Section):
    """`[[number]]`: a phone number and the application that answers it."""

    number: Annotated[str, Field(pattern=r"^\+?\d{3,20}$")]
    app: str


class NumberStockSection(Section):
    """`[[number_stock]]`: numbers of yours that accounts may search and take by API."""

    numbers: Annotated[tuple[str, ...], Field(min_length=1)]
    """Numbers, and ranges such as `4930123450..4930123499`; 20,000 numbers in all."""
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")]
    """ISO 3166-1 alpha-2; every number begins with its country code."""
    type: Literal["local", "national", "mobile", "tollfree"] = "local"
    region: str = ""
    city: str = ""
    carrier: str = ""
    prefix: str = ""
    """The area code that searches show."""
    lata: str = ""
    rate_center: str = ""

    def blocks(self) -> list[Block]:
        """Return the numbers as the stock wants them; raises as `read_blocks` does."""
        return read_blocks(self.numbers, kind=self.type, **self.model_dump(exclude={"numbers", "type"}))
