import json
from pathlib import Path

import pytest

from ringback.config.sections import DEVELOPMENT_ACCOUNT, Config
from ringback.config.sources import ConfigFaults, load


def faults_of(*args, **kwargs) -> list[str]:
    with pytest.raises(ConfigFaults) as caught:
        load(*args, **kwargs)
    return [str(fault) for fault in caught.value.faults]


@pytest.fixture
def toml(tmp_path: Path):
    def write(text: str) -> Path:
        path = tmp_path / "ringback.toml"
        path.write_text(text)
        return path

    return write


@pytest.fixture(autouse=True)
def _empty_folder(tmp_path, monkeypatch):
    (tmp_path / "cwd").mkdir()
    monkeypatch.chdir(tmp_path / "cwd")


def test_defaults_of_development():
    config = load(environment={}).config
    assert (config.http.host, config.http.port) == ("127.0.0.1", 8080)
    assert (config.sip.host, config.sip.port, config.sip.tcp) == ("127.0.0.1", 5060, True)
    assert config.media.rtp_port_range == (20000, 29999)
    assert config.auth.id == DEVELOPMENT_ACCOUNT
    assert config.sip.trust_loopback
    assert config.egress.mode == "dev"
    assert config.stream.allow_insecure == "loopback"
    assert config.database_url.endswith("/.ringback/ringback.db")


def test_production_implies_none_of_the_conveniences():
    config = load(environment={}, default_env="production").config
    assert config.env == "production"
    assert not config.auth.id
    assert not config.sip.trust_loopback
    assert config.egress.mode == "public"
    assert config.stream.allow_insecure == "never"


def test_flag_beats_environment_beats_file_beats_default(toml):
    path = toml("[sip]\nport = 1111\n[http]\nport = 2222\n[limits]\ncalls = 5\n")
    environment = {"RINGBACK_SIP__PORT": "3333", "RINGBACK_HTTP__PORT": "4444"}
    loaded = load(path, {"sip": {"port": 5555}}, environment)
    assert (loaded.config.sip.port, loaded.config.http.port, loaded.config.limits.calls) == (5555, 4444, 5)
    sources = {name: source for name, _, source in loaded.rows()}
    assert sources["sip.port"] == "flag"
    assert sources["http.port"] == "RINGBACK_HTTP__PORT"
    assert sources["limits.calls"] == f"{path}:6"
    assert sources["auth.id"] == "default in development"
    assert sources["http.host"] == "default"


def test_file_in_the_working_folder_is_read():
    Path("ringback.toml").write_text("[http]\nport = 9999\n")
    assert load(environment={}).config.http.port == 9999


def test_file_named_by_environment_must_exist():
    (fault,) = faults_of(environment={"RINGBACK_CONFIG": "nowhere.toml"})
    assert "not found" in fault
    assert "nowhere.toml" in fault


def test_unknown_keys_are_all_named_with_place_and_nearest_name(toml):
    path = toml('[sip]\nprot = 1\n\n[[trunk]]\nname = "a"\n[trunk.auth]\nusernam = "x"\n')
    faults = faults_of(path, environment={"RINGBACK_HTP__PORT": "1"})
    assert f"unknown setting sip.prot · {path}:2 · did you mean port?" in faults
    assert f"unknown setting trunk.0.auth.usernam · {path}:7 · did you mean username?" in faults
    assert any("htp" in fault and "RINGBACK_HTP__PORT" in fault and "did you mean http?" in fault for fault in faults)
    assert len(faults) == 3


def test_wrong_values_name_line_and_allowed_range(toml):
    path = toml(
        '[http]\nport = 70000\n[media]\nrtp_ports = "30000-20000"\n'
        '[[trunk]]\nname="a"\n[[trunk]]\nname="b"\ndirection="up"\n'
    )
    faults = faults_of(path, environment={})
    assert any(f"{path}:2" in fault and "65535" in fault for fault in faults)
    assert any(f"{path}:4" in fault and "LOW < HIGH" in fault for fault in faults)
    assert any(f"{path}:9" in fault and "trunk.1.direction" in fault and "'both'" in fault for fault in faults)


