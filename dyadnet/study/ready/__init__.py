"""Ready-made studies: one YAML file each, known by its name."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from dyadnet.errors import ConfigError

FOLDER = Path(str(resources.files(__name__)))


def names() -> list[str]:
    """Names of all ready-made studies."""
    return sorted(path.stem for path in FOLDER.glob("*.yaml"))


def find(name: str) -> Path:
    """The file of a study: one of the user's, a study's folder, or a ready-made one by its name.

    Raises
    ------
    ConfigError
        If there is none.
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
