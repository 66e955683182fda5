"""What channels and devices do worse than ideal ones: one small record each, neutral by default.

Records say what is wanted; `dyadnet.channels`, `dyadnet.transit` and `dyadnet.devices` do it. Any of them may be
combined. Delays are not here but in `dyadnet.delays`: they have laws of their own, in ticks.
"""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, model_validator

from dyadnet.description import Network
from dyadnet.spec import Spec

Probability = Annotated[float, Field(ge=0, le=1)]
Size = Annotated[float, Field(ge=0)]
Bits = Annotated[int, Field(ge=1, le=24)]


def _range(value: Any) -> tuple[float, float] | None:
    if value is None or value == "auto":
        return None
    numbers = list(value) if isinstance(value, list | tuple) else [value]
    if len(numbers) > 2 or not all(isinstance(n, int | float) and not isinstance(n, bool) for n in numbers):
        raise ValueError("auto, a number R for [-R, R], or a pair [low, high]")
    low, high = (-float(numbers[0]), float(numbers[0])) if len(numbers) == 1 else map(float, numbers)
    if not -1e30 < low < high < 1e30:
        raise ValueError("auto, a number above 0, or a pair [low, high] with low below high")
    return low, high


Range = Annotated[tuple[float, float] | None, BeforeValidator(_range)]
"""A range of numbers as a configuration writes it: ``auto``, R for [−R, R], or [low, high]."""


class _Record(Spec):
    """A record that may be written as the number of its field `short`."""

    short: ClassVar[str] = ""

    @model_validator(mode="before")
    @classmethod
    def _from_number(cls, value: Any) -> Any:
        if cls.short and isinstance(value, int | float) and not isinstance(value, bool):
            return {cls.short: value}
        return value


# Channels


class Loss(_Record):
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


class Duplication(_Record):
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


class Quantisation(_Record):
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


