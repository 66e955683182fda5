"""Settings that are known to work, by name and model; the starting point of a run without a file of its own.

A preset of a data set has its name. Files say what a preset is (``about``), what it reached on the test part
(``reached``, by model), the settings of all models (``common``) and those of some.
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
"""Of each preset, from the general to the particular."""
NAMES = tuple(_FILES)


@dataclass(frozen=True)
class Preset:
    """What is known of a preset.

    Attributes
    ----------
    data
        Its data set.
    about
        What it is, in a line.
    reached
        Test accuracy or PSNR that was measured, by model, with its unit.
    """

    name: str
    data: str
    about: str
    reached: dict[str, str]


def known() -> list[Preset]:
    """All presets."""
    found = []
    for name in NAMES:
        tree = _tree(name)
        data = tree["common"].get("data", {"name": name})["name"]
        found.append(Preset(name, data, tree["about"], tree.get("reached", {})))
    return found


def check(name: str, field: str) -> None:
    """Refuse what names no preset.

    Raises
    ------
    ConfigError
        Naming `field`.
    """
    if name not in _FILES:
        legal = f"the name of a preset, which dyadnet presets lists{guessed(name, NAMES)}"
        raise ConfigError(field, name, legal)


def preset(name: str, model: str) -> dict[str, Any]:
    """Plain values of a run's settings.

    Parameters
    ----------
    name
        Of a preset, or of data; a user's own file gets the settings of ``digits``, without sizes of the data.
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
    """The model whose preset suits a λ that is none of the three."""
    known = {name: value for name, value in MODELS.items() if not isinstance(value, str)}
    return min(known, key=lambda name: abs(known[name] - lam))


def _tree(name: str) -> dict[str, Any]:
    """All that the files of a preset say, read anew."""
    tree: dict[str, Any] = {}
    for file in _FILES.get(name, _FILES["digits"]):
        values = document.parse((resources.files(__name__) / file).read_text(encoding="utf-8")).values
        tree = merged(tree, values)
    return tree
