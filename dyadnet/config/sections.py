"""The sections of a run's settings, and the tree that contains them."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, field_serializer, field_validator, model_validator

from dyadnet.config.checkpoints import Checkpoints, CheckpointSpec
from dyadnet.config.dynamics import Dynamics
from dyadnet.config.faults import FaultSpec
from dyadnet.config.metrics import MetricsSpec
from dyadnet.config.pictures import Format
from dyadnet.config.recovery import RecoverySpec
from dyadnet.config.transports import TRANSPORTS
from dyadnet.data import MEMORY, AugmentSpec, MemorySpec, is_folder, is_own
from dyadnet.errors import ConfigError
from dyadnet.files import documents as document
from dyadnet.imperfections.network import Imperfections
from dyadnet.learning.early_stopping import EarlyStoppingSpec
from dyadnet.learning.optimisers import Adam, Optimiser
from dyadnet.learning.schedules import Schedule
from dyadnet.network.description import Network
from dyadnet.network.serialization import network_from, network_to
from dyadnet.schema import Positive, Spec

NOISE = 0.5
"""Default standard deviation of the noise in the denoising task."""
_SCHEDULE: TypeAdapter[Any] = TypeAdapter(Schedule)


class Learning(Spec):
    """What is learned, how fast, and how strong the nudge is.

    Attributes
    ----------
    warmup
        Number of minibatches in which the learning rate rises linearly to its schedule: minibatch k uses k/warmup of
        `learning_rate`. 0 by default.
    beta
        Strength of the nudge β > 0.
    lam
        λ of all projections during training, or by projection name. Default: the network's own values.
    radius_every
        Relaxations between two estimates of the spectral radius (used by ``step: auto``).
    evaluation_batch
        Number of samples that settle together when a part of the data is evaluated.
    early_stopping
        Stop after a number of epochs without improvement of a recorded quantity. Default: run all epochs.
    """

    epochs: Positive = 20
    minibatch: Positive = 20
    optimiser: Optimiser = Adam()
    learning_rate: Schedule = Field(validate_default=True, default=0.003)
    warmup: int = Field(0, ge=0)
    beta: Schedule = Field(validate_default=True, default=0.1)
    lam: Schedule | dict[str, Schedule] | None = None
    radius_every: Positive = 10
    evaluation_batch: Positive = 500
    early_stopping: EarlyStoppingSpec | None = None

    @field_validator("lam", mode="before")
    @classmethod
    def _lam_kind(cls, value: Any) -> Any:
        # A mapping with a kind is a schedule. Any other mapping gives values by projection.
        if isinstance(value, Mapping) and "kind" in value:
            return _SCHEDULE.validate_python(value)
        return value if document.number(value) is None else {"kind": "constant", "value": value}


class DataSpec(Spec):
    """Which samples are used.

    Attributes
    ----------
    name
        A data set's name, such as ``digits``, ``mnist`` or ``cifar-10``, or the path of an ``.npz`` file or of a
        folder with IDX files. Paths are stored as absolute paths.
    dir
        Where to look for image sets, and for a user's own data that are no longer at their path.
    limit_train, limit_test
        Use only this many samples, the first ones.
    validation
        Fraction of the training part that is set aside for choosing the best weights.
    normalise
        Give each channel of images mean 0 and variance 1 over the training part. The test part uses the same numbers.
    augment
        Random variations of the training images. Evaluations never vary images.
    memory
        Identification of data that were given in memory (``name: memory``). Only such a run writes this.
    task
        ``as-given``: the targets are those of the data. ``denoise``: the targets are the images themselves, and noise
        is added to the inputs.
    noise
        Standard deviation of that noise, relative to a pixel range of 1; 0.5 by default. See `dyadnet.data.noise`.
    """

    name: str = "digits"
    dir: Path | None = None
    limit_train: Positive | None = None
    limit_test: Positive | None = None
    validation: float = Field(0.1, gt=0, lt=1)
    normalise: bool = False
    augment: AugmentSpec = AugmentSpec()
    memory: MemorySpec | None = None
    task: Literal["as-given", "denoise"] = "as-given"
    noise: float | None = Field(None, ge=0)

    @model_validator(mode="before")
    @classmethod
    def _usual_noise(cls, value: Any) -> Any:
        if isinstance(value, Mapping) and value.get("task") == "denoise" and value.get("noise") is None:
            return {**value, "noise": NOISE}
        return value

    @model_validator(mode="after")
    def _noise_of_denoising(self) -> DataSpec:
        if self.noise is not None and self.task != "denoise":
            raise ConfigError(
                "data.noise", self.noise, "only task: denoise adds noise; set data.task too, or leave it out"
            )
        return self

    @model_validator(mode="after")
    def _in_memory(self) -> DataSpec:
        if self.memory is not None and self.name != MEMORY:
            legal = "only a run with data in memory writes this; leave it out"
            raise ConfigError("data.memory", self.memory.sha256, legal)
        return self

    @model_validator(mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        return {"name": value} if isinstance(value, str) else value

    @field_validator("name")
    @classmethod
    def _absolute(cls, value: str) -> str:
        """Make paths absolute, so that a run can be inspected or resumed from any working folder."""
        path = value.endswith(".npz") or (is_own(value) and is_folder(value))
        return os.path.abspath(value) if path else value  # noqa: PTH100 - without .. too

    @field_validator("dir")
    @classmethod
    def _anywhere(cls, value: Path | None) -> Path | None:
        return None if value is None else value.absolute()

    @field_serializer("dir")
    def _plain(self, value: Path | None) -> str | None:
        return None if value is None else str(value)


class InitSpec(Spec):
    """Weights of another run, used as initial weights instead of random ones.

    Attributes
    ----------
    run
        That run's folder. A plain text stands for it.
    weights
        ``best`` or ``last``.
    sha256
        Hash of those weights. It is stored when they are read; afterwards other weights are refused.
    """

    run: Path
    weights: Literal["best", "last"] = "best"
    sha256: str | None = None

    @model_validator(mode="before")
    @classmethod
    def _by_folder(cls, value: Any) -> Any:
        return {"run": value} if isinstance(value, str | Path) else value

    @field_validator("run")
    @classmethod
    def _anywhere(cls, value: Path) -> Path:
        return value.absolute()

    @field_serializer("run")
    def _plain(self, value: Path) -> str:
        return str(value)


class ProbeSpec(Spec):
    """Neurons that are recorded tick by tick.

    Attributes
    ----------
    neurons
        Indices of neurons, by block name.
    samples
        Row indices within the minibatch's first lane.
    every
        Minibatches between two recordings, counted over the run. The first minibatch is always recorded.
    """

    neurons: dict[str, list[Annotated[int, Field(ge=0)]]] = {}
    samples: list[Annotated[int, Field(ge=0)]] = [0]
    every: Positive = 1000


class RecordSpec(Spec):
    """What is recorded of a run.

    Attributes
    ----------
    every
        Minibatches between two lines of the record. Every epoch adds one line.
    trace
        In free-running mode, a file with everything that `dyadnet replay` needs to repeat the run bit for bit.
    report
        Draw pictures and write a report when training ends.
    pictures
        Format of pictures in addition to PNG: ``pdf`` or ``svg``; ``png``: no other format.
    """

    every: Positive = 50
    trace: Path | None = None
    report: bool = True
    pictures: Format = "png"

    @field_serializer("trace")
    def _plain(self, value: Path | None) -> str | None:
        return None if value is None else str(value)


Port = Annotated[int, Field(ge=1024, le=65535)]


class ClusterSpec(Spec):
    """Where the actors of engine ``ray`` run. These settings do not change a single bit of the result.

    Attributes
    ----------
    address
        Address of a running cluster; ``auto`` for the one on this machine; None: start a new one on this machine.
    actors
        Number of actors. Blocks that share an actor exchange messages in memory. Default: one actor per block.
    placement
        ``pack`` on few nodes, ``spread`` over all, ``strict-spread``: each actor on a node of its own.
    cpus_per_actor
        CPUs that an actor reserves, also fractions; ``auto`` divides the cluster's CPUs, with at most one per
        actor.
    ship_code
        Send this machine's dyadnet to the nodes instead of using the version installed there.
    timeout
        Seconds of silence after which a run ends and reports what every actor waits for.
    slow
        Artificial stragglers: factors, by block, that multiply the time of everything the block's actor does.
    transport
        ``fast``: shared memory on one machine, ZeroMQ between machines; ``ray``: plain actor calls, which need no
        ports other than Ray's; or a registered transport, see `dyadnet.config.transports.Transport`.
    ports
        First and last port on which ``fast`` receives messages from other machines. Each actor needs one port, and
        the coordinator needs one.
    insecure_transport
        Let ``fast`` send between machines without CURVE, that is without encryption and without authentication by
        keys.
    detach
        Let the run continue on the cluster on its own once it has started. Needs `address`, and a folder that the
        head node can access.
    pin
        Pin every actor to one core of its machine. Cores are loaded as evenly as the measured costs of blocks
        allow.
    """

    address: str | None = None
    actors: Positive | None = None
    placement: Literal["pack", "spread", "strict-spread"] = "pack"
    cpus_per_actor: Literal["auto"] | Annotated[float, Field(gt=0)] = "auto"
    ship_code: bool = False
    timeout: float = Field(120.0, gt=0)
    slow: dict[str, Annotated[float, Field(ge=1)]] = {}
    detach: bool = False
    transport: str = "fast"
    ports: tuple[Port, Port] = (20000, 20999)
    insecure_transport: bool = False
    pin: bool = False

    @field_validator("transport")
    @classmethod
    def _registered(cls, value: str) -> str:
        if value not in TRANSPORTS:
            raise ValueError(TRANSPORTS.legal(value))
        return value

    @field_validator("ports")
    @classmethod
    def _range(cls, value: tuple[int, int]) -> tuple[int, int]:
        if value[0] > value[1]:
            raise ValueError("a first port, and a last one that is not below it")
        return value


class Settings(Spec):
    """The tree of all settings; `dyadnet.config.run.RunConfig` adds the checks that involve several settings."""

    model_config = {**Spec.model_config, "arbitrary_types_allowed": True}

    network: Network
    baseline: Literal["backprop"] | None = None
    init_from: InitSpec | None = None
    data: DataSpec = DataSpec()
    dynamics: Dynamics = Dynamics()
    imperfections: Imperfections = Imperfections()
    learning: Learning = Learning()
    probe: ProbeSpec = ProbeSpec()
    record: RecordSpec = RecordSpec()
    checkpoint: Checkpoints = CheckpointSpec()
    cluster: ClusterSpec = ClusterSpec()
    recovery: RecoverySpec = RecoverySpec()
    faults: list[FaultSpec] = []
    metrics: MetricsSpec = MetricsSpec()
    engine: str = "ray"
    seed: int = Field(0, ge=0, lt=2**63)

    @field_validator("network", mode="before")
    @classmethod
    def _network(cls, value: Any) -> Any:
        return value if isinstance(value, Network) else network_from(value)

    @field_serializer("network")
    def _plain_network(self, network: Network) -> dict[str, Any]:
        return network_to(network)
