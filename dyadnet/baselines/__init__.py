"""Baselines for networks of dyads: the same layers and data, trained by back-propagation."""

from dyadnet.baselines.backprop import BackpropEngine
from dyadnet.baselines.choice import engine_in_process

__all__ = ["BackpropEngine", "engine_in_process"]
