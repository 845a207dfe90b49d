"""Content-Type and Accept values: media types with parameters (RFC 3261 §20.1, §20.15)."""

from __future__ import annotations

from dataclasses import dataclass, field

from ringback.sip.errors import MalformedSip
from ringback.sip.syntax import Params, is_token, parse_params, unquote


@dataclass(frozen=True, slots=True)
class MediaType:
    """A media type in lower case, such as `application/sdp`, and its parameters."""

    full_type: str
    params: Params = field(default_factory=dict)

    @property
    def boundary(self) -> str | None:
        """Return the multipart boundary without quotes, or `None`."""
        value = self.params.get("boundary")
        return unquote(value) if value else None

    def accepts(self, full_type: str) -> bool:
        """Return whether this Accept range covers `full_type` (`*/*`, `application/*`, or the same)."""
        main, _, sub = self.full_type.partition("/")
        return main == "*" or (sub == "*" and full_type.startswith(f"{main}/")) or self.full_type == full_type


def parse_media_type(text: str) -> MediaType:
    """Return the media type that `text` spells.

    Raises:
        MalformedSip: not `type/subtype`.
    """
    full_type, semicolon, params = text.partition(";")
    main, slash, sub = full_type.partition("/")
    main, sub = main.strip().lower(), sub.strip().lower()
    if not slash or not is_token(main) or not is_token(sub):
        raise MalformedSip("found a media type that is not type/subtype", code="malformed-media-type")
    return MediaType(f"{main}/{sub}", parse_params(params) if semicolon else {})
