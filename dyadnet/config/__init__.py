"""Every setting of a run, in one immutable tree. Imports no engine."""
