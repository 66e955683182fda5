"""Settings of checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator

from dyadnet.schema import Spec


class CheckpointSpec(Spec):
    """When and where checkpoints are written. These settings do not change a single bit of the result.

    Besides the periodic checkpoints, a run writes one when it begins, one after every epoch with the best weights so
    far, one at its end, and one when a signal stops it.

    Attributes
    ----------
    enabled
        Whether to write checkpoints; ``checkpoint: off`` is short for False.
    every_minibatches, every_seconds
        Number of minibatches, or seconds, between two checkpoints. Both may be set, and either may be null.
    keep
        Number of newest checkpoints to keep. Those with the best weights are kept in addition.
    folder
        A path, or a URL of any file system that fsspec knows. Every actor must have access to it. Default:
        ``checkpoints`` in the run's folder.
    """

    enabled: bool = True
    every_minibatches: Annotated[int, Field(ge=1)] | None = None
    every_seconds: Annotated[float, Field(gt=0)] | None = 60.0
    keep: int = Field(3, ge=1)
    folder: Annotated[str, Field(min_length=1)] | None = None

    @field_validator("folder")
    @classmethod
    def _plain(cls, value: str | None) -> str | None:
        """Refuse URLs with credentials, and make paths absolute so that a resumed run finds the same folder."""
        if value is None:
            return None
        if "://" not in value:
            try:
                return str(Path(value).expanduser().absolute())
            except RuntimeError:
                raise ValueError("a path without ~, for whose user no home is known here") from None
        if "@" in urlsplit(value).netloc:
            raise ValueError(
                "a URL without a user or password in it, which would be written down; "
                "set them in the environment or in the file system's own configuration"
            )
        return value


def _from_switch(value: Any) -> Any:
    return {"enabled": value} if isinstance(value, bool) else value


Checkpoints = Annotated[CheckpointSpec, BeforeValidator(_from_switch)]
"""Checkpoints as a configuration writes them: ``off``, ``on``, or the settings."""
