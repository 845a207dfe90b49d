"""`/Number/`: the account's phone numbers (specification 7.4)."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request, Response

from ringback.accounts.account import Account
from ringback.api.auth import CurrentAccount, account_of_subaccount, owner_of_new, read_owner
from ringback.api.bodies import read_body, read_query
from ringback.api.forms import Form, described_body, described_query, invalid, shown
from ringback.api.paging import read_page
from ringback.api.responses import date, no_content, reply, sub_account
from ringback.api.services import ServicesOf
from ringback.calls.views import Comparison
from ringback.errors import NotFound
from ringback.ids import AppId
from ringback.numbers import store
from ringback.numbers.models import PhoneNumber
from ringback.numbers.stock import Stock
from ringback.storage.database import Session

router = APIRouter(tags=["Numbers"])

NUMBERS_MAX = 100
"""Numbers in one request."""
_TEXT_MAX_CHARS = 255
_NO_MESSAGES = "Numbers have `voice` and nothing else."
_OF_THE_CLOUD = (
    "tendlc_registration_status",
    "tendlc_campaign_id",
    "toll_free_sms_verification",
    "toll_free_sms_verification_order_status",
    *(f"renewal_date{comparison.value}" for comparison in Comparison),
)


@dataclass(frozen=True, slots=True)
class NewNumbers:
    """Numbers that a request adds, and what they have in common."""

    numbers: tuple[str, ...]
    app_id: AppId | None
    carrier: str
    region: str
    number_type: str


def read_new(form: Form) -> NewNumbers:
    """Return the numbers that a request adds.

    Raises:
        InvalidParameter: no number, too many, or one that is none.
    """
    value = form.raw("numbers", {"type": "string"}, "One number, or several with commas between them.", required=True)
    parts = [str(part) for part in value] if isinstance(value, list) else form.text("numbers").split(",")
    texts = [part for part in parts if part.strip()]
    if not texts:
        form.text("numbers", required=True)
    if len(texts) > NUMBERS_MAX:
        invalid("numbers", f"{len(texts)} numbers, expected at most {NUMBERS_MAX}")
    found = []
    for text in texts:
        if (digits := store.normalised(text)) is None:
            invalid("numbers", f"{shown(text)}, expected digits such as 14151234567")
        found.append(digits)
    app_id = form.text("app_id", max_chars=40)
    read_owner(form)
    return NewNumbers(
        numbers=tuple(found),
        app_id=AppId(app_id) if app_id else None,
        carrier=form.text("carrier", max_chars=_TEXT_MAX_CHARS),
        region=form.text("region", max_chars=_TEXT_MAX_CHARS),
        number_type=form.text("number_type", default="local", max_chars=32),
    )


def read_changes(form: Form) -> dict[str, str | None]:
    """Return what a request changes about a number; an `app_id` that is empty or null detaches the application.

    Raises:
        InvalidParameter: a parameter is wrong.
    """
    changes: dict[str, str | None] = {}
    app_id = form.text("app_id", max_chars=40, about="Empty or null detaches the application.")
    if form.has("app_id"):
        changes["app_id"] = app_id or None
    alias = form.text("alias", max_chars=_TEXT_MAX_CHARS)
    if form.is_given("alias"):
        changes["alias"] = alias
    for name in ("verification_info", "cnam_lookup"):
        form.raw(name, {}, "Accepted and ignored.")
    return changes


@router.post(
    "/Number/",
    summary="Add numbers",
    status_code=202,
    openapi_extra=described_body(read_new, {"numbers": "14151234567", "carrier": "acme", "region": "US"}),
)
async def add_numbers(request: Request, account: CurrentAccount, services: ServicesOf) -> Response:
    """Add numbers that reach this server by a trunk of your own: all of them, or none."""
    form = Form(await read_body(request))
    wanted = read_new(form)
    owner = await owner_of_new(request, account, form)

    def add(session: Session) -> None:
        for digits in wanted.numbers:
            store.add_number(
                session,
                PhoneNumber(
                    number=digits,
                    account_id=owner.auth_id,
                    app_id=wanted.app_id,
                    carrier=wanted.carrier,
                    region=wanted.region,
                    number_type=wanted.number_type,
                ),
            )

    await services.database.write(add)
    return reply(202, {"message": "changed"})


def _read_list(form: Form) -> dict[str, str]:
    return {
        "starts_with": form.text("number_startswith", max_chars=32).lstrip("+"),
        "alias": form.text("alias", max_chars=_TEXT_MAX_CHARS),
        "number_type": form.text("type", max_chars=32),
    }


def _fits_no_number(form: Form) -> bool:
    """Return whether a filter asks for what no number here has: messages, registrations, a day of renewal."""
    services = {service.strip().lower() for service in form.text("services", about=_NO_MESSAGES).split(",")}
    cnam = form.choice("cnam_lookup", ("enabled", "disabled"), "", about="No number has it.")
    named = [form.text(name, about="No number has one.") for name in _OF_THE_CLOUD]
    return not services <= {"", "voice"} or cnam == "enabled" or any(named)


@router.get(
    "/Number/",
    summary="List numbers",
    openapi_extra=described_query(
        lambda form: (read_page(form), _read_list(form), _fits_no_number(form), read_owner(form))
    ),
)
async def list_numbers(request: Request, account: CurrentAccount, services: ServicesOf) -> Response:
    """Return the account's numbers, newest first."""
    form = Form(read_query(request))
    page, filters = read_page(form), _read_list(form)
    owner = await account_of_subaccount(request, account, read_owner(form))
    if owner is None or _fits_no_number(form):
        return reply(200, {"meta": page.meta(request, 0), "objects": []})
    found, total = await services.database.read(
        lambda session: store.list_numbers(session, owner.auth_id, limit=page.limit, offset=page.offset, **filters)
    )
    objects = [number_object(number, owner, services.stock) for number in found]
    return reply(200, {"meta": page.meta(request, total), "objects": objects})


