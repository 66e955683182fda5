"""All settings of a run, in one immutable tree. This package imports no engine."""

from dyadnet.config.run import RunConfig
from dyadnet.config.sections import ClusterSpec, DataSpec, InitSpec, Learning, Port, ProbeSpec, RecordSpec

__all__ = ["ClusterSpec", "DataSpec", "InitSpec", "Learning", "Port", "ProbeSpec", "RecordSpec", "RunConfig"]
