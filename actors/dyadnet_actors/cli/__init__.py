"""Commands that need a cluster."""
