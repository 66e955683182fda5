"""The data of a run: from where its configuration says, or from memory."""

from __future__ import annotations

from dyadnet import data as datasets
from dyadnet.config import RunConfig
from dyadnet.data import Data, Dataset, DataShape, as_dataset
from dyadnet.data.memory import check_same
from dyadnet.errors import ConfigError


def load_data(config: RunConfig, given: Data | None = None) -> Dataset:
    """The data set of a run, limited as its configuration says.

    Parameters
    ----------
    given
        Data in memory, which must be those that the configuration records.

    Raises
    ------
    DataError
        If it cannot be read, holds numbers that are none in the run's type, or was in memory and is not given.
    ConfigError
        If other data are given than those of the run.
    """
    if given is None:
        dataset = datasets.load(config.data.name, config.data.dir, config.dynamics.dtype)
    else:
        if config.data.memory is None:
            legal = "the run reads its data from there; leave out data="
            raise ConfigError("data.name", config.data.name, legal)
        dataset = in_memory(config, given)
        check_same(config.data.memory, dataset)
    return dataset.limited(config.data.limit_train, config.data.limit_test)


def shape_for(config: RunConfig, dataset: Dataset) -> DataShape:
    """The sizes of a run's data; if targets are numbers, with their variances in the parts that the run makes of it."""
    return dataset.shape_for(config.seed, config.data.validation)


def in_memory(config: RunConfig, given: Data) -> Dataset:
    """Data in memory as the data set of a run; see `dyadnet.data.as_dataset`."""
    network = config.network
    return as_dataset(given, config.dynamics.dtype, None if "outputs" in network.from_data else network.classes)
