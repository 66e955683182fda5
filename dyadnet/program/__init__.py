"""A relaxation as a list of events in virtual time, and what executes it, compiled."""
