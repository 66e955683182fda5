"""dyadnet: networks of dyadic neurons that settle by exchanging means and differences, and learn from them."""

from dyadnet.config import DataSpec, Learning, RunConfig
from dyadnet.coordinator import Summary
from dyadnet.description import Network, Population, Projection, layered
from dyadnet.dynamics import Dynamics
from dyadnet.errors import ConfigError, DataError, DivergedError, DyadnetError, RunFolderError, UsageError
from dyadnet.train import train

__all__ = [
    "ConfigError",
    "DataError",
    "DataSpec",
    "DivergedError",
    "DyadnetError",
    "Dynamics",
    "Learning",
    "Network",
    "Population",
    "Projection",
    "RunConfig",
    "RunFolderError",
    "Summary",
    "UsageError",
    "layered",
    "train",
]
