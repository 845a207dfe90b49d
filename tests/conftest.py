"""Databases for tests of every folder, and how examples are generated: the same in each run, none too slow."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, settings

from tests.support.databases import database, database_url, postgres_url

__all__ = ["database", "database_url", "postgres_url"]


def pytest_configure(config: pytest.Config) -> None:
    """Choose how examples are generated; `--hypothesis-seed=N` looks for new ones."""
    settings.register_profile(
        "steady",
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        derandomize=config.getoption("--hypothesis-seed", None) is None,
    )
    settings.load_profile("steady")
