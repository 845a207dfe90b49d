"""The settings: `sections` has every one of them, `sources` gathers them from file, environment and flags.

Rooms do not read this one; `server.settings` hands each its part.
"""
