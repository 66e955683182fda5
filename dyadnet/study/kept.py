"""Optional contents of a trial's file: curves over epochs, Lipschitz constants, scores on the whole training part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.analysis import lipschitz
from dyadnet.analysis.assembled import assemble
from dyadnet.analysis.trained import Trained, ideal, inputs_of
from dyadnet.data import Dataset
from dyadnet.network.description import Network
from dyadnet.network.topology import Topology
from dyadnet.numerics.scores import OF_CLASSES, scores
from dyadnet.runs.record_lines import Line
from dyadnet.runs.summary import Summary
from dyadnet.runs.weights import Parameters
from dyadnet.study.definition import Keep
from dyadnet.training.coordinator import Coordinator

EQUILIBRIA = 5
"""Number of test samples at whose equilibria a network is linearised."""
PARTS = ("train", "validation", "test")


class BestWeights:
    """A record that stores only the weights best on validation; implements `dyadnet.runs.folder.Recorder`."""

    name = ""

    def __init__(self) -> None:
        self.parameters: Parameters = {}
        self.couplings: tuple[float, ...] = ()

    def metrics(self, line: dict[str, Any]) -> None:
        """Ignored."""

    def machinery(self, line: dict[str, Any]) -> None:
        """Ignored."""

    def probes(self, relaxation: int, recorded: dict[str, dict[str, NDArray[Any]]]) -> None:
        """Ignored."""

    def trace(self, record: bytes) -> None:
        """Ignored."""

    def event(self, line: dict[str, Any]) -> None:
        """Ignored."""

    def lengths(self) -> dict[str, int]:
        """Return no lengths, because there are no records."""
        return {}

    def settle(self) -> None:
        """Do nothing, because nothing is written."""

    def rewind(self, lengths: Mapping[str, int]) -> None:
        """Do nothing, because there are no records."""

    def ended(self, summary: Summary) -> None:
        """Do nothing, because the trial's result contains the summary."""

    def save(self, name: str, manifest: dict[str, Any], parameters: Parameters) -> None:
        """Store the best weights."""
        if name == "best":
            self.couplings = tuple(manifest["couplings"])
            self.parameters = {
                block: {key: array.copy() for key, array in named.items()} for block, named in parameters.items()
            }


def curves(network: Network, lines: Sequence[Line], seconds: Sequence[float]) -> dict[str, list[Any]]:
    """Return a list over epochs for each quantity that figures show.

    Loss and accuracy (or R² and errors) of training are those of the minibatches during the epoch, from the means of
    the compartments. Those of the other parts use the epoch's last weights, without a nudge. `saturated` is the
    fraction of hidden neurons at either bound on the validation part; `seconds` is the time since the trial began.
    """
    names = ("loss", *(scores(lines[0]["validation"]) if lines else OF_CLASSES))
    found: dict[str, list[Any]] = {
        f"{part}_{name}": [line[part][name] for line in lines] for part in PARTS for name in names
    }
    found |= {name: [line[name] for line in lines] for name in ("beta", "radius", "lambda")}
    found["sweeps"] = [line["train"]["sweeps"] for line in lines]
    found["capped"] = [line["train"]["capped"] / line["train"]["phases"] for line in lines]
    found["saturated"] = [_hidden(network, line["validation"]["blocks"]) for line in lines]
    return found | {"seconds": list(seconds)}


def examined(coordinator: Coordinator, dataset: Dataset, best: BestWeights, keep: Sequence[Keep]) -> dict[str, Any]:
    """Evaluate the best weights after training, and return the contents selected by `keep`."""
    found: dict[str, Any] = {}
    coordinator.engine.load(best.parameters)
    if "generalisation" in keep:
        tally = coordinator.evaluate("train", best.couplings)
        found["generalisation"] = {"loss": tally.loss, **tally.scores}
    if "constants" in keep:
        found["constants"] = _constants(coordinator, dataset, best)
    return found


def _constants(coordinator: Coordinator, dataset: Dataset, best: BestWeights) -> dict[str, Any]:
    """Return Lipschitz constants without f′ (paper, table 1), and with f′ at the equilibria of test samples."""
    trained = Trained(ideal(coordinator.config, best.couplings), best.parameters)
    try:
        network = assemble(trained.engine.blocks)
        inputs, targets = inputs_of(dataset, "test", np.arange(min(EQUILIBRIA, dataset.sizes.test)))
        slopes = trained.settle(inputs, targets).slopes
        local = lipschitz.local(network, slopes)
        return {
            "linear": asdict(lipschitz.linear(network)),
            "local": {name: float(np.mean([getattr(one, name) for one in local])) for name in ("hidden", "output")},
            "equilibria": len(local),
            "capped": trained.capped,
        }
    finally:
        trained.close()


def _hidden(network: Network, blocks: Mapping[str, Line]) -> float:
    """Return the fraction of all neurons except those of the output that are at either bound."""
    sizes = {name: b.size for name, b in Topology(network).blocks.items() if b.population.name != network.output}
    total: float = sum(blocks[name]["saturated"] * size for name, size in sizes.items())
    return total / max(sum(sizes.values()), 1)
