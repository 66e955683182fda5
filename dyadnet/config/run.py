"""Every setting of a run, in one immutable tree that is read from YAML, Python or the command line.

`RunConfig` holds everything resolved: what a run's folder keeps as ``config.yaml`` is enough to repeat it bit by bit.
"""

from __future__ import annotations

from pydantic import model_validator

from dyadnet.config.sections import Settings
from dyadnet.config.validation import check_consistency
from dyadnet.files import documents as document


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
