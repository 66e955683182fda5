"""The pure description of a network: what it is made of, never how it is run."""
