"""What a program adds of its own, kind by kind."""
