"""Ringback: a self-hosted voice cloud for AI agents, compatible with Plivo's Calls and Audio Streams APIs.

Start at ARCHITECTURE.md for the map, `ringback.server.node` for the composition root, `ringback.callflow` for what a
customer's XML does, `ringback.media.session` for one leg's audio.
"""

__version__ = "0.1.0"
