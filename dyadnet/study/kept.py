"""What a trial's file may hold beside its row of the table: curves over epochs, Lipschitz constants, the true gap."""

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
"""Test samples about whose equilibria a network is linearised."""
PARTS = ("train", "validation", "test")


class BestWeights:
    """A record that keeps nothing but the weights that were best on validation."""

    name = ""

    def __init__(self) -> None:
        self.parameters: Parameters = {}
        self.couplings: tuple[float, ...] = ()

    def metrics(self, line: dict[str, Any]) -> None:
        """Not kept."""

    def machinery(self, line: dict[str, Any]) -> None:
        """Not kept."""

    def probes(self, relaxation: int, recorded: dict[str, dict[str, NDArray[Any]]]) -> None:
        """Not kept."""

    def trace(self, record: bytes) -> None:
        """Not kept."""

    def event(self, line: dict[str, Any]) -> None:
        """Not kept."""

    def lengths(self) -> dict[str, int]:
        """Of nothing."""
        return {}

    def settle(self) -> None:
        """There is nothing to wait for."""

    def rewind(self, lengths: Mapping[str, int]) -> None:
        """There is nothing to take back."""

    def ended(self, summary: Summary) -> None:
        """The trial's result says how it ended."""

    def save(self, name: str, manifest: dict[str, Any], parameters: Parameters) -> None:
        """Keep the best."""
        if name == "best":
            self.couplings = tuple(manifest["couplings"])
            self.parameters = {
                block: {key: array.copy() for key, array in named.items()} for block, named in parameters.items()
            }


def curves(network: Network, lines: Sequence[Line], seconds: Sequence[float]) -> dict[str, list[Any]]:
    """One list over epochs of each thing that a figure may show.

    Training's loss and accuracy (or R² and errors) are those of the minibatches as the epoch went on, means of the
    compartments; those of the other parts are of the epoch's last weights without a nudge. `saturated` is the part of
    the hidden neurons that the validation part leaves at either bound, `seconds` the time since the trial began.
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
    """What can be said of the best weights once training is over, by what is to be kept."""
    found: dict[str, Any] = {}
    coordinator.engine.load(best.parameters)
    if "generalisation" in keep:
        tally = coordinator.evaluate("train", best.couplings)
        found["generalisation"] = {"loss": tally.loss, **tally.scores}
    if "constants" in keep:
        found["constants"] = _constants(coordinator, dataset, best)
    return found


def _constants(coordinator: Coordinator, dataset: Dataset, best: BestWeights) -> dict[str, Any]:
    """Lipschitz constants without f′ (paper, table 1), and with f′ at the equilibria of test samples."""
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
    """Part of all neurons but the output's that is at either bound."""
    sizes = {name: b.size for name, b in Topology(network).blocks.items() if b.population.name != network.output}
    total: float = sum(blocks[name]["saturated"] * size for name, size in sizes.items())
    return total / max(sum(sizes.values()), 1)
