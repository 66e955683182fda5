"""From a gradient to weights: optimisers, schedules, and the blocks whose parameters they change."""
