"""Databases for this folder's tests."""

from tests.support.databases import database, database_url, postgres_url

__all__ = ["database", "database_url", "postgres_url"]
