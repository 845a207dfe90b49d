"""Plivo's audio stream protocol without a socket: what goes to the customer's agent, what it may send back.

Open `session` first. Nothing here knows RTP, playout or a loop; the media session and the socket's owner join the two.
"""
