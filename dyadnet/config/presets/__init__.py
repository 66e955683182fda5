"""Settings that are known to work, by data set and model; the starting point of a run without a file of its own."""

from __future__ import annotations

from importlib import resources
from typing import Any

from dyadnet.config.overrides import merged
from dyadnet.data import KNOWN_IMAGES
from dyadnet.files import documents as document
from dyadnet.network.description import MODELS

_FILES = {
    "digits": ("digits.yaml",),
    **dict.fromkeys(KNOWN_IMAGES, ("images.yaml",)),
    "fashion-mnist": ("images.yaml", "fashion-mnist.yaml"),
}
"""Of each data set, from the general to the particular."""


def preset(data: str, model: str) -> dict[str, Any]:
    """Plain values of a run's settings.

    Parameters
    ----------
    data
        A bundled or known data set; a user's own file gets the settings of ``digits``, without sizes of the data.
    model
        ``hm``, ``ffm``, ``sshm`` or ``asymmetric``.
    """
    values: dict[str, Any] = {}
    for file in _FILES.get(data, _FILES["digits"]):
        tree = document.parse((resources.files(__name__) / file).read_text(encoding="utf-8")).values
        for part in ("common", model):
            values = merged(values, tree.get(part, {}))
    values["data"] = {"name": data}
    values["network"]["layered"]["lam"] = MODELS[model]
    if data in KNOWN_IMAGES:
        values["network"]["layered"]["inputs"], values["network"]["layered"]["outputs"] = KNOWN_IMAGES[data]
    return values


def nearest_model(lam: float) -> str:
    """The model whose preset suits a λ that is none of the three."""
    known = {name: value for name, value in MODELS.items() if not isinstance(value, str)}
    return min(known, key=lambda name: abs(known[name] - lam))
