"""Our own resources beside Plivo's: events of a call, health, metrics, version."""
