"""`/PhoneNumber/`: searches the operator's stock of numbers and takes one out of it (specification 7.4)."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from ringback.accounts.account import Account
from ringback.api.auth import CurrentAccount
from ringback.api.bodies import read_body, read_query
from ringback.api.forms import Form, described_body, described_query, invalid, shown
from ringback.api.numbers import digits_of
from ringback.api.paging import read_page
from ringback.api.responses import reply
from ringback.api.services import ServicesOf
from ringback.errors import NotFound
from ringback.ids import AppId
from ringback.numbers import store
from ringback.numbers.countries import COUNTRIES
from ringback.numbers.models import PhoneNumber
from ringback.numbers.stock import KINDS, Block, Wanted, find
from ringback.storage.database import Session

router = APIRouter(tags=["Numbers"])

_TEXT_MAX_CHARS = 255
_DIGITS_MAX = 15
_TYPES = (*KINDS, "fixed", "any")
_SERVICES = ("voice", "sms", "mms")
_FREE = "0.00000"


def read_search(form: Form) -> tuple[Wanted, bool]:
    """Return what is searched, and whether a number that can only be called will do.

    Raises:
        InvalidParameter: the country is missing or unknown, or a parameter is wrong.
    """
    country = form.text("country_iso", required=True, max_chars=2, about="ISO 3166-1 alpha-2, such as `US`.").upper()
    if country not in COUNTRIES:
        invalid("country_iso", f"{shown(country)}, expected two letters such as US")
    kind = form.choice("type", _TYPES, "any", about="`fixed` is `local` and `national`.")
    pattern = _digits(form, "pattern", "Digits that follow the country code.")
    npanxx = _digits(form, "npanxx", "Area code and exchange, in North America.")
    services = form.text("services", about="Numbers have `voice` and nothing else.").lower().split(",")
    if wrong := {service.strip() for service in services} - {"", *_SERVICES}:
        invalid("services", f"{shown(sorted(wrong)[0])}, expected {' or '.join(_SERVICES)}")
    # A number has to begin with both: where they contradict each other there is none.
    digits = max(pattern, npanxx, key=len)
    agree = digits.startswith(pattern) and digits.startswith(npanxx)
    wanted = Wanted(
        country=country,
        kind="" if kind == "any" else kind,
        digits=digits,
        region=form.text("region", max_chars=_TEXT_MAX_CHARS),
        city=form.text("city", max_chars=_TEXT_MAX_CHARS),
        lata=form.text("lata", max_chars=_TEXT_MAX_CHARS),
        rate_center=form.text("rate_center", max_chars=_TEXT_MAX_CHARS),
    )
    for name in ("eligible", "local_calling_area"):
        form.boolean(name, about="Accepted: every number may be taken, and no calling areas are known.")
    return wanted, agree and {service.strip() for service in services} <= {"", "voice"}


def _digits(form: Form, name: str, about: str) -> str:
    text = form.text(name, max_chars=_DIGITS_MAX, about=about)
    if text and not (text.isascii() and text.isdigit()):
        invalid(name, f"{shown(text)}, expected digits")
    return text


@router.get(
    "/PhoneNumber/",
    summary="Search numbers that can be taken",
    openapi_extra=described_query(lambda form: (read_page(form), read_search(form)), {"country_iso": "US"}),
)
async def search_phone_numbers(request: Request, account: CurrentAccount, services: ServicesOf) -> Response:
    """Return numbers of the stock that nobody has, in ascending order; none without a stock."""
    form = Form(read_query(request))
    page = read_page(form)
    wanted, can_be_had = read_search(form)
    blocks = services.stock.blocks_for(wanted) if can_be_had else []

    def search(session: Session) -> tuple[list[tuple[str, Block]], int]:
        return find(blocks, wanted, store.taken_numbers(session, blocks), page.limit, page.offset)

    found, total = await services.database.read(search) if blocks else ([], 0)
    objects = [phone_number_object(number, block, account) for number, block in found]
    return reply(200, {"meta": page.meta(request, total), "objects": objects})


def read_taken(form: Form) -> AppId | None:
    """Return the application that a number is taken for.

    Raises:
        InvalidParameter: a parameter is wrong.
    """
    app_id = form.text("app_id", max_chars=40, about="Without one the account's default application answers.")
    for name in ("verification_info", "cnam_lookup", "ha_enable", "compliance_application_id"):
        form.raw(name, {}, "Accepted and ignored.")
    return AppId(app_id) if app_id else None


@router.post(
    "/PhoneNumber/{number}/",
    summary="Take a number",
    status_code=201,
    openapi_extra=described_body(read_taken, {"app_id": "29986316244302815"}),
)
async def take_phone_number(request: Request, account: CurrentAccount, services: ServicesOf, number: str) -> Response:
    """Give a number of the stock to the account; `DELETE /Number/{number}/` gives it back."""
    app_id = read_taken(Form(await read_body(request)))
    digits = digits_of(number)
    block = services.stock.block_of(digits)
    if block is None:
        raise NotFound("number not available")
    taken = PhoneNumber(
        number=digits,
        account_id=account.auth_id,
        app_id=app_id,
        carrier=block.carrier,
        region=block.region,
        number_type=block.kind,
    )
    await services.database.write(lambda session: store.take_number(session, taken))
    fulfilled = [{"number": digits, "status": "Success"}]
    return reply(201, {"message": "created", "numbers": fulfilled, "status": "fulfilled"})


def phone_number_object(number: str, block: Block, account: Account) -> dict[str, object]:
    """Return a number that can be taken as it is spelled on the wire."""
    return {
        "city": block.city or None,
        "country": block.country_name.upper(),
        "lata": block.lata or None,
        "mms_enabled": False,
        "mms_rate": _FREE,
        "monthly_rental_rate": _FREE,
        "number": number,
        "prefix": block.prefix,
        "prerequisites": [],
        "rate_center": block.rate_center or None,
        "region": block.region,
        "resource_uri": f"/v1/Account/{account.auth_id}/PhoneNumber/{number}/",
        "restriction": None,
        "restriction_text": None,
        "setup_rate": _FREE,
        "sms_enabled": False,
        "sms_rate": _FREE,
        "sub_type": block.kind,
        "type": "fixed" if block.is_fixed else block.kind,
        "voice_enabled": True,
        "voice_rate": _FREE,
    }
