"""The interface between the coordinator and an engine."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from numpy.typing import NDArray

from dyadnet.checkpoint.manifest import File, Manifest
from dyadnet.dynamics.outcome import Outcome
from dyadnet.dynamics.request import Relaxation
from dyadnet.dynamics.spectral_radius import Operator
from dyadnet.files.store import Store
from dyadnet.learning.update import Update


@dataclass(frozen=True, slots=True)
class PerformanceRecord:
    """Time and traffic of an engine since the last call of `Engine.machinery`.

    Attributes
    ----------
    seconds
        Seconds by activity, as the coordinator measures them.
    messages, bytes
        Traffic between blocks.
    actors
        Values of each actor: seconds computing, waiting and sending, data sent over the network, and dropped messages;
        in free-running mode also its number of updates and the ages of the messages that it read.
    pace
        In free-running mode, in milliseconds: the mean delay δ (``delay_ms``), its 95 % quantile (``longest_ms``) and
        the time constant T (``time_constant_ms``).
    """

    seconds: Mapping[str, float]
    messages: int
    bytes: int
    actors: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    pace: Mapping[str, float] = field(default_factory=dict)


class Engine(Protocol):
    """Runs the blocks of one network.

    For each minibatch the coordinator calls ``relax``, and then ``learn`` if it is a training minibatch. It calls the
    other methods between minibatches, and ``close`` once at the end.
    """

    def relax(self, relaxation: Relaxation) -> Outcome:
        """Settle one minibatch.

        Raises
        ------
        DivergedError
            If the relaxation diverges or oscillates.
        """

    def learn(self, update: Update) -> None:
        """Apply a Hebbian update to every block, from the latest relaxation."""

    def spectral_radius(self, couplings: tuple[float, ...], operator: Operator, iterations: int) -> float:
        """Estimate ρ of the linear response under these couplings; see `dyadnet.dynamics.spectral_radius`."""

    def objective(self, beta: float) -> float:
        """Return the saddle objective (paper, eq. 4, corrected) of the latest relaxation, mean over samples."""

    def norms(self) -> dict[str, float]:
        """Return the norm of each block's weights, in block order."""

    def weights_sha256(self) -> str:
        """Return the hash of all weights: SHA-256 over the SHA-256 digests of the blocks, in block order."""

    def parameters(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Return the parameters of every block by name; see `dyadnet.learning.block.Block.parameters`."""

    def load(self, parameters: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
        """Set every block's parameters."""

    def find(self, store: Store, nonce: str) -> None:
        """Check that every actor can read the file `nonce` of the shared folder.

        Raises
        ------
        ConfigError
            If an actor does not see it; the error names the actor and its machine.
        """

    def save(self, store: Store, folder: str) -> dict[str, File]:
        """Write the state of every block to a checkpoint's folder, between two minibatches.

        Returns
        -------
        dict
            The written files, by block in block order.

        Raises
        ------
        StoreError
            If a file cannot be written.
        DivergedError
            If a parameter is not finite.
        """

    def restore(self, store: Store, checkpoint: Manifest) -> None:
        """Restore every block from a checkpoint. Pending updates are dropped.

        Raises
        ------
        CheckpointError
            If a file is missing or altered, or belongs to another network.
        """

    def take_probes(self) -> dict[str, dict[str, Any]]:
        """Return the recordings of the probes since the last call, by block."""

    def machinery(self) -> PerformanceRecord:
        """Return seconds and traffic since the last call."""

    def close(self) -> None:
        """Release threads, actors and all other resources."""
