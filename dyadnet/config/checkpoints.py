"""Settings of checkpoints."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator

from dyadnet.schema import Spec


class CheckpointSpec(Spec):
    """When and where checkpoints are written. Nothing here changes a bit of the result.

    Beside those of the rhythm there is one when a run begins, one at every epoch whose weights are the best so far,
    one at the end, and one when a signal stops it.

    Attributes
    ----------
    enabled
        Whether there are any; ``checkpoint: off`` says the same.
    every_minibatches, every_seconds
        A checkpoint once so many minibatches were learned from, or so many seconds have passed, since the one before;
        both may be set, and either may be null.
    keep
        How many are kept, the newest ones; those with the best weights beside them.
    folder
        A path, or a URL of any file system that fsspec knows, which every actor must see; ``checkpoints`` in the
        run's folder unless given.
    """

    enabled: bool = True
    every_minibatches: Annotated[int, Field(ge=1)] | None = None
    every_seconds: Annotated[float, Field(gt=0)] | None = 60.0
    keep: int = Field(3, ge=1)
    folder: Annotated[str, Field(min_length=1)] | None = None

    @field_validator("folder")
    @classmethod
    def _plain(cls, value: str | None) -> str | None:
        """No secret, and the same folder wherever the run goes on."""
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
"""As a configuration writes it: ``off``, ``on``, or the settings."""
