"""Recordings of this node as files to play.

`<Play>` of a `RecordUrl` is how callers hear their own message again. The egress policy closes our own ports to
customers' URLs, and a request to ourselves would be a detour anyway, so such a URL is answered from the folder.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from ringback.errors import EgressError
from ringback.recordings.service import RecordingService
from ringback.recordings.spec import FileFormat

_PATH = r"/v1/Account/([A-Za-z0-9]{1,40})/Recording/([A-Za-z0-9-]{1,40})\.(mp3|wav)/?"


class PlayableFiles:
    """Fulfils `callflow.port.MediaSource`: recordings of ours from the disk, everything else from the network."""

    def __init__(
        self,
        recordings: RecordingService,
        fetch: Callable[[str], Awaitable[str]],
        base_url: Callable[[], str],
        *,
        need_credentials: bool,
    ) -> None:
        """Make a source.

        Args:
            need_credentials: Whether files are given to their own account only; then nothing is played from the disk,
                because nobody here knows who asks.
        """
        self._recordings = recordings
        self._fetch = fetch
        self._base_url = base_url
        self._need_credentials = need_credentials

    async def fetch(self, url: str) -> str:
        """Return the path of the wav or mp3 at `url`; a recording that is just being completed is waited for.

        Raises:
            EgressError: it could not be had.
        """
        found = self._recording_of(url)
        if found is None:
            return await self._fetch(url)
        file = await self._recordings.file(*found)
        if file is None:
            raise EgressError("the recording does not exist, or goes on still", code="recording-not-found")
        return str(file.path)

    def _recording_of(self, url: str) -> tuple[str, str, FileFormat] | None:
        """Return account, id and format of a recording of ours, `None` for any other URL."""
        if self._need_credentials:
            return None
        try:
            parts, base = urlsplit(url.strip()), urlsplit(self._base_url())
        except ValueError:
            return None
        match = re.fullmatch(re.escape(base.path.rstrip("/")) + _PATH, parts.path)
        if match is None or (parts.scheme, parts.netloc.lower()) != (base.scheme, base.netloc.lower()):
            return None
        return match[1], match[2], FileFormat(match[3])
