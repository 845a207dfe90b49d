"""Measurements of the whole product and of its parts. `make bench` runs `python -m benchmarks`."""
