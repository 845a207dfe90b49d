import json
import subprocess
import sys

import pytest

from ringback import __version__
from ringback.cli import main as cli_main
from ringback.cli.failure import FAILURES, ExitCode, Failure

HEAVY = {"fastapi", "sqlalchemy", "aiohttp", "numpy", "pydantic", "uvloop", "picows", "lxml"}


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("RINGBACK_URL", "RINGBACK_CONFIG", "RINGBACK_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)


def imported_by(code: str) -> set[str]:
    program = f"import sys\n{code}\nsys.stderr.write(' '.join(sorted({{m.partition('.')[0] for m in sys.modules}})))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=30)
    return set(done.stderr.split())


def test_help_imports_nothing_heavy():
    modules = imported_by("from ringback.cli.main import main\nmain(['--help'])")
    assert "cyclopts" in modules
    assert not modules & HEAVY


@pytest.mark.parametrize("words", [["call", "--help"], ["dev", "--help"], ["call", "start", "--help"]])
def test_help_of_verbs_imports_nothing_heavy(words):
    assert not imported_by(f"from ringback.cli.main import main\nmain({words!r})") & HEAVY


def test_version_does_not_even_import_cyclopts():
    assert "cyclopts" not in imported_by("from ringback.cli.main import main\nmain(['--version'])")


def test_version_is_printed(capsys):
    assert cli_main.main(["--version"]) == 0
    assert capsys.readouterr().out == f"ringback {__version__}\n"
    assert cli_main.main(["version", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["ringback"] == __version__


def test_no_verb_prints_help(capsys):
    assert cli_main.main([]) == 0
    assert "dev" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["nonsense"], "RB5002"),
        (["config", "show", "--jsn"], "RB5002"),
        (["dev", "--workers", "many"], "RB5002"),
        (["dev", "--http", "nowhere"], "RB5002"),
        (["dev", "--http", "127.0.0.1:99999"], "RB5002"),
        (["dev", "--rtp-ports", "5-4"], "RB5001"),
        (["call", "not-a-number"], "RB5002"),
        (["call", "15550001000", "--dtmf", "12x"], "RB5002"),
        (["call", "15550001000", "--wav", "gone.wav"], "RB4002"),
        (["call", "15550001000", "--record", "no/such/folder/x.wav"], "RB4003"),
        (["call", "15550001000", "--for", "0"], "RB5002"),
        (["call", "show", "abc"], "RB5002"),
        (["up", "--config", "gone.toml"], "RB5001"),
    ],
)
def test_wrong_usage_exits_2_with_a_code_and_a_fix(words, code, capsys):
    assert cli_main.main(words) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"{code} ")
    assert " · " in err


@pytest.mark.parametrize("words", [["call", "15550001000"], ["call", "show", "last"], ["call", "list"]])
def test_absent_server_exits_3(words, capsys):
    assert cli_main.main([*words, "--url", "http://127.0.0.1:1"]) == 3
    err = capsys.readouterr().err
    assert err.startswith("RB5006 ")
    assert "ringback dev" in err


def test_failures_are_json_when_json_was_asked(capsys):
    assert cli_main.main(["call", "list", "--json", "--url", "http://127.0.0.1:1"]) == 3
    assert json.loads(capsys.readouterr().err)["error"]["code"] == "RB5006"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["call", "15550001000"], ["call", "start", "15550001000"]),
        (["call", "+15550001000"], ["call", "start", "+15550001000"]),
        (["call", "sip:a@b", "--json"], ["call", "start", "sip:a@b", "--json"]),
        (["call", "show", "last"], ["call", "show", "last"]),
        (["call", "list"], ["call", "list"]),
        (["call"], ["call"]),
    ],
)
def test_call_without_a_noun_dials(words, expected, monkeypatch):
    seen = []
    monkeypatch.setattr(cli_main, "_run", lambda given: seen.append(given) or 0)
    cli_main.main(words)
    assert seen == [expected]


def test_every_failure_has_an_exit_code_that_the_table_knows():
    for code, (meaning, exit_code) in FAILURES.items():
        assert code.startswith("RB")
        assert len(code) == 6
        assert meaning
        assert exit_code in (ExitCode.FAILED, ExitCode.USAGE, ExitCode.UNREACHABLE, ExitCode.REFUSED)
        assert str(Failure(code, "what", "where", "fix")) == f"{code} what · where · fix"
        assert str(Failure(code, "what")) == f"{code} what"


def test_interrupt_exits_130(monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    monkeypatch.setattr(cli_main, "build_app", interrupted)
    assert cli_main.main(["version"]) == 130


def test_config_check_names_file_and_line(tmp_path, capsys):
    (tmp_path / "ringback.toml").write_text("[sip]\nprot = 1\n[http]\nx = 1\n")
    assert cli_main.main(["config", "check"]) == 2
    err = capsys.readouterr().err
    assert "ringback.toml:2" in err
    assert "did you mean port?" in err
    assert "ringback.toml:4" in err


def test_config_show_prints_value_and_source(tmp_path, capsys):
    (tmp_path / "ringback.toml").write_text("[sip]\nport = 5099\n")
    assert cli_main.main(["config", "show", "--json"]) == 0
    rows = {row["name"]: row for row in map(json.loads, capsys.readouterr().out.splitlines())}
    assert rows["sip.port"] == {"name": "sip.port", "value": "5099", "source": "ringback.toml:2"}
    assert cli_main.main(["config", "show"]) == 0
    assert "sip.port" in capsys.readouterr().out


def test_config_schema_is_json(capsys):
    assert cli_main.main(["config", "schema"]) == 0
    assert json.loads(capsys.readouterr().out)["properties"]["sip"]


def test_creds_are_made_once_and_kept(capsys, tmp_path):
    assert cli_main.main(["creds", "--json"]) == 0
    first = json.loads(capsys.readouterr().out)
    assert cli_main.main(["creds", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == first
    assert first["auth_id"] == "MADEVDEVDEVDEVDEVDEV"
    assert len(first["auth_token"]) == 40
    assert (tmp_path / ".ringback" / "auth_token").stat().st_mode & 0o777 == 0o600


def test_creds_honour_the_environment(capsys, monkeypatch):
    monkeypatch.setenv("RINGBACK_AUTH_TOKEN", "from-environment")
    assert cli_main.main(["creds", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["auth_token"] == "from-environment"
