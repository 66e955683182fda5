"""dyadnet: networks of dyadic neurons that settle by exchanging means and differences, and learn from them."""

from dyadnet.process import signals as signals  # first of all: what is still to be loaded takes a second

# isort: split
from importlib.metadata import version as _version

from dyadnet.config import ClusterSpec, DataSpec, InitSpec, Learning, ProbeSpec, RecordSpec, RunConfig
from dyadnet.config.checkpoints import CheckpointSpec
from dyadnet.config.dynamics import Dynamics, FreeRunning
from dyadnet.config.metrics import MetricsSpec
from dyadnet.config.recovery import RecoverySpec
from dyadnet.data import Dataset, Split
from dyadnet.errors import (
    CallbackError,
    CheckpointError,
    ConfigError,
    DataError,
    DivergedError,
    DyadnetError,
    RunFolderError,
    StoppedError,
    UsageError,
)
from dyadnet.imperfections.channel import Channel
from dyadnet.imperfections.device import Device
from dyadnet.imperfections.network import Imperfections
from dyadnet.learning.optimisers import SGD, Adam, Momentum
from dyadnet.network.description import Network, Population, Projection, layered
from dyadnet.network.layers import from_layers
from dyadnet.registry import register
from dyadnet.runs.status import Status
from dyadnet.runs.summary import Summary
from dyadnet.training.api import resume, train
from dyadnet.training.callbacks import Callback, EarlyStopping
from dyadnet.training.evaluation import evaluate
from dyadnet.training.run import Run, load

__version__ = _version("dyadnet")
__all__ = [
    "SGD",
    "Adam",
    "Callback",
    "CallbackError",
    "Channel",
    "CheckpointError",
    "CheckpointSpec",
    "ClusterSpec",
    "ConfigError",
    "DataError",
    "DataSpec",
    "Dataset",
    "Device",
    "DivergedError",
    "DyadnetError",
    "Dynamics",
    "EarlyStopping",
    "FreeRunning",
    "Imperfections",
    "InitSpec",
    "Learning",
    "MetricsSpec",
    "Momentum",
    "Network",
    "Population",
    "ProbeSpec",
    "Projection",
    "RecordSpec",
    "RecoverySpec",
    "Run",
    "RunConfig",
    "RunFolderError",
    "Split",
    "Status",
    "StoppedError",
    "Summary",
    "UsageError",
    "__version__",
    "evaluate",
    "from_layers",
    "layered",
    "load",
    "register",
    "resume",
    "train",
]
