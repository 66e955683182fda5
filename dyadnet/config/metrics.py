"""Settings of the metrics that a run serves."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field, field_serializer

from dyadnet.schema import Spec


class MetricsSpec(Spec):
    """Where metrics and the live page are served. These settings change neither the result nor the run's record.

    Attributes
    ----------
    port
        Port on the coordinator's machine; 0: any free port; None: no metrics are served.
    host
        Address to listen on: loopback by default, ``node`` for the node's own address.
    linger
        Seconds to continue serving after the run has ended, so that Prometheus can scrape the last values.
    file_sd
        A file for Prometheus' file-based service discovery. The run adds itself to it and removes itself at the end.
    cosine
        Minibatches between two measurements of the cosine to the exact gradient. Each one costs a relaxation.
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
