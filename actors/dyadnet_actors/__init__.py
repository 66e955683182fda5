"""The blocks and the coordinator of dyadnet as Ray actors. Imports dyadnet, never the reverse."""
