"""Every setting of a run, in one immutable tree that is read from YAML, Python or the command line.

`RunConfig` holds everything resolved: what a run's folder keeps as ``config.yaml`` is enough to repeat it bit by bit.
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
        ``backprop``: train the network's layers by back-propagation instead, to compare with; see
        `dyadnet.baselines.backprop`.
    """

    def __reduce__(self) -> tuple[Any, ...]:
        # What this process has registered is registered where the configuration arrives, before the rest is read.
        return _arrived, (Registrations(), type(self), self.__getstate__())

    @model_validator(mode="after")
    def _consistent(self) -> RunConfig:
        check_consistency(self)
        return self

    def sized(self, inputs: int, outputs: int) -> RunConfig:
        """The same run with the sizes of some data where its network takes them from there.

        Parameters
        ----------
        inputs, outputs
            Features of a sample, and classes or numbers of a target.

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
        """Everything resolved, as YAML that `load` reads back."""
        return document.written(self.model_dump(mode="json"))


def _arrived(registrations: Registrations, kind: type[RunConfig], state: dict[Any, Any]) -> RunConfig:
    """A configuration in another process, once what it may name is registered there."""
    config = kind.__new__(kind)
    config.__setstate__(state)
    return config
