"""One file per scenario: each starts a platform of its own, loads it, and returns an `Outcome`."""
