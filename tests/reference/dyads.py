"""The neurons of one block, for one lane: two compartments that settle by exchanging means and differences.

A block advances itself. Whoever runs it does three things at every tick t:

1. `receive` every message sent to it so far (the block itself works out when each arrives);
2. `fire(t)`: messages whose arrival is ≤ t are delivered, in the order (arrival, source, sequence), the newest
   send tick winning for each (source, kind); if the clock says so, the drives are recomputed from what is held,
   A and D are updated, then m and d;
3. carry what `fire` returned, sent with tick t, to its targets. Delays are at least 1, so everything within a tick
   is simultaneous and the order in which blocks are visited cannot matter.

`expects(t)` says which messages arrive at t: clocks and delays are drawn from counters, so that nobody needs to be
told that nothing comes.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from dyadnet.dynamics.messages import Kind
from dyadnet.dynamics.probes import Probe
from dyadnet.learning.projections import Synapses
from dyadnet.network.losses import LOSSES
from dyadnet.timing.clocks import Clock
from tests.reference import kernels
from tests.reference.block import Block
from tests.reference.channels import SendingEnd
from tests.reference.clocks import Moment, fires, mask
from tests.reference.course import Averages, Course, Tolerance, relative_residual
from tests.reference.drives import Term, drives, reduced
from tests.reference.history import History, corrections
from tests.reference.history import relax as lead
from tests.reference.mailbox import Expected, Inbound, Mailbox
from tests.reference.messages import Message
from tests.reference.products import Forward, product_transposed
from tests.reference.sender import Sender
from tests.reference.settling import Progress
from tests.reference.turns import Turn, dyadic

Array = NDArray[Any]
InitialState = Literal["zero", "feedforward", "previous"]


class Dyads:
    """One block's neurons for one lane.

    Parameters
    ----------
    block
        Synapses and biases, shared by all lanes.
    clock
        Says at which ticks this block fires.
    inbound
        Every channel that ends here.
    tolerance
        For the stop rule.
    initial
        State before the first tick: all A = 0, a feedforward pass, or what the previous minibatch left.
    outbound
        The sending end of every channel that begins here, by target and kind; ideal ones unless given.
    span
        Firings over which prospective neurons take differences; 0: there are none.

    Attributes
    ----------
    A, D
        Mean and half difference of the pre-activations: a± = A ± D. Shape (batch, n).
    state
        m, and d once a nudge has been heard of: shape (1 or 2, batch, n). Never written again once it is there.
    base
        What stays the same during a relaxation: bias and θ₀x. Shape (batch, n).
    device
        What the present relaxation runs on: the block's device, or an ideal one.
    averages
        Means over the last firings of a phase that says so.
    side, turn
        Which compartments settle, if they take turns, and what is kept of the first; see `dyadnet.timing.alternating`.
    sender
        The sending side of every channel that begins here.
    """

    def __init__(
        self,
        block: Block,
        clock: Clock,
        inbound: Iterable[Inbound],
        tolerance: Tolerance,
        initial: InitialState,
        outbound: Mapping[tuple[str, Kind], SendingEnd] | None = None,
        span: int = 0,
    ) -> None:
        self.block = block
        self.name = block.name
        self.clock = clock
        self.mail = Mailbox(inbound)
        self.loss = LOSSES[block.topology.network.loss]
        self.probe: Probe | None = None
        self.sender = Sender(block, outbound)
        self.course = Course()
        self._stopped = 0
        self._tolerance = tolerance
        self._initial = initial
        self.device = block.hardware
        self.averages = Averages()
        self.side = 0
        self.turn: Turn | None = None
        dtype, size = block.dtype, block.spec.size
        self._dtype = dtype
        self._epsilon = float(np.finfo(dtype).eps)
        self._row = np.empty(size, dtype=dtype)
        self._bits = self._row.view(np.int32 if dtype == np.float32 else np.int64)
        self._magnitude = np.int32(2**31 - 1) if dtype == np.float32 else np.int64(2**63 - 1)
        self._none = np.empty((0, 0), dtype=dtype)
        self.A = np.empty((0, size), dtype=dtype)
        self.D = np.empty_like(self.A)
        self.state = np.empty((1, 0, size), dtype=dtype)
        self.base = np.empty_like(self.A)
        self.inputs: Array | None = None
        self.targets: Array | None = None
        self.beta = 0.0
        self.moment = Moment()
        self._phases: list[tuple[int, Moment]] = []
        self._span = span
        self.gamma = 0.0
        self.history: History | None = None
        self._eta = np.ones(size, dtype=dtype)
        self._forward: dict[str, Forward] = {}

    @property
    def tick(self) -> int:
        """Of the last firing."""
        return self.course.tick

    @property
    def held(self) -> dict[tuple[str, Kind], Message]:
        """The newest message of each (source, kind)."""
        return self.mail.held

    @property
    def readout(self) -> Array:
        """(m, d) or (m,) that is read out and learned from: the average if there is one, else the present state."""
        if self.turn is not None:
            return dyadic(self.turn.state, self.state[0], self.block.sides[self.block.spec.population.name])
        return self.averages.own.value(self._dtype) if self.averages.own.count else self.state

    @property
    def speaks(self) -> bool:
        """Whether there are differences: a nudge has been heard of."""
        return len(self.state) == 2

    # Beginning

    def begin(
        self,
        moment: Moment,
        batch: int,
        step: float,
        inputs: Array | None,
        targets: Array | None,
        gamma: float = 0.0,
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
        gamma
            γ of prospective neurons.
        """
        self.moment = moment
        self.gamma = gamma
        self.history = History(self._span) if gamma > 0 and self._span else None
        self.beta = 0.0
        self.side, self.turn = 0, None
        self._phases = []
        self.device = self.block.hardware
        self.averages = Averages()
        self.device.steps(step, self._eta)
        self.inputs, self.targets = inputs, targets
        if self.block.input_weights is not None and inputs is not None:
            self.base = np.empty((batch, self.block.spec.size), dtype=self._dtype)
            product_transposed(inputs, self.block.input_weights, self.base)
            self.base += self.block.bias
        else:
            self.base = np.repeat(self.block.bias[np.newaxis], batch, axis=0)
        self.mail.begin(moment.relaxation, ideal=self.block.ideal)
        self.course = Course()
        self.sender.begin()
        self._stopped = 0
        self._forward = {}
        self._set_initial_state(batch)
        messages = self._emit(ideal=True)
        self.sender.open(messages)
        return messages

    def enter(self, phase: int, beta: float, first_tick: int, average_from: int | None = None, side: int = 0) -> None:
        """Start a phase at a tick; the states and the messages in flight stay.

        Parameters
        ----------
        average_from
            Tick from which (m, d) are averaged for learning; None: what is there at the stop tick is learned from.
        side
            Which compartments settle; 0: both.
        """
        if self.side:
            self.mail.deliver(first_tick - 1)
            held = {s.source: self.held[s.source, "state"].means for s in self.block.synapses}
            self.turn = Turn(self.state[0], held, self._saturated())
        self.side = side
        self.averages = Averages(average_from)
        self.moment = Moment(self.moment.relaxation, phase, self.moment.lane)
        self.beta = beta
        self._phases = [*self._phases, (first_tick, self.moment)]

    def _saturated(self) -> int:
        return int(np.count_nonzero(self.block.activation.saturated(self.device.seen(self.A))))

    def _set_initial_state(self, batch: int) -> None:
        size = self.block.spec.size
        if self._initial != "previous" or self.A.shape[0] != batch:
            self.A = np.zeros((batch, size), dtype=self._dtype)
        if self._initial == "feedforward":
            # What is held by now are the initial states of the populations that the pass visited before.
            self.A += self.base
            for synapses in self.block.synapses:
                message = self.held.get((synapses.source, "state"))
                if message is not None:
                    self.A += self.product(synapses, message)[0]
        self.D = np.zeros((batch, size), dtype=self._dtype)
        self.state = np.empty((1, batch, size), self._dtype)
        self.block.activation.means(self.device.seen(self.A), self.state[0])

    def place(self, A: Array, D: Array) -> None:
        """Put the neurons into a state of choice, to see what follows from it; neighbours have not heard of it."""
        self.A, self.D = A.astype(self._dtype), D.astype(self._dtype)
        self._take(self._activity(dyadic=True))
        self.course.sequence += 1

    # Time

    def receive(self, message: Message) -> None:
        """Take a message in."""
        self.mail.receive(message)

    def expects(self, tick: int) -> set[Expected]:
        """Every (source, kind, send tick) that arrives at `tick`; the initial states at tick 0."""
        return self.mail.expects(tick, self._moment_at)

    def _moment_at(self, tick: int) -> Moment:
        return next((moment for first, moment in reversed(self._phases) if first <= tick), self.moment)

    def fire(self, tick: int) -> list[Message]:
        """Advance to `tick`; the messages to send, none if the clock does not fire."""
        if not fires(self.clock, tick, self.moment):
            return []
        self.mail.deliver(tick)
        self.course.tick = self.course.fired = tick
        self.course.updates += 1
        self._update()
        return self._emit()

    def deliver(self, tick: int) -> None:
        """Deliver what has arrived by `tick`, without firing: what is learned from at the stop tick."""
        self.mail.deliver(tick)
        self._stopped = tick

    @property
    def age(self) -> int:
        """Ticks from the oldest of the messages that are held to the stop tick; 0 before there is one."""
        return max((self._stopped - message.tick for message in self.held.values()), default=0)

    def announce(self) -> list[Message]:
        """The present state as ideal messages, uncounted and at once: for looking, not for settling."""
        return self._emit(ideal=True)

    def progress(self) -> Progress:
        """How far this block has come, for the stop rule; restarts the largest residual."""
        answer = Progress(self.name, self.course.fired, self.course.over, self.course.worst)
        self.course.worst = 0.0
        return answer

    # Dynamics

    def _update(self) -> None:
        """A ← (1−η)A + ηA*, D ← (1−η)D + ηD*, s± = f(A ± D) (paper, eq. 8 and 10)."""
        course = self.course
        means, differences = drives(self)
        eta = self._eta
        updated = mask(self.clock, course.tick, self.moment)
        if updated is not None:
            eta = eta * updated
        ahead = (None, None) if self.history is None else corrections(self)
        residual, size = self._relax(self.A, self.base, means, eta, ahead[0])
        relative, size_of_differences = 0.0, 0.0
        dyadic = bool(differences) or self.speaks
        if dyadic:
            error, size_of_differences = self._relax(self.D, self._none, differences, eta, ahead[1])
            relative = relative_residual(error, size_of_differences, self._epsilon)
        self._take(self._activity(dyadic=dyadic))
        if self.averages.start is not None:
            held = {s.source: self.held[s.source, "state"].payload for s in self.block.synapses}
            self.averages = self.averages.after(course.tick, self.state, held)
        course.residual, course.relative = residual, relative
        # Written so that NaN is over tolerance too.
        if not (residual <= self._tolerance.mean and relative <= self._tolerance.difference):
            course.over = course.tick
        finite = np.isfinite(size) and np.isfinite(size_of_differences)
        course.worst = max(course.worst, residual if finite else np.inf)
        if self.probe is not None:
            m = self.state[0]
            self.probe.note(course.tick, self.A, self.D, m, self.state[1] if self.speaks else np.zeros_like(m))

    def _activity(self, *, dyadic: bool) -> Array:
        """(m, d) of the present A and D, or (m,) while there are no differences."""
        state = np.empty((1 + dyadic, *self.A.shape), self._dtype)
        A = self.device.seen(self.A)
        if dyadic:
            self.block.activation.compartments(A, self.device.scaled(self.D), state[0], state[1])
        else:
            self.block.activation.means(A, state[0])
        return state

    def _relax(self, X: Array, base: Array, terms: list[Term], eta: Array, ahead: Array | None) -> tuple[float, float]:
        """Move X towards base, terms and what is `ahead`; largest |X*−X| before, without the last, and |X| after."""
        first, scale, second = reduced(terms, self._none)
        if ahead is not None:
            return lead(X, base, first, scale, second, ahead, eta)
        residual, size = kernels.relax(X, base, first, scale, second, eta, self._row, self._bits, self._magnitude)
        return float(residual), float(size)

    def product(self, synapses: Synapses, message: Message) -> Array:
        """θ·m_pre and θ·d_pre, shape (2, batch, n); the second only where the message has differences."""
        product = self._forward.get(synapses.source)
        if product is None:
            shape = (2, message.payload.shape[1], self.block.spec.size)
            product = self._forward[synapses.source] = Forward(np.empty(shape, dtype=self._dtype))
        product.update(message, synapses.weights, synapses.forward)
        return product.arrays

    def _take(self, state: Array) -> None:
        """Replace m and d, and remember since which firing each has had its bits."""
        course = self.course
        upcoming = course.sequence + 1
        if kernels.changes(state[0], self.state[0]):
            course.mean_since = upcoming
        if state.shape[0] == 2 and (not self.speaks or kernels.changes(state[1], self.state[1])):
            course.difference_since = upcoming
        self.state = state

    def _emit(self, targets: Container[str] | None = None, *, ideal: bool = False) -> list[Message]:
        """State to the blocks above, feedback to the blocks below."""
        return self.sender.emit(self.state, self.device, self.course, self.moment, targets, ideal=ideal)

    # Going back

    def snapshot(self) -> dict[str, Any]:
        """All that running on changes; arrays that are never written again are shared, not copied.

        Products are kept too: computed anew, in other company, they could have other bits.
        """
        return {
            "A": self.A.copy(),
            "D": self.D.copy(),
            "state": self.state,
            "beta": self.beta,
            "moment": self.moment,
            "phases": self._phases,
            "course": self.course.copy(),
            "averages": self.averages,
            "side": self.side,
            "turn": self.turn,
            "mail": self.mail.snapshot(),
            "sender": self.sender.snapshot(),
            "forward": {source: product.copy() for source, product in self._forward.items()},
            "history": None if self.history is None else self.history.copy(),
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go back to a snapshot of the same relaxation, which stays good."""
        self.A, self.D = snapshot["A"].copy(), snapshot["D"].copy()
        self.state, self.beta, self.moment = snapshot["state"], snapshot["beta"], snapshot["moment"]
        self._phases = snapshot["phases"]
        self.course = snapshot["course"].copy()
        self.averages = snapshot["averages"]
        self.side, self.turn = snapshot["side"], snapshot["turn"]
        self.mail.restore(snapshot["mail"])
        self.sender.restore(snapshot["sender"])
        self._forward = {source: product.copy() for source, product in snapshot["forward"].items()}
        self.history = None if snapshot["history"] is None else snapshot["history"].copy()
