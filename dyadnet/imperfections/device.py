"""Imperfections of the neurons and synapses of a block."""

from __future__ import annotations

from dyadnet.imperfections.record import Bits, Range, Record, Size
from dyadnet.schema import Spec


class TimeConstants(Record):
    """Neurons differ in speed.

    Attributes
    ----------
    spread
        σ of a lognormal factor. Neuron i has the step η·exp(σξᵢ), at most 1 (or η if that is larger). In free-running
        mode its time constant is T·exp(−σξᵢ). ξᵢ is normal and fixed for the run.
    """

    short = "spread"
    spread: Size = 0.0

    def ideal(self) -> bool:
        """Whether the record has no effect."""
        return self.spread == 0


class Gain(Record):
    """Neurons differ in gain: fᵢ(a) = f(gᵢ(a − tᵢ)), where t is the threshold.

    Attributes
    ----------
    spread
        σ of gᵢ = exp(σξᵢ), with ξᵢ normal and fixed for the run.
    """

    short = "spread"
    spread: Size = 0.0

    def ideal(self) -> bool:
        """Whether the record has no effect."""
        return self.spread == 0


class Threshold(Record):
    """Neurons differ in threshold: fᵢ(a) = f(gᵢ(a − tᵢ)), where g is the gain.

    Attributes
    ----------
    spread
        Standard deviation of tᵢ, in units of the pre-activation; normal and fixed for the run.
    """

    short = "spread"
    spread: Size = 0.0

    def ideal(self) -> bool:
        """Whether the record has no effect."""
        return self.spread == 0


class WeightPrecision(Record):
    """Synapses, including those from the input, have few levels. Biases have full precision.

    The device stores no finer copy. Each update is rounded stochastically, so that its mean is correct. Initial and
    loaded weights are rounded to the nearest level. Levels are those of `Quantisation`. See ADR 8.

    Attributes
    ----------
    bits
        Bits of a weight; null: full precision.
    range
        Range of the weights. ``auto``: [−R, R] with R eight standard deviations of the projection's initial weights.
        Weights beyond the range are clipped, so a range that is too small stops learning.
    """

    short = "bits"
    bits: Bits | None = None
    range: Range = None

    def ideal(self) -> bool:
        """Whether the record has no effect."""
        return self.bits is None


class Mismatch(Record):
    """Feedback uses slightly different weights than forward use: approximate (skew-)symmetry.

    Attributes
    ----------
    spread
        σ: feedback uses θᵢⱼ(1 + σξᵢⱼ) instead of θᵢⱼ, with ξᵢⱼ normal and fixed for the run.
    """

    short = "spread"
    spread: Size = 0.0

    def ideal(self) -> bool:
        """Whether the record has no effect."""
        return self.spread == 0


class ReadNoise(Record):
    """Synapses fluctuate at every read, forward or backward.

    Attributes
    ----------
    sigma
        Standard deviation of each weight's fluctuation, in units of the standard deviation of the projection's
        initial weights (gain/√n_pre). It is independent for each sample, stream and firing. So a product θx has noise
        of standard deviation σ·(gain/√n_pre)·‖x‖.
    """

    short = "sigma"
    sigma: Size = 0.0

    def ideal(self) -> bool:
        """Whether the record has no effect."""
        return self.sigma == 0


class NudgeNoise(Record):
    """The nudge of each output compartment is ∓β(∇ℓ(s±) + σξ±), with normal ξ± drawn independently at each firing.

    Attributes
    ----------
    sigma
        σ, in units of the loss gradient.
    """

    short = "sigma"
    sigma: Size = 0.0

    def ideal(self) -> bool:
        """Whether the record has no effect."""
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
        """Whether no imperfection has an effect."""
        return all(getattr(self, name).ideal() for name in Device.model_fields)

    @property
    def noisy(self) -> bool:
        """Whether a network of such devices never settles."""
        return not (self.read_noise.ideal() and self.nudge_noise.ideal())
