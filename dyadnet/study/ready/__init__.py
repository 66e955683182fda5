"""Ready-made studies: one YAML file each, identified by its name."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from dyadnet.errors import ConfigError

FOLDER = Path(str(resources.files(__name__)))


def names() -> list[str]:
    """Return the names of all ready-made studies."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def find(name: str) -> Path:
    """Return the file of a study, given the path of a file or of a study's folder, or the name of a ready-made study.

    Raises
    ------
    ConfigError
        If there is no such study.
    """
    path = Path(name)
    if path.is_file():
        return path
    if (path / "study.yaml").is_file():
        return path / "study.yaml"
    if name in names():
        return FOLDER / f"{name}.yaml"
    legal = f"a file, the folder of a study, or one of {', '.join(names())} (dyadnet study list)"
    raise ConfigError("STUDY", name, legal)
