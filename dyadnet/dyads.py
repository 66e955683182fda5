"""The neurons of one block, for one lane: two compartments that settle by exchanging means and differences.

A block advances itself. Whoever runs it, in this process or in an actor, does three things at every tick t:

1. `receive` every message sent to it so far (the block itself works out when each arrives);
2. `fire(t)`: messages whose arrival is ≤ t are delivered, in the order (arrival, source, sequence), the newest
   send tick winning for each (source, kind); if the clock says so, the drives are recomputed from what is held,
   A and D are updated, then m and d;
3. carry what `fire` returned, sent with tick t, to its targets. Delays are at least 1, so everything within a tick
   is simultaneous and the order in which blocks are visited cannot matter.

`expects(t)` says which messages must have been received before `fire(t)`: clocks and delays are drawn from counters,
so that nobody needs to be told that nothing comes.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dyadnet import kernels
from dyadnet.block import Block, Synapses
from dyadnet.channels import ReceivingEnd, SendingEnd
from dyadnet.clocks import Clock, Moment
from dyadnet.losses import LOSSES
from dyadnet.messages import Kind, Message
from dyadnet.probes import Probe
from dyadnet.relaxation import Progress

Array = NDArray[Any]
InitialState = Literal["zero", "feedforward", "previous"]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """When a residual counts as settled: |A*−A|, and |D*−D| relative to the largest |D| of the block."""

    mean: float
    difference: float


@dataclass(slots=True)
class Inbound:
    """The receiving end of one channel of this block, and the clock of the block that sends on it."""

    source: str
    kind: Kind
    order: int
    end: ReceivingEnd
    clock: Clock


@dataclass(slots=True)
class _Product:
    """What a held message makes of the drives, and the streams from which it was last computed."""

    arrays: Array
    mean_since: int = -1
    difference_since: int = -1


@dataclass(slots=True)
class _Feedback:
    """The feedback last sent over one link, reused while the streams behind it do not change."""

    payload: Array | None = None
    mean_since: int = -1
    difference_since: int = -1


class Dyads:
    """One block's neurons for one lane.

    Parameters
    ----------
    block
        Synapses and biases, shared by all lanes.
    lane
        Index of the lane.
    clock
        Says at which ticks this block fires.
    inbound
        Every channel that ends here, in the order that breaks ties between arrivals.
    tolerance
        For the stop rule.
    initial
        State before the first tick: all A = 0, a feedforward pass, or what the previous minibatch left.
    """

    def __init__(
        self,
        block: Block,
        lane: int,
        clock: Clock,
        inbound: list[Inbound],
        tolerance: Tolerance,
        initial: InitialState,
    ) -> None:
        self.block = block
        self.name = block.name
        self.lane = lane
        self.clock = clock
        self.inbound = {(channel.source, channel.kind): channel for channel in inbound}
        self.outbound: dict[tuple[str, Kind], SendingEnd] = {
            **{(axon.target, "state"): SendingEnd() for axon in block.axons},
            **{(synapses.source, "feedback"): SendingEnd() for synapses in block.synapses},
        }
        self.tolerance = tolerance
        self.initial = initial
        self.loss = LOSSES[block.topology.network.loss]
        dtype = block.dtype
        self._dtype = dtype
        self._epsilon = float(np.finfo(dtype).eps)
        self._row = np.empty(block.spec.size, dtype=dtype)
        self._bits = self._row.view(np.int32 if dtype == np.float32 else np.int64)
        self._magnitude = np.int32(2**31 - 1) if dtype == np.float32 else np.int64(2**63 - 1)
        self._none = np.empty((0, 0), dtype=dtype)
        self.A = np.empty((0, block.spec.size), dtype=dtype)
        self.D = np.empty_like(self.A)
        self.payload = np.empty((1, 0, block.spec.size), dtype=dtype)
        self.base = self.A
        self.probe: Probe | None = None
        self.inputs: Array | None = None
        self.targets: Array | None = None
        self.beta = 0.0
        self.moment = Moment()
        self.eta = np.ones(block.spec.size, dtype=dtype)
        self._reset_counts()

    # Beginning ---------------------------------------------------------------------------------------------

    def begin(
        self, moment: Moment, batch: int, step: float, inputs: Array | None, targets: Array | None
    ) -> list[Message]:
        """Start a relaxation: set the initial state and return it as ideal messages of tick 0.

        Parameters
        ----------
        moment
            Number of the relaxation, and this lane.
        batch
            Samples in this lane.
        step
            η of every neuron.
        inputs, targets
            x of shape (batch, features) for a block with an input projection; y of shape (batch, classes) for the
            output block.
        """
        size = self.block.spec.size
        keep = self.initial == "previous" and self.A.shape[0] == batch
        self.moment = moment
        self.beta = 0.0
        self.eta.fill(step)
        self.inputs, self.targets = inputs, targets
        self.base = np.broadcast_to(self.block.bias, (batch, size))
        if self.block.input_weights is not None and inputs is not None:
            self.base = inputs @ self.block.input_weights.T
            self.base += self.block.bias
        else:
            self.base = np.ascontiguousarray(self.base)
        early = {k: held for k, held in self.held.items() if held.tick == 0 and held.relaxation == moment.relaxation}
        self._reset_counts()
        self.held.update(early)
        if not keep:
            self.A = np.zeros((batch, size), dtype=self._dtype)
            if self.initial == "feedforward":
                self.A += self.base
                for synapses in self.block.synapses:
                    message = early.get((synapses.source, "state"))
                    if message is not None:
                        self.A += self._forward(synapses, message).arrays[0]
        self.D = np.zeros((batch, size), dtype=self._dtype)
        self.payload = np.empty((1, batch, size), dtype=self._dtype)
        self.block.activation.means(self.A, self.payload[0])
        self.tick = 0
        return self._emit(ideal=True)

    def enter(self, phase: int, beta: float) -> None:
        """Start a phase; the states and the messages in flight stay."""
        self.moment = Moment(self.moment.relaxation, phase, self.moment.lane)
        self.beta = beta

    # Time --------------------------------------------------------------------------------------------------

    def receive(self, message: Message) -> None:
        """Take a message in; it is delivered when it arrives in virtual time, the initial state at once."""
        channel = self.inbound[message.source, message.kind]
        if message.tick == 0:
            self.held[message.source, message.kind] = message
            return
        moment = Moment(message.relaxation, message.phase, message.lane)
        for arrival, neurons in channel.end.arrivals(message.tick, moment):
            self._received += 1
            heapq.heappush(
                self._pending, (arrival, channel.order, message.sequence, self._received, message, neurons)
            )

    def announce(self) -> list[Message]:
        """The present state as ideal messages, uncounted and at once: for looking, not for settling."""
        return self._emit(ideal=True)

    def hold(self, message: Message) -> None:
        """Take an ideal message in place of what is held."""
        self.held[message.source, message.kind] = message

    def expects(self, tick: int) -> set[tuple[str, Kind, int]]:
        """Every (source, kind, send tick) that must be received before `fire(tick)`, after those of `tick` − 1.

        Only sound within one phase: a message that was sent in an earlier phase counted its draws by that phase.
        """
        due: set[tuple[str, Kind, int]] = set()
        for channel in self.inbound.values():
            for sent in range(max(1, tick - channel.end.largest), tick):
                if not channel.clock.fires(sent, self.moment):
                    continue
                if any(arrival == tick for arrival, _ in channel.end.arrivals(sent, self.moment)):
                    due.add((channel.source, channel.kind, sent))
        return due

    def fire(self, tick: int) -> list[Message]:
        """Advance to `tick`; the messages to send, none if the clock does not fire."""
        if not self.clock.fires(tick, self.moment):
            return []
        self.deliver(tick)
        self.tick = tick
        self.fired = tick
        self.updates += 1
        self._update()
        return self._emit()

    def deliver(self, tick: int) -> None:
        """Deliver every message that has arrived by `tick`."""
        pending = self._pending
        while pending and pending[0][0] <= tick:
            _, _, _, _, message, neurons = heapq.heappop(pending)
            key = (message.source, message.kind)
            held = self.held.get(key)
            if neurons is not None and held is not None:
                self.held[key] = self._merged(held, message, neurons)
            elif held is None or message.tick > held.tick:
                self.held[key] = message
            else:
                self.stale += 1

    def progress(self) -> Progress:
        """How far this block has come, for the stop rule; restarts the largest residual."""
        answer = Progress(self.name, self.fired, self.over, self._worst)
        self._worst = 0.0
        return answer

    # Dynamics ----------------------------------------------------------------------------------------------

    def _update(self) -> None:
        """A ← (1−η)A + ηA*, D ← (1−η)D + ηD*, s± = f(A ± D) (paper, eq. 8 and 10)."""
        means, differences = self._terms()
        eta = self.eta
        mask = self.clock.mask(self.tick, self.moment)
        if mask is not None:
            eta = eta * mask
        residual, size = self._relax(self.A, self.base, means, eta)
        relative, size_of_differences = 0.0, 0.0
        speaks = bool(differences) or self.payload.shape[0] == 2
        if speaks:
            error, size_of_differences = self._relax(self.D, self._none, differences, eta)
            relative = self._relative(error, size_of_differences)
        out = np.empty((2 if speaks else 1, *self.A.shape), dtype=self._dtype)
        if speaks:
            self.block.activation.compartments(self.A, self.D, out[0], out[1])
        else:
            self.block.activation.means(self.A, out[0])
        self._note_changes(out)
        self.payload = out
        self.residual, self.relative_residual = residual, relative
        if not (residual <= self.tolerance.mean and relative <= self.tolerance.difference):
            self.over = self.tick
        if not (np.isfinite(size) and np.isfinite(size_of_differences)):
            residual = np.inf
        self._worst = max(self._worst, residual)
        if self.probe is not None:
            self.probe.record(self)

    def _terms(self) -> tuple[list[tuple[Array, float]], list[tuple[Array, float]]]:
        """Terms of A* (beside the base) and of D*, each an array and its factor, from what is held."""
        means: list[tuple[Array, float]] = []
        differences: list[tuple[Array, float]] = []
        for synapses in self.block.synapses:
            message = self.held[synapses.source, "state"]
            product = self._forward(synapses, message)
            means.append((product.arrays[0], 1.0))
            if message.difference:
                differences.append((product.arrays[1], synapses.coupling))
        for axon in self.block.axons:
            message = self.held[axon.target, "feedback"]
            if message.mean:
                means.append((message.means, 1.0))
            if message.difference:
                differences.append((message.differences, 1.0))
        if self.beta and self.targets is not None:
            m = self.payload[0]
            d = self.payload[1] if self.payload.shape[0] == 2 else np.zeros_like(m)
            mean, difference = self.loss.nudge(m, d, self.targets)
            means.append((difference, -self.beta))
            differences.append((mean, -self.beta))
        return means, differences

    def _relax(self, X: Array, base: Array, terms: list[tuple[Array, float]], eta: Array) -> tuple[float, float]:
        first, scale, second = self._none, 1.0, self._none
        terms = sorted(terms, key=lambda term: term[1] == 1.0)
        if len(terms) > 2 or (len(terms) == 2 and terms[1][1] != 1.0):
            total = terms[0][0] * X.dtype.type(terms[0][1])
            for array, factor in terms[1:]:
                total += array if factor == 1.0 else array * X.dtype.type(factor)
            first = total
        else:
            if terms:
                first, scale = terms[0]
            if len(terms) == 2:
                second = terms[1][0]
        residual, size = kernels.relax(X, base, first, scale, second, eta, self._row, self._bits, self._magnitude)
        return float(residual), float(size)

    def _relative(self, error: float, size: float) -> float:
        # Rounding of an activity near 1 is no error of the difference.
        error = error - self._epsilon if error > self._epsilon else 0.0 if error <= self._epsilon else error
        if error == 0.0:
            return 0.0
        return error / size if size > 0 else float("inf")

    def _forward(self, synapses: Synapses, message: Message) -> _Product:
        """θ m_pre and θ d_pre of a held message; a stream that did not change costs no product again."""
        product = self._products.get(synapses.source)
        batch = message.payload.shape[1]
        if product is None:
            product = _Product(np.empty((2, batch, self.block.spec.size), dtype=self._dtype))
            self._products[synapses.source] = product
        mean = message.mean_since != product.mean_since
        difference = message.difference and message.difference_since != product.difference_since
        transposed = synapses.weights.T
        if mean and difference:
            stacked = message.payload.reshape(2 * batch, -1)
            np.matmul(stacked, transposed, out=product.arrays.reshape(2 * batch, -1))
        elif mean:
            np.matmul(message.means, transposed, out=product.arrays[0])
        elif difference:
            np.matmul(message.differences, transposed, out=product.arrays[1])
        product.mean_since = message.mean_since
        if difference:
            product.difference_since = message.difference_since
        return product

    # Sending -----------------------------------------------------------------------------------------------

    def _emit(self, *, ideal: bool = False) -> list[Message]:
        if not ideal:
            self.sequence += 1
        out: list[Message] = []
        speaks = self.payload.shape[0] == 2
        for axon in self.block.axons:
            difference = speaks and axon.coupling != 0
            payload = self.payload if difference or not speaks else self.payload[:1]
            out.append(self._message(axon.target, "state", payload, True, difference))
        for synapses in self.block.synapses:
            mean = synapses.coupling != 0
            payload = self._feedback(synapses, mean, speaks)
            out.append(self._message(synapses.source, "feedback", payload, mean, speaks))
        if ideal:
            return out
        self.messages += len(out)
        self.values += sum(message.payload.size for message in out)
        return [self.outbound[message.target, message.kind].send(message) for message in out]

    def _feedback(self, synapses: Synapses, mean: bool, difference: bool) -> Array:
        """κθᵀm and θᵀd for the block below, shape (streams, batch, n_pre)."""
        last = self._sent.setdefault(synapses.source, _Feedback())
        streams = mean + difference
        batch = self.A.shape[0]
        old = last.payload
        same_mean = not mean or (old is not None and last.mean_since == self.mean_since)
        same_difference = not difference or (
            old is not None and old.shape[0] == streams and last.difference_since == self.difference_since
        )
        if old is not None and same_mean and same_difference and old.shape[0] == streams:
            return old
        payload = np.empty((streams, batch, synapses.weights.shape[1]), dtype=self._dtype)
        if mean and difference and not same_mean and not same_difference:
            np.matmul(self.payload.reshape(2 * batch, -1), synapses.weights, out=payload.reshape(2 * batch, -1))
            _scale(payload[0], synapses.coupling)
        else:
            if mean:
                if same_mean and old is not None:
                    payload[0] = old[0]
                elif self.sequence == 0 and not self.payload.any():
                    payload[0] = 0
                else:
                    np.matmul(self.payload[0], synapses.weights, out=payload[0])
                    _scale(payload[0], synapses.coupling)
            if difference:
                if same_difference and old is not None:
                    payload[-1] = old[-1]
                else:
                    np.matmul(self.payload[1], synapses.weights, out=payload[-1])
        last.payload = payload
        last.mean_since, last.difference_since = self.mean_since, self.difference_since
        return payload

    def _message(self, target: str, kind: Kind, payload: Array, mean: bool, difference: bool) -> Message:
        moment = self.moment
        return Message(
            source=self.name,
            target=target,
            kind=kind,
            tick=self.tick,
            sequence=self.sequence,
            relaxation=moment.relaxation,
            phase=moment.phase,
            lane=moment.lane,
            payload=payload,
            mean=mean,
            difference=difference,
            mean_since=self.mean_since,
            difference_since=self.difference_since,
        )

    def _note_changes(self, out: Array) -> None:
        """Remember since which firing each stream has had its bits."""
        upcoming = self.sequence + 1
        if kernels.changes(out[0], self.payload[0]):
            self.mean_since = upcoming
        if out.shape[0] == 2 and (self.payload.shape[0] == 1 or kernels.changes(out[1], self.payload[1])):
            self.difference_since = upcoming

    def _merged(self, held: Message, message: Message, neurons: NDArray[np.bool_]) -> Message:
        """What is held once some neurons of a newer message have arrived; newest wins for each neuron."""
        self._merges -= 1
        streams = max(held.payload.shape[0], message.payload.shape[0])
        payload = np.zeros((streams, *message.payload.shape[1:]), dtype=self._dtype)
        payload[: held.payload.shape[0]] = held.payload
        payload[: message.payload.shape[0], :, neurons] = message.payload[:, :, neurons]
        return Message(
            source=message.source,
            target=message.target,
            kind=message.kind,
            tick=max(held.tick, message.tick),
            sequence=message.sequence,
            relaxation=message.relaxation,
            phase=message.phase,
            lane=message.lane,
            payload=payload,
            mean=message.mean or held.mean,
            difference=message.difference or held.difference,
            mean_since=self._merges,
            difference_since=self._merges,
        )

    # Learning and looking ----------------------------------------------------------------------------------

    def contrasts(self) -> Iterator[tuple[str, tuple[Array, ...]]]:
        """The factors of −β times the gradient (paper, eq. 5) of this lane, by parameter name.

        A pair (left, right) stands for leftᵀ·right, a single array for itself.
        """
        m = self.payload[0]
        d = self.payload[1] if self.payload.shape[0] == 2 else np.zeros_like(m)
        if self.block.input_weights is not None and self.inputs is not None:
            yield "input", (d, self.inputs)
        for synapses in self.block.synapses:
            held = self.held[synapses.source, "state"]
            if synapses.coupling and held.difference:
                left = np.concatenate((d, m if synapses.coupling == 1 else m * m.dtype.type(synapses.coupling)))
                yield synapses.source, (left, held.payload.reshape(-1, held.payload.shape[2]))
            else:
                yield synapses.source, (d, held.means)
        yield "bias", (d.sum(axis=0),)

    def snapshot(self) -> dict[str, Any]:
        """All that running on changes; arrays that are never written again are shared, not copied."""
        state = {key: value for key, value in self.__dict__.items() if key in _MUTABLE}
        state |= {"A": self.A.copy(), "D": self.D.copy(), "held": dict(self.held), "_pending": list(self._pending)}
        state["_products"] = {}
        state["_sent"] = {}
        return state

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go back to a snapshot of the same relaxation; products are computed anew when needed."""
        self.__dict__.update(snapshot)
        self.A, self.D = snapshot["A"].copy(), snapshot["D"].copy()
        self.held, self._pending = dict(snapshot["held"]), list(snapshot["_pending"])
        self._products, self._sent = {}, {}

    def _reset_counts(self) -> None:
        self.held: dict[tuple[str, Kind], Message] = {}
        self._pending: list[tuple[int, int, int, int, Message, NDArray[np.bool_] | None]] = []
        self._products: dict[str, _Product] = {}
        self._sent: dict[str, _Feedback] = {}
        self.tick = self.fired = self.over = 0
        self.sequence = self.mean_since = self.difference_since = 0
        self.updates = self.messages = self.values = self.stale = 0
        self._received = 0
        self._merges = -1
        self.residual = self.relative_residual = self._worst = 0.0


_MUTABLE = frozenset(
    {
        "payload",
        "moment",
        "beta",
        "tick",
        "fired",
        "over",
        "sequence",
        "mean_since",
        "difference_since",
        "updates",
        "messages",
        "values",
        "stale",
        "_received",
        "_merges",
        "residual",
        "relative_residual",
        "_worst",
    }
)


def _scale(array: Array, coupling: float) -> None:
    if coupling == -1.0:
        np.negative(array, out=array)
    elif coupling != 1.0:
        array *= array.dtype.type(coupling)
