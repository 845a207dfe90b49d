"""What operators see: logs, metrics and the sink for the event log. Knows no domain words and imports no room.

Open `events` for the seam every room reports through, `metrics` for the names on `/metrics`.
"""
