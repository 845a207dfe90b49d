"""The application: which URLs a number's calls go to."""

from __future__ import annotations

from dataclasses import dataclass

from ringback.ids import AccountId, AppId


@dataclass(frozen=True, slots=True)
class Application:
    """An application as other rooms see it (specification 7.3); absent URLs are empty.

    `hangup_url` is empty when it was not given: `effective_hangup_url` then gives the answer URL, as Plivo does.
    """

    app_id: AppId
    account_id: AccountId
    name: str
    answer_url: str = ""
    answer_method: str = "POST"
    hangup_url: str = ""
    hangup_method: str = "POST"
    fallback_answer_url: str = ""
    fallback_method: str = "POST"
    message_url: str = ""
    message_method: str = "POST"
    is_default_for_numbers: bool = False
    is_default_for_endpoints: bool = False
    is_enabled: bool = True
    has_public_uri: bool = False
    logs_incoming_messages: bool = True

    @property
    def effective_hangup_url(self) -> str:
        """Return where hang-up callbacks go: `hangup_url`, else `answer_url` (specification 7.3)."""
        return self.hangup_url or self.answer_url

    @property
    def effective_hangup_method(self) -> str:
        """Return the method that belongs to `effective_hangup_url`."""
        return self.hangup_method if self.hangup_url else self.answer_method
