"""Builders, fakes and finders shared by the tests; one file per kind."""
