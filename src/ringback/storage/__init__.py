"""Plumbing of what is kept: database, migrations, event log. No domain words. Open `database.py` first."""
