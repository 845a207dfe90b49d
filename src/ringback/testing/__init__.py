"""Tools for tests of Ringback and of applications built on it: a whole platform in a box, agents, tones.

Open `platform` for the pytest plugin, `agent` for the echo application that is also `ringback dev`'s built-in one.
"""
