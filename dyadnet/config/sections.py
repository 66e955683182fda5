"""The sections of a run's settings, and the tree that they make."""

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
"""Standard deviation of the noise that is to be taken away, unless given."""
_SCHEDULE: TypeAdapter[Any] = TypeAdapter(Schedule)


class Learning(Spec):
    """What is learned, how fast, and from how strong a nudge.

    Attributes
    ----------
    warmup
        Minibatches in which the learning rate rises to its schedule in a straight line: of the k-th it is k/warmup
        of what `learning_rate` says. None unless given.
    beta
        Strength of the nudge β > 0.
    lam
        λ of every projection while training, or by projection name; the network's own unless given.
    radius_every
        Relaxations between two estimates of the spectral radius (used by ``step: auto``).
    evaluation_batch
        Samples that settle together when a part of the data is evaluated.
    early_stopping
        Stop after epochs without a better number of the record; all epochs unless given.
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
        # A mapping with a kind is a schedule, any other is by projection.
        if isinstance(value, Mapping) and "kind" in value:
            return _SCHEDULE.validate_python(value)
        return value if document.number(value) is None else {"kind": "constant", "value": value}


class DataSpec(Spec):
    """Which samples.

    Attributes
    ----------
    name
        A data set's, such as ``digits``, ``mnist`` or ``cifar-10``, or the path of an ``.npz`` file or of a folder
        with IDX files, which is kept as an absolute one.
    dir
        Where to look for image sets, and for own data that is not at its path any more.
    limit_train, limit_test
        Use only the first so many samples.
    validation
        Fraction of the training part that is kept for choosing the best weights.
    normalise
        Give each channel of images mean 0 and variance 1 over the training part; the same numbers for the test part.
    augment
        How images are varied each time they are trained on. Evaluations never vary them.
    memory
        Written down by a run whose data were given in memory (``name: memory``): what they are known by.
    task
        ``as-given``: the targets are those that the data have. ``denoise``: of images, whatever they are of, the
        targets are the images themselves, and noise is added to the inputs.
    noise
        Standard deviation of that noise, where 1 is the range of a pixel; 0.5 unless given. See `dyadnet.data.noise`.
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
        """The same file or folder from whatever folder the run is looked at or goes on."""
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
    """Weights of another run that a run starts from, in place of those that its seed would draw.

    Attributes
    ----------
    run
        That run's folder. A text stands for it alone.
    weights
        ``best`` or ``last``.
    sha256
        Of those weights, written down once they are read; others are refused then.
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
    """Which neurons to record tick by tick.

    Attributes
    ----------
    neurons
        Indices by block name.
    samples
        Rows of the minibatch's first lane.
    every
        Minibatches between two recordings, counted over the run; the first minibatch is always recorded.
    """

    neurons: dict[str, list[Annotated[int, Field(ge=0)]]] = {}
    samples: list[Annotated[int, Field(ge=0)]] = [0]
    every: Positive = 1000


class RecordSpec(Spec):
    """What is recorded of a run.

    Attributes
    ----------
    every
        Minibatches between two lines, beside one line an epoch.
    trace
        In mode free, a file for all that `dyadnet replay` needs to repeat the run bit by bit.
    report
        Draw pictures and write a report when training ends.
    pictures
        Format that pictures are written in beside PNG: ``pdf`` or ``svg``; ``png``: in no other.
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
    """Where the actors of engine ``ray`` run. Nothing here changes a bit of the result.

    Attributes
    ----------
    address
        Of a running cluster, ``auto`` for the one on this machine; a cluster of its own on this machine if None.
    actors
        How many; blocks that share one talk in memory. One a block unless given.
    placement
        ``pack`` on few nodes, ``spread`` over all, ``strict-spread``: each actor on a node of its own.
    cpus_per_actor
        CPUs that an actor books, fractions included; ``auto`` shares out what the cluster has, at most one each.
    ship_code
        Send this machine's dyadnet to the nodes, instead of using what they have installed.
    timeout
        Seconds of silence after which a run ends and names what every actor waits for.
    slow
        Stragglers on purpose: blocks whose actor takes so many times as long for all it does.
    transport
        ``fast``: shared memory on one machine, ZeroMQ between machines; ``ray``: plain actor calls, which need no
        ports but Ray's; or one of your own, see `dyadnet.config.transports.Transport`.
    ports
        First and last port at which ``fast`` takes letters from other machines, one for each actor and one for the
        coordinator.
    insecure_transport
        Let ``fast`` send between machines without CURVE: neither encrypted nor authenticated by keys.
    detach
        Leave the run to the cluster once it has begun; needs `address`, and a folder that the head node sees.
    pin
        Keep every actor on one core of its machine, the cores loaded as evenly as blocks' measured costs allow.
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
    """The tree; see `dyadnet.config.run.RunConfig`, which makes sure of what no single setting can know."""

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
