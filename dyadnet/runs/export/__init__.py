"""Trained weights in one file that other programs read: NumPy's ``.npz`` or safetensors."""

from dyadnet.runs.export.files import Exported, export, read

__all__ = ["Exported", "export", "read"]
