"""What a block's neurons send in one lane: state to the blocks above, feedback to the blocks below.

Streams that κ makes zero are left out, and a product of a stream that has not changed is not computed again.
"""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from dyadnet.dynamics.messages import Kind
from dyadnet.learning.projections import Synapses
from tests.reference.block import Block
from tests.reference.channels import SendingEnd
from tests.reference.clocks import Moment
from tests.reference.course import Course
from tests.reference.devices import Hardware
from tests.reference.messages import Message
from tests.reference.products import Feedback

Array = NDArray[Any]


class Sender:
    """The sending side of every channel that begins at one block's neurons.

    Parameters
    ----------
    block
        Whose neurons.
    outbound
        The sending end of every channel, by target and kind; ideal ones unless given.

    Attributes
    ----------
    feedback
        By target, the products that are sent there.
    """

    def __init__(self, block: Block, outbound: Mapping[tuple[str, Kind], SendingEnd] | None = None) -> None:
        self.outbound: dict[tuple[str, Kind], SendingEnd] = {
            **{(axon.link.post.name, "state"): SendingEnd() for axon in block.axons},
            **{(synapses.source, "feedback"): SendingEnd() for synapses in block.synapses},
            **(outbound or {}),
        }
        self.feedback: dict[str, Feedback] = {}
        self._block = block

    def begin(self) -> None:
        """Start a relaxation."""
        for end in self.outbound.values():
            end.begin(ideal=self._block.ideal)
        self.feedback = {}

    def open(self, messages: Sequence[Message]) -> None:
        """Take note of the initial states, which went out as ideal messages."""
        for message in messages:
            self.outbound[message.target, message.kind].open(message)

    def emit(
        self,
        state: Array,
        device: Hardware,
        course: Course,
        moment: Moment,
        targets: Container[str] | None = None,
        *,
        ideal: bool = False,
    ) -> list[Message]:
        """Messages with a state; ideal ones are neither counted nor changed.

        Parameters
        ----------
        state
            m, and d once there is one: shape (1 or 2, batch, n).
        device, course, moment
            What the neurons run on, how far they are, and in which relaxation.
        targets
            Blocks to send to; all neighbours unless given.
        """
        if not ideal:
            course.sequence += 1
        speaks = len(state) == 2
        out: list[Message] = []
        for axon in self._block.axons:
            if targets is not None and axon.link.post.name not in targets:
                continue
            difference = speaks and axon.coupling != 0
            payload = state if difference or not speaks else state[:1]
            out.append(self._message(axon.link.post.name, "state", payload, True, difference, course, moment))
        for synapses in self._block.synapses:
            if targets is not None and synapses.source not in targets:
                continue
            feedback = self.feedback.setdefault(synapses.source, Feedback())
            payload = feedback.update(
                state,
                course.mean_since,
                course.difference_since,
                self._block.backward(synapses),
                synapses.coupling,
            )
            mean = synapses.coupling != 0
            message = self._message(synapses.source, "feedback", payload, mean, speaks, course, moment)
            if device.reads and not ideal:
                message = _read_anew(synapses, message, state, device, course, moment)
            out.append(message)
        if ideal:
            return out
        return [self.outbound[message.target, message.kind].send(message) for message in out]

    def _message(
        self, target: str, kind: Kind, payload: Array, mean: bool, difference: bool, course: Course, moment: Moment
    ) -> Message:
        return Message(
            source=self._block.name,
            target=target,
            kind=kind,
            tick=course.tick,
            sequence=course.sequence,
            relaxation=moment.relaxation,
            phase=moment.phase,
            lane=moment.lane,
            payload=payload,
            mean=mean,
            difference=difference,
            mean_since=course.mean_since,
            difference_since=course.difference_since,
        )

    def snapshot(self) -> dict[str, Any]:
        """All that sending changes."""
        return {
            "outbound": {channel: end.snapshot() for channel, end in self.outbound.items()},
            "feedback": {source: feedback.copy() for source, feedback in self.feedback.items()},
        }

    def restore(self, snapshot: dict[str, Any]) -> None:
        """Go back to a snapshot, which stays good."""
        for channel, end in self.outbound.items():
            end.restore(snapshot["outbound"][channel])
        self.feedback = {source: feedback.copy() for source, feedback in snapshot["feedback"].items()}


def _read_anew(
    synapses: Synapses, message: Message, state: Array, device: Hardware, course: Course, moment: Moment
) -> Message:
    """Feedback as a noisy read finds it, which never has the same bits twice."""
    link = synapses.link
    key, fan_in = f"feedback {synapses.source}", link.pre.population.size
    noise = device.read(key, link.projection, fan_in, state, link.pre.size, (course.tick, moment))
    noise[0] *= noise.dtype.type(synapses.coupling)
    payload = message.payload + noise[0 if message.mean else 1 :]
    return replace(message, payload=payload, mean_since=course.sequence, difference_since=course.sequence)
