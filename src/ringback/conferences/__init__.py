"""Conferences: customers' rooms, who is in them, what they are told about them.

The audio is mixed in media workers (`media.room`); this room decides who hears whom and when it ends.
"""
