"""Callbacks: their parameters and signatures (pure), fetching documents, and the outbox that delivers facts.

It knows no call, no element and no SIP: callers hand in plain values. Open `fetcher.py` and `store.py` first.
"""
