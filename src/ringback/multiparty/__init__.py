"""Multiparty calls: agents, customers and supervisors in one room, moderated by rules and by the API.

The audio is mixed in media workers (`media.room`, `media.place`); this room decides who hears whom and when it ends.
"""
