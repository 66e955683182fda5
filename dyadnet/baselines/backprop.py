"""Back-propagation in NumPy over the layers of a network, as a baseline for networks of dyads.

Every population is an ordinary layer, s = f(θs_pre + θ₀x + b). Initial weights, minibatches, loss, optimiser and
schedules are those of the run. There is no settling, and there are no β, λ, clocks and delays.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from dyadnet.checkpoint.blocks import find, restore, save
from dyadnet.checkpoint.manifest import File, Manifest
from dyadnet.config import RunConfig
from dyadnet.data import Dataset
from dyadnet.dynamics.block_metrics import BlockState
from dyadnet.dynamics.outcome import COUNTED, BlockReport, Layout, Outcome, Reports, ResourceUsage, numbers_of
from dyadnet.dynamics.request import PhaseOutcome, Relaxation
from dyadnet.dynamics.spectral_radius import Operator
from dyadnet.engines.protocol import PerformanceRecord
from dyadnet.errors import DivergedError
from dyadnet.files.store import Store
from dyadnet.learning.block import Block
from dyadnet.learning.projections import Made
from dyadnet.learning.update import Update
from dyadnet.network.losses import LOSSES
from dyadnet.network.topology import Topology, feedforward_order
from dyadnet.numerics.image_scores import image_scores
from dyadnet.numerics.scores import errors

Array = NDArray[Any]
ONE_PASS = (PhaseOutcome("forward", 1, 1.0, True),)


class BackpropEngine:
    """Implements `dyadnet.engines.protocol.Engine` by one forward and one backward pass, on one thread.

    Parameters
    ----------
    config
        The run's configuration.
    dataset
        Provides inputs and targets.

    Raises
    ------
    ConfigError
        If the network has a cycle or a self-loop, where one backward pass does not suffice.
    """

    def __init__(self, config: RunConfig, dataset: Dataset) -> None:
        self.config = config
        self._dataset = dataset
        self._dtype = np.dtype(config.dynamics.dtype)
        topology = Topology(config.network)
        self._order = feedforward_order(topology)
        optimiser = config.learning.optimiser
        self.blocks = {name: Block(name, topology, config.seed, self._dtype, optimiser) for name in topology.blocks}
        self._loss = LOSSES[config.network.loss]
        self._layout = Layout(topology)
        self._blas = threadpool_limits(limits=1, user_api="blas")
        self._still = {name: _Still(block.spec.size) for name, block in self.blocks.items()}
        self._x: Array = np.empty((0, 0))
        self._targets: Array = np.empty((0, 0))
        self._drives: dict[str, Array] = {}
        self._states: dict[str, Array] = {}
        self._seconds: dict[str, float] = {}

    def relax(self, relaxation: Relaxation) -> Outcome:
        """Pass a minibatch forward; see `Engine.relax`.

        Raises
        ------
        DivergedError
            If a layer is no longer finite.
        """
        started = time.perf_counter()
        part, rows, data = relaxation.part, relaxation.rows, self._dataset
        drawn = self.config.seed, relaxation.epoch
        self._x = data.inputs(part, rows, self._dtype, drawn)
        self._targets = data.targets(data.part(part), rows, self._dtype, drawn)
        for name in self._order:
            block = self.blocks[name]
            drive = np.tile(np.repeat(block.bias, block.spec.population.sharing), (len(self._x), 1))
            for made, pre in self._heard(block):
                drive += made.product(pre)
            if not np.isfinite(drive).all():
                raise DivergedError(name, 1, "its drive is no longer finite")
            self._drives[name] = drive
            self._states[name] = np.asarray(block.activation.value(drive), dtype=self._dtype)
        numbers = np.array([numbers_of(self._report(block)) for block in self.blocks.values()])
        counts = np.zeros((len(self._layout.channels), len(COUNTED)), dtype=np.int64)
        self._spend("relax", started)
        spent = ResourceUsage("process", seconds={"computing": sum(self._seconds.values())})
        layout = self._layout
        reports = Reports(layout.blocks, layout.channels, numbers, counts, (spent,), layout.counted, layout.own)
        return Outcome((ONE_PASS,), reports)

    def learn(self, update: Update) -> None:
        """Pass ∂ℓ/∂a backward and take a step of the optimiser; see `Engine.learn`."""
        started = time.perf_counter()
        self.gradients(update.samples)
        for block in self.blocks.values():
            block.update(update)
        self._spend("learn", started)

    def gradients(self, samples: int) -> dict[str, dict[str, Array]]:
        """Return ∂ℓ/∂θ = δ s_preᵀ of the latest minibatch, mean over samples, by block and parameter.

        δ = f′(a)·∂ℓ/∂s at the output, and f′(a)·Σ θᵀδ_post elsewhere.
        """
        back = {name: np.zeros_like(drive) for name, drive in self._drives.items()}
        output = self.config.network.output
        state = self._states[output]
        back[output] += self._loss.nudge(state, np.zeros_like(state), self._targets)[0]
        for name in reversed(self._order):
            block = self.blocks[name]
            delta = back[name] * block.activation.slope(self._drives[name]) / self._dtype.type(samples)
            block.gradient["bias"][...] = delta.sum(axis=0).reshape(block.spec.biases, -1).sum(axis=1)
            for made, pre in self._heard(block):
                for key, part in made.gradient(delta, pre).items():
                    block.gradient[key][...] = part
                if made is not block.entry:
                    back[made.source] += made.transposed(delta, pre) * self._dtype.type(samples)
        return {name: block.gradient for name, block in self.blocks.items()}

    def _heard(self, block: Block) -> Iterator[tuple[Made, Array]]:
        """Yield each projection to a block, with its presynaptic values."""
        if block.entry is not None:
            yield block.entry, self._x
        for made in block.projections:
            yield made, self._states[made.source]

    def spectral_radius(self, couplings: tuple[float, ...], operator: Operator, iterations: int) -> float:
        """Return 0, because a layer gets no feedback."""
        return 0.0

    def objective(self, beta: float) -> float:
        """Return the loss of the latest minibatch, mean over samples; without a nudge there is no saddle objective."""
        state = self._states[self.config.network.output]
        return float(np.mean(self._loss.value(state, self._targets)))

    def norms(self) -> dict[str, float]:
        """Return the norm of each block's weights; see `Engine.norms`."""
        return {name: block.norm() for name, block in self.blocks.items()}

    def weights_sha256(self) -> str:
        """Return the hash of all weights; see `Engine.weights_sha256`."""
        return hashlib.sha256(b"".join(block.digest() for block in self.blocks.values())).hexdigest()

    def parameters(self) -> dict[str, dict[str, Array]]:
        """Return every block's own arrays, not copies; see `Engine.parameters`."""
        return {name: block.parameters() for name, block in self.blocks.items()}

    def load(self, parameters: Mapping[str, Mapping[str, Array]]) -> None:
        """Set every block's parameters; see `Engine.load`."""
        for name, block in self.blocks.items():
            block.load(parameters[name])

    def find(self, store: Store, nonce: str) -> None:
        """Check that this process sees the file `nonce`; see `Engine.find`."""
        find(store, nonce, "the process")

    def save(self, store: Store, folder: str) -> dict[str, File]:
        """Write every block's file; see `Engine.save`."""
        return {
            name: save(store, folder, block, self._still[name], [self._still[name]])
            for name, block in self.blocks.items()
        }

    def restore(self, store: Store, checkpoint: Manifest) -> None:
        """Restore every block from a checkpoint; see `Engine.restore`."""
        for name, block in self.blocks.items():
            restore(store, checkpoint, block, self._still[name], [self._still[name]])

    def take_probes(self) -> dict[str, dict[str, Any]]:
        """Return nothing, because there are no probes."""
        return {}

    def machinery(self) -> PerformanceRecord:
        """Return the seconds since the last call. There is no traffic."""
        spent, self._seconds = PerformanceRecord(self._seconds, 0, 0), {}
        return spent

    def close(self) -> None:
        """Restore the thread limits of BLAS."""
        self._blas.restore_original_limits()

    def _report(self, block: Block) -> BlockReport:
        drive, state = self._drives[block.name], self._states[block.name]
        loss = correct = squared = absolute = psnr = ssim = None
        if block.is_output:
            loss = float(np.sum(self._loss.value(state, self._targets)))
            correct = int(np.count_nonzero(state.argmax(axis=1) == self._targets.argmax(axis=1)))
            squared, absolute = errors(state, self._targets)
            psnr, ssim = image_scores(state, self._targets, self._dataset.image)
        return BlockReport(
            block=block.name,
            samples=len(state),
            neurons=block.spec.size,
            residual_mean=0.0,
            residual_difference=0.0,
            saturated=float(np.count_nonzero(block.activation.saturated(drive))),
            mean_square=float(np.sum(np.square(state, dtype=np.float64))),
            difference_square=0.0,
            updates=1,
            messages=0,
            values=0,
            stale=0,
            loss=loss,
            correct=correct,
            squared=squared,
            absolute=absolute,
            psnr=psnr,
            ssim=ssim,
            weight_norm=block.measured[0],
            update_norm=block.measured[1],
            own=self._own(block.name),
        )

    def _own(self, name: str) -> tuple[float, ...]:
        """Compute the user-defined metrics. Without a nudge all differences are 0."""
        if not self._layout.own:
            return ()
        A, m = self._drives[name].copy(), self._states[name].copy()
        state = BlockState(name, len(m), A, np.zeros_like(A), m, np.zeros_like(m))
        return tuple(metric.of([state]) for metric in self._layout.own)

    def _spend(self, activity: str, started: float) -> None:
        self._seconds[activity] = self._seconds.get(activity, 0.0) + time.perf_counter() - started


class _Still:
    """Placeholder for the state of a block beside its weights and the optimiser's state, of which there is none."""

    def __init__(self, size: int) -> None:
        self.vector = np.zeros(size)
        self.A: Array = np.zeros((0, size))
        self.continues = False
        self.tick = 1
