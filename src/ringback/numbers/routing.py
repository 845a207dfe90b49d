"""From a called number to the application that answers it."""

from __future__ import annotations

from ringback.accounts.account import Account
from ringback.accounts.application import Application
from ringback.accounts.store import find_account, find_application
from ringback.ids import AccountId, AppId
from ringback.numbers.store import find_owned, normalised
from ringback.storage.database import Session


def application_for(
    session: Session, number: str, catch_all: tuple[AccountId, AppId] | None = None
) -> tuple[Account, Application] | None:
    """Return who answers calls to `number`, or `None` when nobody does.

    A number whose application or account is disabled is answered by nobody, not by the catch-all.

    Args:
        number: Digits, with or without `+`; any other user part of a SIP address can only be answered by `catch_all`.
        catch_all: The account and application that answer what has no application of its own.
    """
    digits = normalised(number)
    owned = find_owned(session, digits) if digits else None
    if owned is not None and owned.app_id is not None:
        account_id, app_id = owned.account_id, owned.app_id
    elif catch_all is not None and (owned is None or owned.account_id == catch_all[0]):
        account_id, app_id = catch_all
    else:
        return None
    account = find_account(session, account_id)
    application = find_application(session, account_id, app_id)
    if account is None or application is None or not (account.is_enabled and application.is_enabled):
        return None
    return account, application
