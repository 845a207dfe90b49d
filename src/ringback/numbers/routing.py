"""From a called number to the application that answers it."""

from __future__ import annotations

from ringback.accounts.account import Account
from ringback.accounts.application import Application
from ringback.ids import AppId
from ringback.storage.database import Session


def application_for(
    session: Session, number: str, catch_all: AppId | None = None
) -> tuple[Account, Application] | None:
    """Return who answers calls to `number`, or `None` when nobody does.

    Args:
        number: Digits, with or without `+`; or the user part of a SIP address, then only `catch_all` applies.
        catch_all: The application that answers numbers which have none.
    """
    raise NotImplementedError
