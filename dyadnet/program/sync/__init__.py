"""How processes that share memory keep step: words, slots and verdicts, compiled."""
