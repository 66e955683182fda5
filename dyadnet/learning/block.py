"""A block: synapses, biases, optimiser state, and the Hebbian learning of a slice of one population.

Synapses live with the postsynaptic block, as in a crossbar that is read from both sides: forward for the block's own
drive, transposed for the feedback that it sends down. The state of the neurons differs between lanes, so it is in the
lanes of `dyadnet.program`. A block knows its neighbours by name only.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.errors import DyadnetError, RunFolderError
from dyadnet.imperfections.device import Device
from dyadnet.imperfections.realized import DeviceModel, programmed
from dyadnet.learning.optimisers import Optimiser, State
from dyadnet.learning.projections import Axon, CalledSynapses, Initialisation, Made, Synapses, made
from dyadnet.learning.update import Update
from dyadnet.network.topology import Topology
from dyadnet.numerics.hashing import digest
from dyadnet.numerics.rng import Stream
from dyadnet.numerics.sums import added

Array = NDArray[Any]


@dataclass
class Block:
    """One block of the network.

    Parameters
    ----------
    name
        Name of the block in the topology.
    topology
        All blocks and links; only those that touch this block are kept.
    seed
        The run's seed, for the initial weights.
    dtype
        float32 or float64.
    optimiser
        Optimiser of weights and biases.
    device
        Imperfections of its neurons and synapses.

    Attributes
    ----------
    projections
        Its parts of the projections that end here, except those from the input, in the order of the description.
    entry
        Its part of θ₀; None if it does not read the input.
    synapses, called
        The compiled ones of `projections`; and those that are computed in Python, together with `entry`.
    measured
        Norms of the synapses and of their change, at the latest measured update.
    agreement
        Latest comparison of a contrast with the exact gradient: their scalar product, and the squared norms of both.
    """

    name: str
    topology: Topology
    seed: int
    dtype: np.dtype[Any]
    optimiser: Optimiser
    device: Device = field(default_factory=Device)
    states: dict[str, State] = field(default_factory=dict, init=False)

    def __post_init__(self) -> None:
        network = self.topology.network
        self.spec = self.topology.blocks[self.name]
        self.activation = self.spec.population.f
        self.actual = DeviceModel(self.device, self.seed, self.spec, self.dtype)
        self.ideal_device = DeviceModel(Device(), self.seed, self.spec, self.dtype)
        indices = {projection.name: index for index, projection in enumerate(network.recurrent)}
        run = Initialisation(network, self.seed, self.dtype, self.device.mismatch)
        self.projections: list[Made] = [
            made(self.spec, link.projection, link, indices[link.projection.name], run)
            for link in self.topology.afferent(self.name)
        ]
        source = self.topology.input_projection(self.name)
        self.entry = None if source is None else made(self.spec, source, None, -1, run)
        self.synapses = [one for one in self.projections if isinstance(one, Synapses)]
        self.axons = [
            Axon(link, link.projection.coupling, indices[link.projection.name])
            for link in self.topology.efferent(self.name)
        ]
        entries = [] if self.entry is None else [self.entry]
        self.called = [one for one in [*entries, *self.projections] if isinstance(one, CalledSynapses)]
        self.bias = np.full(self.spec.biases, network.bias, dtype=self.dtype)
        self._programme()
        for key, weights in self.parameters().items():
            self.states[key] = self._state(weights)
        self.gradient = {key: np.empty_like(weights) for key, weights in self.parameters().items()}
        self.measured: tuple[float | None, float | None] = (None, None)
        self.agreement: tuple[float, float, float] | None = None
        self._exact: dict[str, Array] | None = None

    @property
    def is_output(self) -> bool:
        """Whether this block is nudged."""
        return self.spec.population.name == self.topology.network.output

    def parameters(self) -> dict[str, Array]:
        """Return every learned array by name, in the documented order: θ₀, then θ by projection and pre block, then
        bias.

        θ has the name of the pre block. A parameter of a user's own projection kind is named ``<block>.<name>``. The
        arrays are the block's own, not copies. Call `refresh` after writing to one.
        """
        return {key: array for arrays in self.by_source().values() for key, array in arrays.items()}

    def by_source(self) -> dict[str, dict[str, Array]]:
        """Return `parameters` by presynaptic block, ``input`` or ``bias``, in the same order."""
        found: dict[str, dict[str, Array]] = {}
        for one in self._all():
            found[one.source] = one.parameters()
        found["bias"] = {"bias": self.bias}
        return found

    def couple(self, couplings: Sequence[float]) -> None:
        """Set κ of every projection that touches this block."""
        ends: list[Made | Axon] = [*self.projections, *self.axons]
        for end in ends:
            end.coupling = couplings[end.projection_index]

    def update(self, update: Update) -> None:
        """Take one step along `gradient`. If `update.measured`, record the norms of synapses and of their change."""
        before = {key: weights.copy() for key, weights in self.parameters().items()} if update.measured else {}
        gradients = self.gradient
        if self._exact is not None:
            pairs = [(gradients[key], exact) for key, exact in self._exact.items()]
            product = added(_product(one, other) for one, other in pairs)
            self.agreement = (
                product,
                added(_square(one) for one, _ in pairs),
                added(_square(other) for _, other in pairs),
            )
            self._exact = None
        for key, weights in self.parameters().items():
            state = self.states[key]
            known = _form(state) if self.optimiser.form is None else None
            self.optimiser.step(weights, gradients[key], state, update.rate, update.count, decay=key != "bias")
            if known is not None:
                # A state array must not share memory with the gradient, which will be overwritten.
                shared = weights, gradients[key]
                state |= {name: _own(np.asarray(value), shared) for name, value in state.items()}
                if _form(state) != known:
                    form = f"{known} before and {_form(state)} after its step"
                    raise DyadnetError(
                        f"optimiser {self.optimiser.kind!r}: its state was {form}; it has to keep its form"
                    )
        self._programme(update.count)
        if before:
            change = added(_square(w - before[key]) for key, w in self.parameters().items() if key != "bias")
            self.measured = (self.norm(), float(np.sqrt(change)))

    def keep(self) -> None:
        """Keep a copy of `gradient`, to which the gradient of the next update is compared."""
        self._exact = {key: gradient.copy() for key, gradient in self.gradient.items()}

    @property
    def needs_attention(self) -> bool:
        """Whether an update needs more than a step of the optimiser."""
        return self._exact is not None or not self.device.weights.ideal()

    def adopt(
        self,
        offsets: Mapping[str, int],
        weights: Array,
        gradient: Array,
        backward: Array | None,
        forward: Array,
        states: Mapping[str, Array],
    ) -> None:
        """Move parameters, gradient and the optimiser's state into arrays that are shared by many blocks.

        Parameters
        ----------
        offsets
            Offset of each parameter, the same in each of the arrays.
        backward
            Destination of synapses as feedback reads them; None if backward synapses equal the forward ones everywhere.
        forward
            Destination of transposed synapses.
        states
            Destination of the optimiser's state, by name. State arrays of other names stay where they are.
        """

        def moved(array: Array, into: Array, key: str) -> Array:
            place = into[offsets[key] : offsets[key] + array.size].reshape(array.shape)
            place[...] = array
            return place

        for one in self._all():
            one.adopt(moved, weights, backward, forward)
        self.bias = moved(self.bias, weights, "bias")
        for key, array in self.gradient.items():
            self.gradient[key] = moved(array, gradient, key)
            kept = self.states[key]
            self.states[key] = kept | {name: moved(kept[name], there, key) for name, there in states.items()}

    def _state(self, weights: Array) -> State:
        state = {name: np.asarray(value) for name, value in self.optimiser.start(weights).items()}
        for name, array in state.items():
            if array.dtype.kind not in "biuf":
                what = f"{name!r} of its state is of type {array.dtype}; it has to be an array of numbers"
                raise DyadnetError(f"optimiser {self.optimiser.kind!r}: {what}")
        return state

    def refresh(self) -> None:
        """Update derived arrays after a change of the weights."""
        for one in self._all():
            one.refresh()

    def norm(self) -> float:
        """Return the Frobenius norm of all synapses of this block, including those from the input."""
        return float(np.sqrt(added(_square(w) for key, w in self.parameters().items() if key != "bias")))

    def digest(self) -> bytes:
        """Return the SHA-256 over this block's parameters as little-endian bytes, in the order of `parameters`."""
        return digest(self.parameters())

    def load(self, arrays: Mapping[str, Array]) -> None:
        """Set parameters by name.

        Raises
        ------
        RunFolderError
            If a name is missing or a shape differs, because the weights belong to another network.
        """
        for key, weights in self.parameters().items():
            if key not in arrays or arrays[key].shape != weights.shape:
                found = arrays[key].shape if key in arrays else "nothing"
                raise RunFolderError(
                    f"block {self.name}: parameter {key!r} should have shape {weights.shape}, found {found}; "
                    "these are weights of another network"
                )
            weights[...] = arrays[key]
        self._programme()

    def snapshot(self) -> dict[str, Any]:
        """Return copies of everything that learning changes."""
        return {
            "parameters": {key: weights.copy() for key, weights in self.parameters().items()},
            "states": {key: {k: a.copy() for k, a in state.items()} for key, state in self.states.items()},
        }

    def restore(self, snapshot: Mapping[str, Any]) -> None:
        """Restore the state of a snapshot."""
        for key, weights in self.parameters().items():
            weights[...] = snapshot["parameters"][key]
        for key, state in self.states.items():
            for name, array in state.items():
                array[...] = snapshot["states"][key][name]
        self._exact = None
        self.refresh()

    def _programme(self, count: int | None = None) -> None:
        """Program the synapses into the device: round to the nearest level, or stochastically for update `count`."""
        precision = self.device.weights
        if not precision.ideal():
            for one in self._all():
                if isinstance(one, Synapses):
                    draws = None if count is None else Stream(self.seed, "programming", self.name, one.source)
                    programmed(one.weights, precision, one.projection, one.fan_in, draws, count or 0)
        self.refresh()

    @property
    def input_weights(self) -> Array | None:
        """θ₀ if it is dense, else None."""
        return self.entry.weights if isinstance(self.entry, Synapses) and self.entry.plan is None else None

    def _all(self) -> Iterator[Made]:
        """Yield its parts of all projections that end here, the one from the input first."""
        if self.entry is not None:
            yield self.entry
        yield from self.projections


def _own(array: Array, others: Sequence[Array]) -> Array:
    """Return the array, or a copy if it shares memory with others."""
    return array.copy() if any(np.may_share_memory(array, other) for other in others) else array


def _form(state: State) -> dict[str, tuple[str, tuple[int, ...]]]:
    """Return type and shape of all arrays of an optimiser's state. A checkpoint must match them."""
    return {name: (array.dtype.name, array.shape) for name, array in state.items()}


def _square(array: Array) -> float:
    flat = array.reshape(-1).astype(np.float64)
    return float(flat @ flat)


def _product(one: Array, other: Array) -> float:
    return float(one.reshape(-1).astype(np.float64) @ other.reshape(-1).astype(np.float64))
