"""Reports: one page that shows a run, or compares several, and needs nothing but itself."""

from dyadnet.reporting.page import report, write

__all__ = ["report", "write"]
