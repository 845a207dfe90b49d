"""Accounts and applications. Knows no calls. Open `account.py` and `store.py` first."""
