"""What the settings name and the platform keeps: the account, its applications and numbers, and the trunks."""

from __future__ import annotations

from ringback import ids
from ringback.accounts.account import Account
from ringback.accounts.application import Application
from ringback.accounts.store import ensure_account, ensure_application
from ringback.config.sections import Config
from ringback.config.tables import AppSection, TrunkSection
from ringback.errors import ConfigError
from ringback.ids import AccountId, AppId
from ringback.numbers.store import ensure_number
from ringback.numbers.trunks import Gateway, GatewayCredentials, NatMode, Trunk, TrunkDirection
from ringback.storage.database import Database, Session


async def ensure_configured(database: Database, config: Config) -> tuple[AccountId, AppId] | None:
    """Store the account, applications and numbers of the settings; return the application that answers the rest.

    Raises:
        ConfigError: there are applications or numbers, but no account.
    """

    def work(session: Session) -> tuple[AccountId, AppId] | None:
        if not config.auth.id:
            return None
        account = ensure_account(session, config.auth.id, config.auth.token.get_secret_value(), "Ringback")
        apps = {section.name: _ensure_app(session, account, section) for section in config.app}
        for number in config.number:
            ensure_number(session, number.number.lstrip("+"), account.auth_id, apps[number.app])
        return (account.auth_id, apps[config.default_app]) if config.default_app else None

    if (config.app or config.number) and not config.auth.id:
        raise ConfigError("[[app]] and [[number]] belong to an account", hint="set auth.id and auth.token")
    return await database.write(work)


def _ensure_app(session: Session, account: Account, section: AppSection) -> AppId:
    application = Application(
        app_id=AppId(ids.new_digits(17)),
        account_id=account.auth_id,
        name=section.name,
        answer_url=section.answer_url,
        answer_method=section.answer_method,
        hangup_url=section.hangup_url,
        hangup_method=section.hangup_method,
        fallback_answer_url=section.fallback_url,
        fallback_method=section.fallback_method,
    )
    return ensure_application(session, application).app_id


def configured_trunk(section: TrunkSection) -> Trunk:
    """Return the trunk of a `[[trunk]]` section."""
    credentials: tuple[GatewayCredentials, ...] = ()
    if section.auth.username:
        credentials = (
            GatewayCredentials(section.auth.username, section.auth.password.get_secret_value(), section.auth.realm),
        )
    return Trunk(
        name=section.name,
        direction=TrunkDirection(section.direction),
        gateways=tuple(
            Gateway(gateway.host, gateway.port, gateway.transport, gateway.priority, gateway.weight)
            for gateway in section.gateways
        ),
        credentials=credentials,
        allowed_addresses=section.allowed_addresses,
        numbers=section.numbers,
        caller_id=section.caller_id,
        codecs=section.codecs,
        max_calls=section.max_calls,
        max_cps=section.max_cps,
        nat=NatMode(section.nat),
        e164_plus=section.e164_plus,
        tech_prefix=section.tech_prefix,
        ringing_timeout_ms=section.ringing_timeout_s * 1000,
        headers=tuple(section.headers.items()),
        priority=section.priority,
    )