class SendOnDelta(_Record):
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
    duplicated; at the receiver numbers are multiplied, then added to, by noise. The initial messages of a
    relaxation are ideal.
    """

    loss: Loss = Loss()
    duplication: Duplication = Duplication()
    additive: Additive = Additive()
    multiplicative: Multiplicative = Multiplicative()
    quantisation: Quantisation = Quantisation()
    send_on_delta: SendOnDelta = SendOnDelta()

    def ideal(self) -> bool:
        """Whether none changes anything."""
        return all(getattr(self, name).ideal() for name in Channel.model_fields)

    @property
    def noisy(self) -> bool:
        """Whether messages about a network at rest would still fluctuate."""
        rounding = self.quantisation.stochastic and not self.quantisation.ideal()
        return rounding or not (self.additive.ideal() and self.multiplicative.ideal())

    @property
    def uncertain(self) -> bool:
        """Whether it is drawn at random how often a message arrives."""
        return not (self.loss.ideal() and self.duplication.ideal())

    @property
    def coarse(self) -> bool:
        """Whether a network may circle between values that its messages can tell."""
        return not (self.quantisation.ideal() and self.send_on_delta.ideal())


# Devices


class TimeConstants(_Record):
    """Neurons differ in speed.

    Attributes
    ----------
    spread
        σ of a lognormal factor: neuron i has η·exp(σξᵢ), at most 1 (or η if that is larger); in free-running mode its
        time constant is T·exp(−σξᵢ). ξᵢ is normal and fixed for the run.
    """

    short = "spread"
    spread: Size = 0.0

    def ideal(self) -> bool:
        """Whether this changes nothing."""
        return self.spread == 0


class Gain(_Record):
    """Neurons differ in gain: fᵢ(a) = f(gᵢ(a − tᵢ)), t being the threshold's.

    Attributes
    ----------
    spread
        σ of gᵢ = exp(σξᵢ), with ξᵢ normal and fixed for the run.
    """

    short = "spread"
    spread: Size = 0.0

    def ideal(self) -> bool:
        """Whether this changes nothing."""
        return self.spread == 0


class Threshold(_Record):
    """Neurons differ in threshold: fᵢ(a) = f(gᵢ(a − tᵢ)), g being the gain.

    Attributes
    ----------
    spread
        Standard deviation of tᵢ, in units of the pre-activation; normal and fixed for the run.
    """

    short = "spread"
    spread: Size = 0.0

    def ideal(self) -> bool:
        """Whether this changes nothing."""
        return self.spread == 0


class WeightPrecision(_Record):
    """Synapses, those from the input included, have few levels; biases have not.

    The device holds no finer copy. Each update is rounded up or down at random such that its mean is right; initial
    and loaded weights go to the nearest level. Levels are those of `Quantisation`. See ADR 8.

    Attributes
    ----------
    bits
        Null: full precision.
    range
        Of the weights. ``auto``: [−R, R] with R eight standard deviations of the projection's initial weights.
        Weights beyond it stay at its end, so a range that is too small stops learning.
    """

    short = "bits"
    bits: Bits | None = None
    range: Range = None

    def ideal(self) -> bool:
        """Whether this changes nothing."""
        return self.bits is None


class Mismatch(_Record):
    """Backward use of a synapse is not quite its forward use: approximate (skew-)symmetry.

    Attributes
    ----------
    spread
        σ: feedback is read from θᵢⱼ(1 + σξᵢⱼ) instead of θᵢⱼ, with ξᵢⱼ normal and fixed for the run.
    """

    short = "spread"
    spread: Size = 0.0

    def ideal(self) -> bool:
        """Whether this changes nothing."""
        return self.spread == 0


class ReadNoise(_Record):
    """Every read of the synapses, forward or backward, finds them a little different.

    Attributes
    ----------
    sigma
        Standard deviation of each weight's fluctuation, in units of the standard deviation of the projection's
        initial weights (gain/√n_pre). Independent for each sample, stream and firing, so a product θx gets noise of
        standard deviation σ·(gain/√n_pre)·‖x‖.
    """

    short = "sigma"
    sigma: Size = 0.0

    def ideal(self) -> bool:
        """Whether this changes nothing."""
        return self.sigma == 0


class NudgeNoise(_Record):
    """The nudge of each output compartment is ∓β(∇ℓ(s±) + σξ±), ξ± normal and drawn anew at each firing.

    Attributes
    ----------
    sigma
        σ, in units of the loss gradient.
    """

    short = "sigma"
    sigma: Size = 0.0

    def ideal(self) -> bool:
        """Whether this changes nothing."""
        return self.sigma == 0


class Device(Spec):
    """All imperfections of the neurons and synapses of one block."""

    time_constants: TimeConstants = TimeConstants()
    gain: Gain = Gain()
    threshold: Threshold = Threshold()
    weights: WeightPrecision = WeightPrecision()
    mismatch: Mismatch = Mismatch()
    read_noise: ReadNoise = ReadNoise()
    nudge_noise: NudgeNoise = NudgeNoise()

    def ideal(self) -> bool:
        """Whether none changes anything."""
        return all(getattr(self, name).ideal() for name in Device.model_fields)

    @property
    def noisy(self) -> bool:
        """Whether a network of such devices never comes to rest."""
        return not (self.read_noise.ideal() and self.nudge_noise.ideal())


# All of them


class Imperfections(Spec):
    """Imperfections of a whole network, with exceptions.

    Attributes
    ----------
    channel, channels
        Of every channel, and by projection (``pre->post``, both directions). What an exception leaves out is as in
        `channel`.
    device, devices
        Of every block, and by population or block. What an exception leaves out is as in `device`, for a block as for
        its population.
    """

    channel: Channel = Channel()
    channels: dict[str, Channel] = {}
    device: Device = Device()
    devices: dict[str, Device] = {}

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, values: Any) -> Any:
        """Write out what exceptions leave out, so that a resolved configuration needs no merging."""
        if not isinstance(values, dict):
            return values
        values = dict(values)
        for all_, some in (("channel", "channels"), ("device", "devices")):
            exceptions = values.get(some)
            if not isinstance(exceptions, dict):
                continue
            common = values.get(all_, {})
            filled: dict[Any, Any] = {}
            for name in sorted(exceptions, key=lambda name: "." in str(name)):
                base = filled.get(str(name).split(".")[0], common) if some == "devices" else common
                filled[name] = _over(base, exceptions[name])
            values[some] = {name: filled[name] for name in exceptions}
        return values

    def ideal(self) -> bool:
        """Whether the whole network is ideal."""
        channels, devices = (self.channel, *self.channels.values()), (self.device, *self.devices.values())
        return all(channel.ideal() for channel in channels) and all(device.ideal() for device in devices)

    def channel_of(self, projection: str) -> Channel:
        """Of both directions of a projection."""
        return self.channels.get(projection, self.channel)

    def device_of(self, block: str) -> Device:
        """Of a block: its own, its population's, or everyone's."""
        return self.devices.get(block, self.devices.get(block.split(".")[0], self.device))

    def noisy(self, network: Network) -> bool:
        """Whether anything in the network fluctuates for ever, so that it never settles."""
        channels = (self.channel_of(projection.name) for projection in network.recurrent)
        blocks = [p.name for p in network.populations]
        blocks += [name for name in self.devices if name.split(".")[0] in blocks]
        return any(c.noisy for c in channels) or any(self.device_of(name).noisy for name in blocks)


def _over(base: Any, exception: Any) -> Any:
    """`base` with what `exception` says in its place; anything that is no mapping is left to validation."""
    base, exception = _plain(base), _plain(exception)
    if not isinstance(base, dict) or not isinstance(exception, dict):
        return exception
    filled = dict(base)
    for key, value in exception.items():
        old, value = filled.get(key), _plain(value)
        filled[key] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    return filled


def _plain(value: Any) -> Any:
    return value.model_dump(exclude_unset=True) if isinstance(value, Spec) else value
