"""What a Hebbian update is asked to do: the record that travels from the coordinator to the blocks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Update:
    """A request for Hebbian updates after a relaxation (paper, eq. 5).

    Attributes
    ----------
    beta
        The β at which the last phase settled.
    samples
        True size of the minibatch, which the contrast is divided by.
    rate
        Learning rate.
    count
        1 for the run's first update.
    measured
        Whether blocks note the norms of their synapses and of this update.
    """

    beta: float
    samples: int
    rate: float
    count: int
    measured: bool = False
