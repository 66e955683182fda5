"""What a channel does worse than an ideal one, beside its delay."""

from __future__ import annotations

from dyadnet.imperfections.own import Effect
from dyadnet.imperfections.record import Bits, Probability, Range, Record, Size
from dyadnet.schema import Spec


class MessageLoss(Record):
    """A message does not arrive.

    Attributes
    ----------
    p
        Probability of a message to be lost, drawn for each message and for each duplicate by itself. The receiver
        goes on with what it holds.
    """

    short = "p"
    p: Probability = 0.0

    def ideal(self) -> bool:
        """Whether this changes nothing."""
        return self.p == 0


class Duplication(Record):
    """A message arrives twice.

    Attributes
    ----------
    p
        Probability of a message to be sent a second time by the channel. The duplicate has a delay of its own (under
        a constant delay it comes at the same tick and is stale), and noise of its own.
    """

    short = "p"
    p: Probability = 0.0

    def ideal(self) -> bool:
        """Whether this changes nothing."""
        return self.p == 0


class Additive(Spec):
    """Gaussian noise is added to each number of each message, drawn anew for every message.

    Attributes
    ----------
    mean, difference
        Standard deviation σ on the mean stream (m, κθᵀm) and on the difference stream (d, θᵀd), in their own units.
        Differences are of the size of β, so what is little for a mean may drown a difference.
    """

    mean: Size = 0.0
    difference: Size = 0.0

    def ideal(self) -> bool:
        """Whether this changes nothing."""
        return self.mean == 0 and self.difference == 0


class Multiplicative(Spec):
    """Each number x of each message becomes x·(1 + σξ) with ξ normal, drawn anew for every message.

    Attributes
    ----------
    mean, difference
        σ, without unit, on the mean stream and on the difference stream.
    """

    mean: Size = 0.0
    difference: Size = 0.0

    def ideal(self) -> bool:
        """Whether this changes nothing."""
        return self.mean == 0 and self.difference == 0


class Quantisation(Record):
    """Each number of a message is sent as the nearest of a few levels.

    Levels are evenly spaced. A range [−R, R] has 2^bits − 1 of them, so that 0 is one (2 for one bit: ±R); any other
    range has 2^bits, both ends among them. Numbers beyond the range go to its end.

    Attributes
    ----------
    bits
        Of the mean stream; null: not quantised.
    range
        Of the mean stream. ``auto``: [−R, R] with R the largest magnitude among a sample's numbers in the message,
        as if a scale were sent along.
    difference_bits
        Of the difference stream; as `bits` unless given.
    difference_range
        Of the difference stream, ``auto`` unless given: differences shrink while a network learns.
    stochastic
        Round up or down at random such that the mean is right, instead of to the nearest level. What is sent then
        fluctuates for ever, so it counts as noise: a network does not settle.
    """

    short = "bits"
    bits: Bits | None = None
    range: Range = None
    difference_bits: Bits | None = None
    difference_range: Range = None
    stochastic: bool = False

    def ideal(self) -> bool:
        """Whether this changes nothing."""
        return self.bits is None and self.difference_bits is None


class SendOnDelta(Record):
    """A number is sent only if it has moved since it was last sent; an empty message still goes out.

    Each number of each stream, sample and neuron by itself. The receiver keeps, number by number, what was sent
    last. With loss, a number that was lost stays as it was there until it moves again.

    Attributes
    ----------
    threshold
        ε: a mean is sent if it differs by more than ε from what it was when it was last sent.
    difference
        ε for the difference stream; as `threshold` unless given. Differences are of the size of β.
    """

    short = "threshold"
    threshold: Size = 0.0
    difference: Size | None = None

    def ideal(self) -> bool:
        """Whether this changes nothing."""
        return self.threshold == 0 and not self.difference


class Channel(Spec):
    """All imperfections of one channel beside its delay.

    At the sender numbers are held back (`send_on_delta`), what is left is quantised; on the way messages are lost or
    duplicated; at the receiver a user's own imperfections come first, one after the other, then numbers are
    multiplied, then added to, by noise. The initial messages of a relaxation are ideal.

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
        """Whether none changes anything."""
        built_in = (getattr(self, name) for name in Channel.model_fields if name != "own")
        return not self.own and all(record.ideal() for record in built_in)

    @property
    def noisy(self) -> bool:
        """Whether messages about a network at rest would still fluctuate."""
        rounding = self.quantisation.stochastic and not self.quantisation.ideal()
        if any(effect.noisy for effect in self.own):
            return True
        return rounding or not (self.additive.ideal() and self.multiplicative.ideal())

    @property
    def uncertain(self) -> bool:
        """Whether it is drawn at random how often a message arrives."""
        return not (self.loss.ideal() and self.duplication.ideal())

    @property
    def coarse(self) -> bool:
        """Whether a network may circle between values that its messages can tell."""
        return not (self.quantisation.ideal() and self.send_on_delta.ideal())
