"""The settings file of `deploy/`: the real reader takes it, and says what it says in docs/operating.md."""

from __future__ import annotations

from pathlib import Path

from ringback.config.sources import load

DEPLOY = Path(__file__).parents[3] / "deploy"


def test_the_settings_of_the_deployment_are_read(tmp_path: Path) -> None:
    text = (DEPLOY / "ringback.toml").read_text().replace("/etc/ringback", str(tmp_path))
    text = text.replace("MAXXXXXXXXXXXXXXXXXX", "MAPRODPRODPRODPROD01")
    (tmp_path / "ringback.toml").write_text(text)
    secrets = {
        "token": "t0ken-of-32-characters-or-more-0",
        "carrier": "s3cr3t",
        "database": "postgresql+asyncpg://ringback:password@db.example.com/ringback",
    }
    for name, secret in secrets.items():
        (tmp_path / name).write_text(secret + "\n")
    config = load(tmp_path / "ringback.toml", environment={}).config
    assert (config.env, config.auth.token.get_secret_value()) == ("production", secrets["token"])
    assert config.database_url == secrets["database"]
    carrier, pbx = config.trunk
    assert (carrier.auth.username, carrier.auth.password.get_secret_value()) == ("4711", "s3cr3t")
    assert pbx.allowed_addresses == ("198.51.100.0/28",)
    assert config.number[0].app == config.app[0].name


def test_the_unit_lets_workers_outlive_a_killed_server() -> None:
    lines = (DEPLOY / "ringback.service").read_text().splitlines()
    assert {"KillMode=process", "Restart=always", "StateDirectory=ringback"} <= set(lines)
