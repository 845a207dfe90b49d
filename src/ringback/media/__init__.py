"""Everything audio: RTP, codecs, playout, the stream WebSocket protocol, and the worker processes that run them.

The server imports `media.control` alone; `media.session` is one leg's audio, sans-IO; `media.worker` is the process.
"""
