"""Imperfections of a channel, except its delay."""

from __future__ import annotations

from dyadnet.imperfections.own import Effect
from dyadnet.imperfections.record import Bits, Probability, Range, Record, Size
from dyadnet.schema import Spec


class MessageLoss(Record):
    """A message is lost.

    Attributes
    ----------
    p
        Probability that a message is lost, drawn independently for each message and each duplicate. The receiver
        continues with the message that it holds.
    """

    short = "p"
    p: Probability = 0.0

    def ideal(self) -> bool:
        """Whether the record has no effect."""
        return self.p == 0


class Duplication(Record):
    """A message arrives twice.

    Attributes
    ----------
    p
        Probability that the channel sends a message a second time. The duplicate has its own delay and its own noise.
        Under a constant delay it arrives at the same tick and is stale.
    """

    short = "p"
    p: Probability = 0.0

    def ideal(self) -> bool:
        """Whether the record has no effect."""
        return self.p == 0


class Additive(Spec):
    """Gaussian noise is added to each number of each message, independently for every message.

    Attributes
    ----------
    mean, difference
        Standard deviation σ on the mean stream (m, κθᵀm) and on the difference stream (d, θᵀd), in their own units.
        Differences have the magnitude of β. So noise that is small for means may exceed the differences.
    """

    mean: Size = 0.0
    difference: Size = 0.0

    def ideal(self) -> bool:
        """Whether the record has no effect."""
        return self.mean == 0 and self.difference == 0


class Multiplicative(Spec):
    """Each number x of each message becomes x·(1 + σξ) with normal ξ, drawn independently for every message.

    Attributes
    ----------
    mean, difference
        σ, dimensionless, on the mean stream and on the difference stream.
    """

    mean: Size = 0.0
    difference: Size = 0.0

    def ideal(self) -> bool:
        """Whether the record has no effect."""
        return self.mean == 0 and self.difference == 0


class Quantisation(Record):
    """Each number of a message is rounded to one of a few levels.

    Levels are evenly spaced. A range [−R, R] has 2^bits − 1 levels, so that 0 is a level (1 bit has 2 levels: ±R). Any
    other range has 2^bits levels, including both ends. Numbers beyond the range are clipped to its end.

    Attributes
    ----------
    bits
        Bits of the mean stream; null: no quantisation.
    range
        Range of the mean stream. ``auto``: [−R, R] with R the largest magnitude among a sample's numbers in the
        message, as if a scale were sent with it.
    difference_bits
        Bits of the difference stream; default: `bits`.
    difference_range
        Range of the difference stream; default: ``auto``, because differences shrink while a network learns.
    stochastic
        Use stochastic rounding, which is correct on average, instead of rounding to the nearest level. The messages
        then fluctuate permanently. So it counts as noise, and a network does not settle.
    """

    short = "bits"
    bits: Bits | None = None
    range: Range = None
    difference_bits: Bits | None = None
    difference_range: Range = None
    stochastic: bool = False

    def ideal(self) -> bool:
        """Whether the record has no effect."""
        return self.bits is None and self.difference_bits is None


class SendOnDelta(Record):
    """A number is sent only if it has changed since it was last sent. An empty message is still sent.

    This applies separately to each number of each stream, sample and neuron. The receiver keeps the last received value
    of each number. With loss, the receiver keeps an outdated value of a lost number until that number changes again.

    Attributes
    ----------
    threshold
        ε: a mean is sent if it differs by more than ε from the value that was last sent.
    difference
        ε for the difference stream; default: `threshold`. Differences have the magnitude of β.
    """

    short = "threshold"
    threshold: Size = 0.0
    difference: Size | None = None

    def ideal(self) -> bool:
        """Whether the record has no effect."""
        return self.threshold == 0 and not self.difference


class Channel(Spec):
    """All imperfections of one channel, except its delay.

    The sender holds back numbers (`send_on_delta`), then quantises the rest. On the way, messages are lost or
    duplicated. At the receiver, users' own imperfections are applied one after the other, then multiplicative noise,
    then additive noise. The initial messages of a relaxation are ideal.

    Attributes
    ----------
    own
        Registered imperfections; see `dyadnet.imperfections.own`.
    """

    loss: MessageLoss = MessageLoss()
    duplication: Duplication = Duplication()
    additive: Additive = Additive()
    multiplicative: Multiplicative = Multiplicative()
    quantisation: Quantisation = Quantisation()
    send_on_delta: SendOnDelta = SendOnDelta()
    own: tuple[Effect, ...] = ()

    def ideal(self) -> bool:
        """Whether no imperfection has an effect."""
        built_in = (getattr(self, name) for name in Channel.model_fields if name != "own")
        return not self.own and all(record.ideal() for record in built_in)

    @property
    def noisy(self) -> bool:
        """Whether messages of a network at rest would still fluctuate."""
        rounding = self.quantisation.stochastic and not self.quantisation.ideal()
        if any(effect.noisy for effect in self.own):
            return True
        return rounding or not (self.additive.ideal() and self.multiplicative.ideal())

    @property
    def uncertain(self) -> bool:
        """Whether the number of arrivals of a message is random."""
        return not (self.loss.ideal() and self.duplication.ideal())

    @property
    def coarse(self) -> bool:
        """Whether the state may oscillate below the resolution of messages."""
        return not (self.quantisation.ideal() and self.send_on_delta.ideal())
