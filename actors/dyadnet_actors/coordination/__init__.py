"""The coordinator's side: what it asks of hosts, and who keeps it waiting. No Ray."""
