"""Learning: optimisers, schedules, and the blocks whose parameters they change."""
