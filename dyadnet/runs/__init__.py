"""What a run tells and leaves: its folder, its record, its weights."""
