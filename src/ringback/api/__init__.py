"""Plivo's REST API, one file per resource.

Decides nothing about calls: it validates, asks a port, and spells the answer.

Open `app.py` first, then `ports.py`.
"""
