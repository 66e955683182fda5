"""Access to files that may come from untrusted sources: reads are bounded, writes are atomic."""
