"""What settling is asked for, how it ends and what is decided about it; no state of neurons."""
