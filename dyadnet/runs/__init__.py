"""The output of a run: progress reports, its folder, its record and its weights."""
