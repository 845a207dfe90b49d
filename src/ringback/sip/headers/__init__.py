"""Structured header values, one file each: text in, typed value out, and back.

Nothing here knows a whole message; open `via` for the pattern that the other files follow.
"""
