"""Audio streams as a resource: started by `<Stream>` or REST, billed, reported to status callbacks.

Open `service` first. The audio itself and the WebSocket are `media`'s; this room never sees a frame.
"""
