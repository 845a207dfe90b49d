"""The boundary between server and media worker: typed commands one way, typed events the other, never audio.

Open `commands` for what a worker can be told, `events` for what it reports, `port` for what the server's rooms hold.
"""
