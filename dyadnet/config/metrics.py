"""Settings of what a run shows of itself."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_serializer

from dyadnet.schema import Spec


class MetricsSpec(Spec):
    """Where metrics and the live page are served. Nothing here changes a bit of the result, nor of its record.

    Attributes
    ----------
    port
        Of the coordinator's machine; 0: any that is free; None: nothing is served.
    host
        Address to listen on: loopback unless given, ``node`` for the node's own address.
    linger
        Seconds to go on serving once the run is over, so that its last values are scraped.
    file_sd
        A file for Prometheus' file discovery, to which the run adds itself and from which it removes itself.
    cosine
        Minibatches between two measurements of the cosine to the exact gradient, which cost a relaxation each.
    norms
        Minibatches between two measurements of the norms of weights and updates.
    """

    port: Annotated[int, Field(ge=0, le=65535)] | None = None
    host: str = Field("127.0.0.1", min_length=1)
    linger: float = Field(0.0, ge=0)
    file_sd: Path | None = None
    cosine: Annotated[int, Field(ge=1)] | None = None
    norms: int = Field(10, ge=1)

    @field_serializer("file_sd")
    def _plain(self, value: Path | None) -> str | None:
        return None if value is None else str(value)
