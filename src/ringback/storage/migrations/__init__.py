"""Alembic's environment and the migrations; `schema.upgrade` runs them."""
