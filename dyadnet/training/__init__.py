"""The loop: minibatches and nudges, epochs, checkpoints, and the calls that a user makes."""
