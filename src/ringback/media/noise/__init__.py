"""Noise suppression for agents: engines behind one interface, and how much of each is heard.

Read `engine`, then `engines`. Nothing here is imported by a worker whose streams do not ask for it.
"""
