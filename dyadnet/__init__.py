"""dyadnet: networks of dyadic neurons that settle by exchanging means and differences, and learn from them."""

from dyadnet.process import signals as signals  # first of all: what is still to be loaded takes a second

# isort: split
from dyadnet.config import DataSpec, Learning, RunConfig
from dyadnet.config.dynamics import Dynamics
from dyadnet.data import Dataset, Split
from dyadnet.errors import (
    CallbackError,
    ConfigError,
    DataError,
    DivergedError,
    DyadnetError,
    RunFolderError,
    UsageError,
)
from dyadnet.network.description import Network, Population, Projection, layered
from dyadnet.registry import register
from dyadnet.runs.summary import Summary
from dyadnet.training.api import resume, train
from dyadnet.training.callbacks import Callback, EarlyStopping
from dyadnet.training.evaluation import evaluate
from dyadnet.training.run import Run, load

__all__ = [
    "Callback",
    "CallbackError",
    "ConfigError",
    "DataError",
    "DataSpec",
    "Dataset",
    "DivergedError",
    "DyadnetError",
    "Dynamics",
    "EarlyStopping",
    "Learning",
    "Network",
    "Population",
    "Projection",
    "Run",
    "RunConfig",
    "RunFolderError",
    "Split",
    "Summary",
    "UsageError",
    "evaluate",
    "layered",
    "load",
    "register",
    "resume",
    "train",
]
