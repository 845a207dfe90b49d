"""The INVITE usage: one object per call attempt in either direction, above transactions and dialogs.

Must not know calls, media or SDP content. Open `events.py` for what it reports, `incoming.py` and `outgoing.py` for
how it goes.
"""
