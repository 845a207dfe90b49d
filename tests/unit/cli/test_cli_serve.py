from __future__ import annotations

import signal
from collections.abc import Iterator

import pytest

from ringback.cli.failure import ExitCode, Failure
from ringback.cli.serve import exit_on_sigterm, serve
from ringback.config.sections import Config
from ringback.errors import ConfigError, MediaError
from ringback.server import main as server


@pytest.fixture
def kept_handler() -> Iterator[None]:
    handler = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, handler)


def test_sigterm_during_a_start_unwinds_what_was_started(kept_handler: None):
    exit_on_sigterm()
    with pytest.raises(SystemExit) as ended:
        signal.raise_signal(signal.SIGTERM)
    assert ended.value.code == 0


@pytest.mark.parametrize(
    ("error", "code", "exit_code"),
    [
        (ConfigError("egress.ca_file /nope cannot be used", hint="name a PEM file"), "RB5001", ExitCode.USAGE),
        (MediaError("media workers did not start: media-0", hint="read the logs"), "RB5010", ExitCode.FAILED),
    ],
)
def test_a_start_that_fails_says_why_and_what_to_do(
    monkeypatch: pytest.MonkeyPatch, error: Exception, code: str, exit_code: ExitCode
):
    def fail(_config: Config) -> int:
        raise error

    monkeypatch.setattr(server, "main", fail)
    with pytest.raises(Failure) as found:
        serve(Config())
    assert (found.value.code, found.value.exit_code) == (code, exit_code)
    assert found.value.fix
