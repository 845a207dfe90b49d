"""Endpoints: the names and passwords with which phones may register.

Open `endpoint` for what an endpoint is. Registration itself stands in signalling.
"""
