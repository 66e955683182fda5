"""The coordinator's side: its questions to hosts, and a monitor of hosts that keep it waiting. No Ray."""
