"""Reports: one self-contained HTML page that shows a run or compares several."""

from dyadnet.reporting.page import report, write

__all__ = ["report", "write"]
