"""`media.worker.main`: the command line."""

from __future__ import annotations

import pytest

from ringback.errors import ConfigError
from ringback.media.worker.main import parse_options

REQUIRED = ["--socket", "/run/x.sock", "--worker-id", "media-0", "--rtp-ports"]


def test_options_are_read() -> None:
    options = parse_options([*REQUIRED, "20000-20099", "--settings", '{"sessions_max":7}'])
    assert options.rtp_ports == (20_000, 20_099)
    assert options.settings.sessions_max == 7
    assert (str(options.socket), options.worker_id) == ("/run/x.sock", "media-0")


@pytest.mark.parametrize("ports", ["20000", "20099-20000", "80-90", "1-2-3", "a-b", "20000-70000", "-"])
def test_unusable_ports_are_named(ports: str) -> None:
    with pytest.raises(ConfigError, match="RTP ports"):
        parse_options([*REQUIRED[:-1], f"--rtp-ports={ports}"])


@pytest.mark.parametrize("settings", ["[]", '{"sessions_maximum":1}', '{"sessions_max":"x"}', "no"])
def test_unusable_settings_are_named(settings: str) -> None:
    with pytest.raises(ConfigError, match="worker settings"):
        parse_options([*REQUIRED, "20000-20099", "--settings", settings])
