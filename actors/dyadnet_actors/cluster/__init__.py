"""All that starts, finds and ends Ray actors."""
