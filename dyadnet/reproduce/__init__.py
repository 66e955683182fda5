"""The paper's table and figures again, and what its outlook proposes: studies whose results are set beside its own."""
