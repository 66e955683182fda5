"""The training loop (minibatches, nudges, epochs, checkpoints) and the training functions that a user calls."""
