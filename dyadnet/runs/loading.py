"""Load the data of a run, from the place that its configuration names or from memory."""

from __future__ import annotations

from dyadnet import data as datasets
from dyadnet.config import RunConfig
from dyadnet.data import Data, Dataset, DataShape, Numbers, as_dataset, denoising
from dyadnet.data.memory import check_same
from dyadnet.errors import ConfigError
from dyadnet.learning.early_stopping import monitored
from dyadnet.network.losses import CLASSES, LOSSES, NUMBERS


def load_data(config: RunConfig, given: Data | None = None) -> Dataset:
    """Load the data set of a run, with the targets of its task, limits and normalisation as configured.

    Parameters
    ----------
    given
        Data in memory, which must match the description in the configuration.

    Raises
    ------
    DataError
        If the data cannot be read, hold values that are not finite in the run's dtype, or were in memory and are not
        given.
    ConfigError
        If the given data are not those of the run, or if denoising, normalisation or augmentation is configured for
        data that are not images.
    """
    if given is None:
        dataset = datasets.load(config.data.name, config.data.dir, config.dynamics.dtype)
    else:
        if config.data.memory is None:
            legal = "the run reads its data from there; leave out data="
            raise ConfigError("data.name", config.data.name, legal)
        dataset = in_memory(config, given)
        check_same(config.data.memory, dataset)
    if config.data.noise is not None:
        dataset = denoising(dataset, config.data.noise)
    dataset = dataset.limited(config.data.limit_train, config.data.limit_test)
    dataset = dataset.varied(config.data.augment)
    if not dataset.augment.neutral and dataset.image and dataset.shape and dataset.image[1:] != dataset.shape[1:]:
        found = f"{dataset.name} has images of {dataset.shape} and targets of {dataset.image}"
        raise ConfigError("data.augment", "flip or shift", f"samples and targets of one height and width; {found}")
    return dataset.normalised() if config.data.normalise else dataset


def shape_for(config: RunConfig, dataset: Dataset) -> DataShape:
    """Return the sizes of a run's data; if targets are numbers, with their variance in each part of the data."""
    return dataset.shape_for(config.seed, config.data.validation)


def in_memory(config: RunConfig, given: Data) -> Dataset:
    """Convert data in memory to the data set of a run; see `dyadnet.data.as_dataset`."""
    network = config.network
    # If outputs are images, their number does not tell the number of labels.
    unknown = "outputs" in network.from_data or config.data.task == "denoise"
    return as_dataset(given, config.dynamics.dtype, None if unknown else network.classes)


def check_fit(config: RunConfig, data: DataShape) -> None:
    """Check that network and data fit each other.

    Raises
    ------
    ConfigError
        If they do not; the error names the setting that does not fit.
    """
    for size in config.network.from_data:
        legal = "a number here; dyadnet.train and commands take it from the data, an engine by itself does not"
        raise ConfigError(f"network ({size})", None, legal)
    image = config.network.input_shape
    if image is not None and data.shape not in (None, image):
        legal = f"{data.name} has images of the shape {list(data.shape or ())}"
        raise ConfigError("network.inputs", list(image), legal)
    if config.network.inputs != data.features:
        legal = f"{data.name} has {data.features} features a sample"
        raise ConfigError("network.inputs", list(image or ()) or config.network.inputs, legal)
    if config.network.classes != data.outputs:
        legal = f"{data.name} has {data.outputs} {'classes' if data.numbers is None else 'numbers a target'}"
        raise ConfigError("network.populations (output size)", config.network.classes, legal)
    wanted = CLASSES if data.numbers is None else NUMBERS
    if wanted not in LOSSES[config.network.loss].targets:
        usable = " or ".join(name for name, loss in LOSSES.items() if wanted in loss.targets)
        raise ConfigError("network.loss", config.network.loss, f"the targets of {data.name} are {wanted}; use {usable}")
    stopping = config.learning.early_stopping
    if stopping is not None:
        numbers = data.numbers
        images = numbers is not None and numbers.image is not None
        monitored(stopping.monitor, numbers=numbers is not None, images=images)
    if data.numbers is not None:
        _check_reach(config, data.name, data.numbers)


def _check_reach(config: RunConfig, name: str, numbers: Numbers) -> None:
    """Check that the outputs can reach all targets."""
    network = config.network
    output = network.by_name[network.output]
    low, high = output.f.bounds
    if numbers.lowest < low or numbers.highest > high:
        found = f"the targets of {name} go from {numbers.lowest:.4g} to {numbers.highest:.4g}"
        legal = f"{found}, outputs only from {low:g} to {high:g}; use linear (output_activation), or scale the targets"
        raise ConfigError(f"activation of the output {output.name!r}", output.activation, legal)
