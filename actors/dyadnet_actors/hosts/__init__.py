"""The computing of one process: a host of blocks, and the memory that hosts of a machine share. No Ray."""