@router.get("/Number/{number}/", summary="Retrieve a number")
async def retrieve_number(account: CurrentAccount, services: ServicesOf, number: str) -> Response:
    """Return one number; `+` before it is accepted."""
    digits = digits_of(number)
    found = await services.database.read(lambda session: store.find_number(session, account.auth_id, digits))
    if found is None:
        raise NotFound("number not found")
    return reply(200, number_object(found, account, services.stock))


@router.post(
    "/Number/{number}/",
    summary="Change a number",
    status_code=202,
    openapi_extra=described_body(lambda form: (read_changes(form), read_owner(form)), {"app_id": "29986316244302815"}),
)
async def change_number(request: Request, account: CurrentAccount, services: ServicesOf, number: str) -> Response:
    """Attach or detach an application, change the alias, or give the number, without application, to a subaccount."""
    form = Form(await read_body(request))
    digits, changes = digits_of(number), read_changes(form)
    owner = await owner_of_new(request, account, form)

    def change(session: Session) -> None:
        if owner.auth_id != account.auth_id:
            store.move_number(session, account.auth_id, digits, owner.auth_id)
        store.update_number(session, owner.auth_id, digits, changes)

    await services.database.write(change)
    return reply(202, {"message": "changed"})


@router.delete("/Number/{number}/", summary="Remove a number", status_code=204)
async def delete_number(account: CurrentAccount, services: ServicesOf, number: str) -> Response:
    """Remove a number from the account; one of the stock is free again."""
    digits = digits_of(number)
    if not await services.database.write(lambda session: store.delete_number(session, account.auth_id, digits)):
        raise NotFound("number not found")
    return no_content()


def number_object(number: PhoneNumber, account: Account, stock: Stock) -> dict[str, object]:
    """Return a number as it is spelled on the wire; what is known about its place stands in the stock."""
    block = stock.block_of(number.number)
    base = f"/v1/Account/{account.auth_id}"
    return {
        "active": True,
        "added_on": date(number.added_wall_ms),
        "alias": number.alias or None,
        "application": f"{base}/Application/{number.app_id}/" if number.app_id else None,
        "carrier": number.carrier,
        "city": block.city if block else "",
        "cnam_lookup": "",
        "compliance_application_id": None,
        "compliance_status": None,
        "country": block.country_name if block else "",
        "mms_enabled": False,
        "mms_rate": "0.00000",
        "monthly_rental_rate": "0.00000",
        "number": number.number,
        "number_type": number.number_type,
        "region": number.region,
        "renewal_date": None,
        "resource_uri": f"{base}/Number/{number.number}/",
        "sms_enabled": False,
        "sms_rate": "0.00000",
        "sub_account": sub_account(account),
        "tendlc_campaign_id": None,
        "tendlc_registration_status": None,
        "toll_free_sms_verification": None,
        "voice_enabled": True,
        "voice_rate": "0.00000",
    }


def digits_of(number: str) -> str:
    """Return a number of a path as digits.

    Raises:
        NotFound: it is none.
    """
    digits = store.normalised(number)
    if digits is None:
        raise NotFound("number not found", hint="digits such as 14151234567 name a number")
    return digits
