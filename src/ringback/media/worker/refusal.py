"""Why a worker refuses a command."""

from __future__ import annotations

import msgspec

from ringback.media.control.values import RejectCode


class Refusal(msgspec.Struct, frozen=True):
    """Why a command changed nothing."""

    code: RejectCode
    found: str = ""
    allowed: str = ""
