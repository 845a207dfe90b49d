"""Sample formats: one file per codec, and what repairs or fills a missing stretch of audio.

Inside a leg audio is G.711 as sent on the wire; linear audio is signed 16-bit little-endian. Open `convert` first.
"""