def test_wrong_environment_value_names_the_variable():
    (fault,) = faults_of(environment={"RINGBACK_SIP__PORT": "many"})
    assert "RINGBACK_SIP__PORT" in fault


def test_broken_toml_is_a_fault_with_its_line(toml):
    (fault,) = faults_of(toml("[sip]\nport = = 1\n"), environment={})
    assert "line 2" in fault


def test_secrets_come_from_files(toml, tmp_path):
    (tmp_path / "token").write_text("from-file-token\n")
    (tmp_path / "pw").write_text("trunk-pw\n")
    path = toml('[auth]\ntoken_file = "token"\n[[trunk]]\nname = "t"\nauth = {username = "u", password_file = "pw"}\n')
    config = load(path, environment={}).config
    assert config.auth.token.get_secret_value() == "from-file-token"
    assert config.trunk[0].auth.password.get_secret_value() == "trunk-pw"


@pytest.mark.parametrize("name", ["RINGBACK_AUTH__TOKEN_FILE", "RINGBACK_AUTH_TOKEN_FILE"])
def test_secret_file_by_environment(tmp_path, name):
    (tmp_path / "t").write_text("abc\n")
    assert load(environment={name: str(tmp_path / "t")}).config.auth.token.get_secret_value() == "abc"


def test_missing_secret_file_is_a_fault(toml):
    (fault,) = faults_of(toml('[auth]\ntoken_file = "gone"\n'), environment={})
    assert "secret file unreadable" in fault


def test_only_secrets_have_a_file_form(toml):
    (fault,) = faults_of(toml('[http]\nhost_file = "x"\n'), environment={})
    assert "http.host_file" in fault


def test_shorthand_token_variable():
    assert load(environment={"RINGBACK_AUTH_TOKEN": "t1"}).config.auth.token.get_secret_value() == "t1"


def test_plivo_variables_are_aliases_in_development_only():
    environment = {"PLIVO_AUTH_ID": "MA123456789012345678", "PLIVO_AUTH_TOKEN": "plivo"}
    loaded = load(environment=environment)
    assert loaded.config.auth.id == "MA123456789012345678"
    assert loaded.config.auth.token.get_secret_value() == "plivo"
    assert (
        load(environment={**environment, "RINGBACK_AUTH__TOKEN": "ours"}).config.auth.token.get_secret_value() == "ours"
    )
    assert not load(environment=environment, default_env="production").config.auth.id


def test_lists_and_tables_from_environment():
    environment = {
        "RINGBACK_LIMITS__ALLOWED_PREFIXES": "49, 43",
        "RINGBACK_EGRESS__ALLOW": '["10.0.0.0/8"]',
        "RINGBACK_APP": '[{"name": "a", "answer_url": "http://x/"}]',
        "RINGBACK_NUMBER": '[{"number": "4930123", "app": "a"}]',
    }
    config = load(environment=environment).config
    assert config.limits.allowed_prefixes == ("49", "43")
    assert config.egress.allow == ("10.0.0.0/8",)
    assert config.number[0].app == "a"


def test_broken_json_from_environment_is_a_fault():
    (fault,) = faults_of(environment={"RINGBACK_APP": "[{"})
    assert "RINGBACK_APP" in fault
    assert "JSON" in fault


def test_setting_a_section_whole_and_in_part_never_raises_anything_else():
    for environment in (
        {"RINGBACK_SIP": "x", "RINGBACK_SIP__PORT": "1"},
        {"RINGBACK_SIP__PORT": "1", "RINGBACK_SIP": "x"},
        {"RINGBACK_": "1"},
        {"RINGBACK___": "1"},
        {"RINGBACK_SIP__PORT__X": "1"},
    ):
        assert faults_of(environment=environment)


def test_number_must_name_a_known_app(toml):
    (fault,) = faults_of(toml('[[number]]\nnumber = "4930123"\napp = "gone"\n'), environment={})
    assert "gone" in fault
    (fault,) = faults_of(flags={"default_app": "gone"}, environment={})
    assert "default_app" in fault


