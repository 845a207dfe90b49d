"""The server's end of the media plane: starts workers, drives them, places sessions on them.

It carries no audio and imports none of the audio code. Open `pool` for what the composition root holds.
"""
