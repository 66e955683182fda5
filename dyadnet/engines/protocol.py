"""What the coordinator asks of an engine, and in which order."""

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
    """What an engine spent since it was last asked.

    Attributes
    ----------
    seconds
        By activity, as the coordinator sees it.
    messages, bytes
        Traffic between blocks.
    actors
        Of each actor: seconds computing, waiting and sending, what it sent over the wire, what it dropped; in
        free-running mode also how often it updated, and the ages of what it read.
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

    The coordinator calls ``relax``, then ``learn`` if the minibatch is one to learn from, minibatch after
    minibatch; the other methods between minibatches; ``close`` once, last.
    """

    def relax(self, relaxation: Relaxation) -> Outcome:
        """Settle one minibatch.

        Raises
        ------
        DivergedError
            If the relaxation runs away or circles.
        """

    def learn(self, update: Update) -> None:
        """Every block takes a Hebbian step from the relaxation that has just ended."""

    def spectral_radius(self, couplings: tuple[float, ...], operator: Operator, iterations: int) -> float:
        """ρ of the linear response under these couplings; see `dyadnet.dynamics.spectral_radius`."""

    def objective(self, beta: float) -> float:
        """The saddle objective (paper, eq. 4 as mended) of the relaxation that has just ended, mean over samples."""

    def norms(self) -> dict[str, float]:
        """Norm of each block's weights, in block order."""

    def weights_sha256(self) -> str:
        """Hash of all weights: SHA-256 over the SHA-256 digests of the blocks, in block order."""

    def parameters(self) -> dict[str, dict[str, NDArray[Any]]]:
        """Every block's parameters by name, in block order; see `dyadnet.learning.block.Block.parameters`."""

    def load(self, parameters: Mapping[str, Mapping[str, NDArray[Any]]]) -> None:
        """Give every block its parameters."""

    def find(self, store: Store, nonce: str) -> None:
        """Every actor reads one file of a folder that all are to share.

        Raises
        ------
        ConfigError
            If one does not see it; it names the actor and its machine.
        """

    def save(self, store: Store, folder: str) -> dict[str, File]:
        """Every block's actor writes what the block keeps into a folder of checkpoints, between two minibatches.

        Returns
        -------
        dict
            What was written, by block in block order.

        Raises
        ------
        StoreError
            If one cannot be written.
        DivergedError
            If a parameter is not finite.
        """

    def restore(self, store: Store, checkpoint: Manifest) -> None:
        """Put every block back to a checkpoint, whatever it did since; updates that were not made yet are dropped.

        Raises
        ------
        CheckpointError
            If a file is missing, altered, or of another network.
        """

    def take_probes(self) -> dict[str, dict[str, Any]]:
        """What the probes recorded since this was last called, by block."""

    def machinery(self) -> PerformanceRecord:
        """Seconds and traffic since this was last called."""

    def close(self) -> None:
        """Release threads, actors and whatever else is held."""
