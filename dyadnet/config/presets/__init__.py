"""Presets: settings that are known to work, by name and model. A run without a configuration file starts from one.

The preset of a data set has the name of that data set. The files contain a description (``about``), the measured test
results by model (``reached``), the settings of all models (``common``), and further settings of single models.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import resources
from typing import Any

from dyadnet.config.overrides import merged
from dyadnet.data import KNOWN_IMAGES
from dyadnet.errors import ConfigError, guessed
from dyadnet.files import documents as document
from dyadnet.network.description import MODELS

_FILES = {
    "digits": ("digits.yaml",),
    **dict.fromkeys(KNOWN_IMAGES, ("images.yaml",)),
    **{name: ("images.yaml", f"{name}.yaml") for name in ("mnist", "fashion-mnist")},
    **{name: (f"{name}.yaml",) for name in ("conv-mnist", "conv-cifar", "denoise-fashion")},
}
"""Files of each preset, from the general to the specific. Later files override earlier ones."""
NAMES = tuple(_FILES)


@dataclass(frozen=True)
class Preset:
    """Description of a preset.

    Attributes
    ----------
    data
        Name of its data set.
    about
        Description in one line.
    reached
        Measured test accuracy or PSNR by model, with its unit.
    """

    name: str
    data: str
    about: str
    reached: dict[str, str]


def known() -> list[Preset]:
    """Return all presets."""
    found = []
    for name in NAMES:
        tree = _tree(name)
        data = tree["common"].get("data", {"name": name})["name"]
        found.append(Preset(name, data, tree["about"], tree.get("reached", {})))
    return found


def check(name: str, field: str) -> None:
    """Refuse a name that is not the name of a preset.

    Raises
    ------
    ConfigError
        If there is no such preset. The error names `field`.
    """
    if name not in _FILES:
        legal = f"the name of a preset, which dyadnet presets lists{guessed(name, NAMES)}"
        raise ConfigError(field, name, legal)


def preset(name: str, model: str) -> dict[str, Any]:
    """Return the plain settings of a preset for a model.

    Parameters
    ----------
    name
        Name of a preset or of a data set. A user's own data get the settings of ``digits``, without the data's sizes.
    model
        ``hm``, ``ffm``, ``sshm`` or ``asymmetric``.
    """
    tree = _tree(name)
    values = merged(tree["common"], tree.get(model, {}))
    values.setdefault("data", {"name": name})
    chain = values["network"].get("layered", values["network"])
    chain["lam"] = MODELS[model]
    if name in KNOWN_IMAGES:
        chain["inputs"], chain["outputs"] = KNOWN_IMAGES[name]
    return values


def nearest_model(lam: float) -> str:
    """Return the model whose preset suits a λ that belongs to none of the models."""
    known = {name: value for name, value in MODELS.items() if not isinstance(value, str)}
    return min(known, key=lambda name: abs(known[name] - lam))


def _tree(name: str) -> dict[str, Any]:
    """Read and merge all files of a preset."""
    tree: dict[str, Any] = {}
    for file in _FILES.get(name, _FILES["digits"]):
        values = document.parse((resources.files(__name__) / file).read_text(encoding="utf-8")).values
        tree = merged(tree, values)
    return tree
