"""Requests for Hebbian updates, which the coordinator sends to the blocks."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Update:
    """A request for Hebbian updates after a relaxation (paper, eq. 5).

    Attributes
    ----------
    beta
        β at which the last phase settled.
    samples
        Actual size of the minibatch, by which the contrast is divided.
    rate
        Learning rate.
    count
        Number of the update in the run, from 1.
    measured
        Whether blocks record the norms of their synapses and of this update.
    """

    beta: float
    samples: int
    rate: float
    count: int
    measured: bool = False
