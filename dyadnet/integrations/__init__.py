"""Callbacks that connect runs to third-party programs; each requires its own extra."""
