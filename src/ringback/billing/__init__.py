"""What a call or stream costs: rounded durations and amounts. Open `cdr` for durations, `rating` for money."""
