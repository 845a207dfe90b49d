"""Databases for tests of every folder."""

from tests.support.databases import database, database_url, postgres_url

__all__ = ["database", "database_url", "postgres_url"]
