"""Programs: what a free-running block does, compiled."""
