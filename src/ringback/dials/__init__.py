"""Dialling from a document: the legs that ring for one call, the one that wins, and the bridge between the two."""
