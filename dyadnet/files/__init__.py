"""Files that may come from anybody: read within bounds, written whole or not at all."""
