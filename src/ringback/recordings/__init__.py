"""Recordings as a resource: asked for by XML or REST, written by a media worker, kept as files behind secret URLs.

No audio passes here. Open `service.py` first; `completion.py` makes files of what has ended, `files.py` knows the
folder, `mp3.py` runs as a process of its own.
"""
