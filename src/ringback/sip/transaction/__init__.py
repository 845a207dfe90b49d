"""The four transaction machines of RFC 3261 §17 with the states of RFC 6026, their matching and their table.

Must not know dialogs or calls. Open `tables.py` first: every transition stands there.
"""
