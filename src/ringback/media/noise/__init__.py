"""Noise suppression for agents: engines behind one interface, and how much of each is heard.

Read `engine`, then `engines`; `main` is the process that they run in, one beside each worker whose streams ask for it.
"""
