"""What one projection does with arrays: its weights, how they begin, and how they are read in both directions."""
