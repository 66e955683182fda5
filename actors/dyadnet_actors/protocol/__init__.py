"""Records and pure decisions that hosts and the coordinator share. No Ray."""
