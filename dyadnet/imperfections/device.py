"""What the neurons and synapses of a block do worse than ideal ones."""

from __future__ import annotations

from dyadnet.imperfections.record import Bits, Range, Record, Size
from dyadnet.schema import Spec


class TimeConstants(Record):
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


class Gain(Record):
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


class Threshold(Record):
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


class WeightPrecision(Record):
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


class Mismatch(Record):
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


class ReadNoise(Record):
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


class NudgeNoise(Record):
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
