"""All settings of a run, in one immutable tree that is read from YAML, Python or the command line.

`RunConfig` holds all values fully resolved. The ``config.yaml`` in a run's folder suffices to repeat the run bit for
bit.
"""

from __future__ import annotations

from typing import Any

from pydantic import model_validator

from dyadnet.config.sections import Settings
from dyadnet.config.validation import check_consistency
from dyadnet.files import documents as document
from dyadnet.registry import Registrations


class RunConfig(Settings):
    """A whole run.

    Attributes
    ----------
    network
        A `dyadnet.Network`, or its fields as plain values.
    baseline
        ``backprop``: train the network's layers by back-propagation instead, for comparison; see
        `dyadnet.baselines.backprop`.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        # The receiving process registers the things that this process has registered, before it reads the rest.
        return _arrived, (Registrations(), type(self), self.__getstate__())

    @model_validator(mode="after")
    def _consistent(self) -> RunConfig:
        check_consistency(self)
        return self

    def sized(self, inputs: int, outputs: int) -> RunConfig:
        """Return the same run, with network sizes taken from the data where the network leaves them open.

        Parameters
        ----------
        inputs, outputs
            Number of features of a sample, and number of classes or target values.

        Raises
        ------
        ConfigError
            If a setting that names neurons does not fit these sizes.
        """
        if not self.network.from_data:
            return self
        sized = self.model_copy(update={"network": self.network.sized(inputs, outputs)})
        return RunConfig.read(sized.model_dump(mode="json"))

    def to_yaml(self) -> str:
        """Return all settings, fully resolved, as YAML that `load` can read."""
        return document.written(self.model_dump(mode="json"))


def _arrived(registrations: Registrations, kind: type[RunConfig], state: dict[Any, Any]) -> RunConfig:
    """Rebuild a configuration in another process, after the things that it names have been registered there."""
    config = kind.__new__(kind)
    config.__setstate__(state)
    return config
