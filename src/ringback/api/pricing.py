"""`/Pricing/`: what calls to a country cost; nothing, unless `billing.call_per_minute` says otherwise."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request, Response

from ringback.api.auth import CurrentAccount
from ringback.api.bodies import read_query
from ringback.api.forms import Form, described_query, invalid, shown
from ringback.api.responses import reply
from ringback.api.services import ServicesOf
from ringback.billing.rating import FREE, money
from ringback.errors import NotFound
from ringback.numbers.countries import COUNTRIES

router = APIRouter(tags=["Pricing"])

_ISO = re.compile(r"[A-Z]{2}")


def _read_country(form: Form) -> str:
    code = form.text("country_iso", required=True, max_chars=2, about="ISO 3166-1 alpha-2, such as `US`.").upper()
    if not _ISO.fullmatch(code):
        invalid("country_iso", f"{shown(code)}, expected two letters such as US")
    return code


@router.get("/Pricing/", summary="Retrieve prices", openapi_extra=described_query(_read_country, {"country_iso": "US"}))
async def retrieve_pricing(request: Request, services: ServicesOf, account: CurrentAccount) -> Response:
    """Return what calls to a country cost per started minute; this server charges nothing for numbers and messages."""
    code = _read_country(Form(read_query(request)))
    found = COUNTRIES.get(code)
    if found is None:
        raise NotFound(f"no country {code}")
    name, prefix = found
    call, free = {"rate": money(services.settings.rates.call_per_minute)}, {"rate": money(FREE)}
    return reply(
        200,
        {
            "country": name,
            "country_code": prefix,
            "country_iso": code,
            "message": {"inbound": free, "outbound": free, "outbound_networks_list": []},
            "phone_numbers": {"local": free, "tollfree": free},
            "voice": {
                "inbound": {"ip": call, "local": call, "tollfree": call},
                "outbound": {
                    "ip": call,
                    "local": call,
                    "rates": [{"prefix": [str(prefix)], **call}],
                    "tollfree": call,
                },
            },
        },
    )
