"""Thin asyncio shells round `sip.endpoint`: sockets, DNS and the one timer.

Must not branch on SIP content. Open `driver.py` first.
"""
