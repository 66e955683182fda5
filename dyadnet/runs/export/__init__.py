"""Export trained weights to one file that other programs can read: NumPy's ``.npz`` or safetensors."""

from dyadnet.runs.export.files import Exported, export, read

__all__ = ["Exported", "export", "read"]