def test_a_number_stands_once(toml):
    text = '[[app]]\nname="a"\nanswer_url="http://x/"\n[[number]]\nnumber="+4930123"\napp="a"\n[[number]]\nnumber="4930123"\napp="a"\n'
    (fault,) = faults_of(toml(text), environment={})
    assert "twice" in fault


STOCK = '[[number_stock]]\nnumbers = ["+4930123450..4930123499"]\ncountry = "DE"\ncity = "Berlin"\n'


def test_a_stock_of_numbers_is_read(toml):
    config = load(toml(STOCK), environment={}).config
    (block,) = config.stock().blocks
    assert (block.first, block.last, block.country, block.kind, block.city) == (
        *("4930123450", "4930123499", "DE"),
        *("local", "Berlin"),
    )
    assert load(environment={}).config.stock().blocks == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (STOCK.replace("DE", "XX"), "expected a code such as US"),
        (STOCK.replace("DE", "US"), "expected numbers of US, beginning with 1"),
        (STOCK.replace("99", "9"), "expected a number, or FIRST..LAST"),
        (STOCK + STOCK, "4930123450 stands twice"),
        (STOCK.replace("50..4930123499", "00000..4930123499999"), "expected at most 20000"),
        (STOCK.replace('"+4930123450..4930123499"', ""), "numbers"),
    ],
)
def test_a_wrong_stock_is_refused(toml, text, expected):
    (fault,) = faults_of(toml(text), environment={})
    assert expected in fault
    assert "number_stock" in fault


def test_rows_mask_secrets(toml):
    path = toml(
        '[auth]\ntoken = "topsecret-topsecret"\n[[trunk]]\nname="t"\nauth={username="u", password="pw-secret"}\n[database]\nurl="postgresql+asyncpg://u:dbsecret@h/d"\n'
    )
    shown = json.dumps(load(path, environment={}).rows())
    for secret in ("topsecret", "pw-secret", "dbsecret"):
        assert secret not in shown


@pytest.mark.parametrize(
    "flags",
    [
        {"auth": {"id": DEVELOPMENT_ACCOUNT, "token": "x" * 40}},
        {"auth": {"id": "MA00000000000000000A", "token": "x" * 23}},
        {"auth": {"id": "MA00000000000000000A"}},
    ],
)
def test_production_refuses_unsafe_credentials(flags):
    assert faults_of(flags={"env": "production", **flags}, environment={})


def test_production_accepts_a_strong_token():
    flags = {"env": "production", "auth": {"id": "MA00000000000000000A", "token": "x" * 24}}
    assert load(flags=flags, environment={}).config.auth.id == "MA00000000000000000A"


@pytest.mark.parametrize("value", ["MA123", "SA123456789012345678", "ma123456789012345678"])
def test_account_id_has_the_form_sdks_check(value):
    (fault,) = faults_of(flags={"auth": {"id": value}}, environment={})
    assert "auth.id" in fault


def test_config_cannot_change_after_loading():
    config = load(environment={}).config
    with pytest.raises(ValueError, match="frozen"):
        config.http.port = 1  # type: ignore[misc]


def test_schema_can_be_written():
    assert "trunk" in json.dumps(Config.model_json_schema())


@pytest.mark.parametrize(
    ("section", "word"),
    [({"calm_percent": 15}, "calm_percent < late_percent"), ({"pace_after_s": 5}, "pace_after_s <= full_after_s")],
)
def test_the_steps_of_overload_come_in_order(section, word):
    (fault,) = faults_of(flags={"load": section}, environment={})
    assert word in fault


def test_urls_of_an_application_are_urls(toml):
    text = '[[app]]\nname="a"\nanswer_url="agent"\nhangup_url="ftp://x/"\n'
    found = " ".join(faults_of(toml(text)))
    assert "expected an http or https URL, found agent" in found
    assert "expected an http or https URL, found ftp://x/" in found
