"""The lines of a run's record, ``metrics.jsonl`` and ``machinery.jsonl``: what each holds, how it is made and found.

Each key says its unit and its meaning; ``docs/record.md`` lists the same, and a test compares the two. Lines are plain
dicts: what a callback is given, what is written, and what is read again.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, NotRequired, TypedDict, cast

from dyadnet.dynamics.block_metrics import RECORDED

Line = Mapping[str, Any]
SCORED = ("train", "validation", "test", "validation_ideal", "test_ideal")
"""Keys of an epoch's line that are parts of the data."""


@dataclass(frozen=True, slots=True)
class Key:
    """What a key of a line means.

    Attributes
    ----------
    unit
        What a value counts or measures.
    meaning
        One sentence.
    when
        When it is there, if not always.
    """

    unit: str
    meaning: str
    when: str = ""


_MESSAGES = Key("count", "Messages sent.")
_VALUES = Key("count", "Numbers in these messages.")
_STALE = Key("count", "Messages that came after a newer one was held.")
_CLASSES, _NUMBERS, _IMAGES = "targets are classes", "targets are numbers", "targets are images"
_IMPERFECT = "the run has imperfections"
_PROSPECTIVE = "neurons are prospective"
_FREE = "free-running mode"
_ACTORS = "engine ray"


class BlockEntry(TypedDict):
    """What a part of a line says of one block; a block metric of one's own is one more key, of its name."""

    saturated: Annotated[float, Key("fraction", "Compartments at either bound.")]
    mean_norm: Annotated[float, Key("1", "Root mean square of the means m.")]
    difference_norm: Annotated[float, Key("1", "Root mean square of the differences d.")]
    residual_mean: Annotated[float, Key("pre-activation", "Largest |A*−A| at the last firing of a relaxation.")]
    residual_difference: Annotated[float, Key("ratio", "Largest |D*−D| there, relative to the largest |D|.")]
    updates: Annotated[int, Key("count", "Firings.")]
    messages: Annotated[int, _MESSAGES]
    values: Annotated[int, _VALUES]
    stale: Annotated[int, _STALE]


class OfChannel(TypedDict):
    """What a part of a line says of one channel, ``pre>post state`` or ``post>pre feedback``."""

    messages: Annotated[int, _MESSAGES]
    values: Annotated[int, _VALUES]
    quantised: Annotated[int, Key("count", "Numbers that went through quantisation.")]
    suppressed: Annotated[int, Key("count", "Numbers that send-on-delta held back.")]
    delayed: Annotated[int, Key("count", "Messages that arrived later than at the next tick.")]
    dropped: Annotated[int, Key("count", "Messages that were lost.")]
    duplicated: Annotated[int, Key("count", "Messages that came a second time.")]
    stale: Annotated[int, _STALE]


class RelaxedEntry(TypedDict):
    """How relaxations ended."""

    loss: Annotated[float, Key("loss", "Mean over samples.")]
    accuracy: NotRequired[Annotated[float, Key("fraction", "Correct predictions.", _CLASSES)]]
    r2: NotRequired[Annotated[float, Key("1", "1 − mean squared error / variance of the targets.", _NUMBERS)]]
    mae: NotRequired[Annotated[float, Key("target", "Mean absolute error.", _NUMBERS)]]
    squared_error: NotRequired[Annotated[float, Key("target²", "Mean squared error.", _NUMBERS)]]
    psnr: NotRequired[Annotated[float, Key("dB", "10·log₁₀(1/MSE) of an image, mean over images.", _IMAGES)]]
    ssim: NotRequired[Annotated[float, Key("1", "Structural similarity of an image, mean over images.", _IMAGES)]]
    samples: Annotated[int, Key("count", "Samples that were relaxed.")]
    sweeps: Annotated[float, Key("sweeps", "Of a relaxation, over all phases of its slowest lane: mean.")]
    most_sweeps: Annotated[float, Key("sweeps", "The same: largest.")]
    ticks: Annotated[float, Key("ticks", "Of a relaxation's slowest lane: mean.")]
    phases: Annotated[int, Key("count", "Phases of all lanes.")]
    capped: Annotated[int, Key("count", "Phases that ended at their cap, unsettled.")]
    blocks: Annotated[dict[str, BlockEntry], Key("", "Of each block, by name; see below.")]


class PartEntry(RelaxedEntry):
    """How the relaxations of a part of the data ended, in an epoch."""

    edges: Annotated[dict[str, OfChannel], Key("", "Of each channel, by name; see below.")]


Settings = TypedDict(
    "Settings",
    {
        "learning_rate": Annotated[float, Key("1", "Learning rate in force.")],
        "beta": Annotated[float, Key("1", "Strength of the nudge β.")],
        "lambda": Annotated[list[float], Key("1", "λ of each recurrent projection, in the network's order.")],
        "radius": Annotated[float, Key("1", "Spectral radius, as last estimated; 0 if the step rule needs none.")],
        "step": Annotated[float, Key("1", "η or ω; in free-running mode T in units of the delay.")],
        "gamma": NotRequired[Annotated[float, Key("ages", "γ, how far neurons extrapolate.", _PROSPECTIVE)]],
        "span": NotRequired[Annotated[float, Key("updates", "Of the sender, that a difference spans.", _PROSPECTIVE)]],
    },
)
"""What is in force at a moment of the run."""


class Epoch(Settings):
    """A line of ``metrics.jsonl`` of kind ``epoch``: an epoch has ended."""

    kind: Annotated[Literal["epoch"], Key("", "`epoch`.")]
    epoch: Annotated[int, Key("from 1", "Which epoch.")]
    train: Annotated[PartEntry, Key("", "Of the minibatches as the epoch went on, with a nudge.")]
    validation: Annotated[PartEntry, Key("", "Of the validation part under the epoch's last weights, without a nudge.")]
    test: Annotated[PartEntry, Key("", "Of the test part, likewise.")]
    validation_ideal: NotRequired[Annotated[PartEntry, Key("", "Of the validation part without them.", _IMPERFECT)]]
    test_ideal: NotRequired[Annotated[PartEntry, Key("", "Of the test part without them.", _IMPERFECT)]]
    weight_norm: Annotated[dict[str, float], Key("1", "Frobenius norm of the weights of each block.")]
    weights_sha256: Annotated[str, Key("hash", "Of all weights after the epoch.")]
    relaxations: Annotated[int, Key("count", "Relaxations since the run began.")]


class Minibatch(Settings, RelaxedEntry):
    """A line of ``metrics.jsonl`` of kind ``minibatch``: one relaxation, every ``record.every`` minibatches."""

    kind: Annotated[Literal["minibatch"], Key("", "`minibatch`.")]
    epoch: Annotated[int, Key("from 1", "Which epoch.")]
    minibatch: Annotated[int, Key("from 1", "Which minibatch of the epoch.")]
    objective: NotRequired[
        Annotated[
            float,
            Key("loss", "Saddle objective (paper, eq. 4), mean over samples.", "phases are not in turn, no baseline"),
        ]
    ]


class Seconds(TypedDict):
    """Seconds of an epoch, by what they were spent on."""

    training: Annotated[float, Key("s", "Training, with what it waits for.")]
    evaluation: Annotated[float, Key("s", "Evaluation.")]
    relax: Annotated[float, Key("s", "Of both: relaxations, as the coordinator sees it.")]
    learn: NotRequired[Annotated[float, Key("s", "Hebbian updates.", "engine local")]]
    radius: NotRequired[Annotated[float, Key("s", "Estimates of the spectral radius.", "the step rule needs it")]]


class PaceEntry(TypedDict):
    """The pace of a run in real time."""

    delay_ms: Annotated[float, Key("ms", "Mean delay δ between actors.")]
    longest_ms: Annotated[float, Key("ms", "Its 95 % quantile.")]
    time_constant_ms: Annotated[float, Key("ms", "Time constant T in force.")]


class Read(TypedDict):
    """What an actor read of a neighbouring one, in real time."""

    age_ms: Annotated[list[int], Key("count", "Updates by the age of what they read, in bins of milliseconds.")]
    age_updates: Annotated[list[int], Key("count", "The same, in updates of the sender.")]
    letters: Annotated[int, Key("count", "Packets that came.")]
    dropped_stale: Annotated[int, Key("count", "Messages that a newer one overtook.")]


class OfActor(TypedDict):
    """What one actor spent in an epoch; ``dropped, REASON`` are counts by reason of what it refused."""

    computing: Annotated[float, Key("s", "Computing.")]
    waiting: Annotated[float, Key("s", "Waiting for others.")]
    sending: Annotated[float, Key("s", "Sending.")]
    learning: Annotated[float, Key("s", "Hebbian updates.")]
    radius: Annotated[float, Key("s", "Its part of the power iterations.")]
    held: Annotated[float, Key("s", "Held back as a straggler, on purpose.")]
    letters: Annotated[int, Key("count", "Packets sent; on one machine, ticks or updates that others were told of.")]
    messages: Annotated[int, Key("count", "Messages to other actors.")]
    bytes: Annotated[int, Key("bytes", "Size of these.")]
    dropped: Annotated[int, Key("count", "Messages refused.")]
    updates_per_second: NotRequired[Annotated[float, Key("1/s", "Updates.", _FREE)]]
    edges: NotRequired[Annotated[dict[str, Read], Key("", "By neighbouring actor; see below.", _FREE)]]


class Spent(TypedDict):
    """A line of ``machinery.jsonl`` of kind ``epoch``: what an epoch cost."""

    kind: Annotated[Literal["epoch"], Key("", "`epoch`.")]
    epoch: Annotated[int, Key("from 1", "Which epoch.")]
    seconds: Annotated[Seconds, Key("", "By what they were spent on; see below.")]
    messages: Annotated[int, Key("count", "Messages between blocks, evaluation included.")]
    bytes: Annotated[int, Key("bytes", "Size of the numbers in them.")]
    learning_epochs: Annotated[int, Key("count", "Epochs that the run is to have.")]
    pace: NotRequired[Annotated[PaceEntry, Key("", "See below.", _FREE)]]
    actors: NotRequired[Annotated[dict[str, OfActor], Key("", "By actor; see below.", _ACTORS)]]


class Checkpoint(TypedDict):
    """A line of ``machinery.jsonl`` of kind ``checkpoint``: one was written."""

    kind: Annotated[Literal["checkpoint"], Key("", "`checkpoint`.")]
    name: Annotated[str, Key("", "Its folder.")]
    minibatch: Annotated[int, Key("count", "Minibatches that were learned from by then.")]
    seconds: Annotated[float, Key("s", "For which training stood still.")]
    bytes: Annotated[int, Key("bytes", "Size of its files.")]


class PlaceEntry(TypedDict):
    """Where an actor runs."""

    node: Annotated[str, Key("", "Node of the Ray cluster.")]
    address: Annotated[str, Key("", "Address of its machine.")]
    pid: Annotated[int, Key("", "Process.")]
    nice: Annotated[int, Key("1", "Niceness of that process.")]
    code: Annotated[str, Key("", "Folder that its code is from.")]


class Placement(TypedDict):
    """A line of ``machinery.jsonl`` of kind ``placement``: actors were placed, at the beginning or after a failure."""

    kind: Annotated[Literal["placement"], Key("", "`placement`.")]
    actors: Annotated[dict[str, PlaceEntry], Key("", "By actor; see below.")]
    costs: NotRequired[
        Annotated[dict[str, float], Key("s", "Of a relaxation and an update, by block.", "blocks were measured first")]
    ]
    loads: NotRequired[Annotated[dict[str, float], Key("s", "The same by actor.", "with `costs`")]]


class RecoveryEntry(TypedDict):
    """A line of ``machinery.jsonl`` of kind ``recovery``: the run goes on after a failure."""

    kind: Annotated[Literal["recovery"], Key("", "`recovery`.")]
    life: Annotated[int, Key("from 1", "Which life of the actors begins; the first had number 0.")]
    seconds: Annotated[float, Key("s", "From the failure until all actors were there again.")]


class WaitEntry(TypedDict):
    """A wait of a chain."""

    who: Annotated[str, Key("", "Block or actor that waits.")]
    source: Annotated[str, Key("", "Block or actor that it waits for.")]
    kind: Annotated[str, Key("", "`state`, `feedback` or `report`.")]
    tick: Annotated[int, Key("tick", "At which it is sent.")]


class ChainEntry(TypedDict):
    """A chain of waits."""

    lane: Annotated[int | None, Key("from 0", "In which they wait; null if nobody does.")]
    waits: Annotated[list[WaitEntry], Key("", "From the longest wait on; see below.")]
    end: Annotated[str, Key("", "The actor at the end.")]
    cause: Annotated[str, Key("", "What is the matter with it.")]
    doing: Annotated[str, Key("", "The same in words.")]


class Stall(TypedDict):
    """A line of ``machinery.jsonl`` of kind ``stall``: nothing moved for a while."""

    kind: Annotated[Literal["stall"], Key("", "`stall`.")]
    still: Annotated[float, Key("s", "For which nothing had moved.")]
    ends: Annotated[list[str], Key("", "Actors at the ends of the waiting, the most telling first.")]
    text: Annotated[str, Key("", "Why, in words.")]
    chains: Annotated[list[ChainEntry], Key("", "Who waits for whom; see below.")]


LINES: dict[str, dict[str, type]] = {
    "metrics.jsonl": {"epoch": Epoch, "minibatch": Minibatch},
    "machinery.jsonl": {
        "epoch": Spent,
        "checkpoint": Checkpoint,
        "placement": Placement,
        "recovery": RecoveryEntry,
        "stall": Stall,
    },
}
"""Every kind of line, by file."""
PARTS: tuple[type, ...] = (
    PartEntry,
    BlockEntry,
    OfChannel,
    Seconds,
    PaceEntry,
    OfActor,
    Read,
    PlaceEntry,
    ChainEntry,
    WaitEntry,
)
"""What lines are made of."""


# How lines are made


def epoch_began(epoch: int, settings: Line) -> dict[str, Any]:
    """An epoch's line without what comes out of it: parts, then `epoch_ended`.

    Parameters
    ----------
    epoch
        Counted from 0.
    """
    return {"kind": "epoch", "epoch": epoch + 1, **settings}


def epoch_ended(norms: Line, weights_sha256: str, relaxations: int) -> dict[str, Any]:
    """How an epoch's line ends."""
    return {"weight_norm": norms, "weights_sha256": weights_sha256, "relaxations": relaxations}


def minibatch(epoch: int, index: int, settings: Line, latest: Line, objective: float | None = None) -> dict[str, Any]:
    """A minibatch's line; epoch and index are counted from 0."""
    line = {"kind": "minibatch", "epoch": epoch + 1, "minibatch": index + 1, **settings, **latest}
    return line if objective is None else line | {"objective": objective}


def spent(epoch: int, seconds: Line, traffic: tuple[int, int], epochs: int, pace: Line, actors: Line) -> dict[str, Any]:
    """What an epoch cost.

    Parameters
    ----------
    epoch
        Counted from 0.
    traffic
        Messages and bytes.
    epochs
        That the run is to have.
    """
    line = {"kind": "epoch", "epoch": epoch + 1, "seconds": dict(seconds)}
    line |= {"messages": traffic[0], "bytes": traffic[1], "learning_epochs": epochs}
    return line | ({"pace": pace} if pace else {}) | ({"actors": actors} if actors else {})


def checkpoint(name: str, updates: int, seconds: float, size: int) -> Checkpoint:
    """A checkpoint was written, after so many minibatches."""
    return {"kind": "checkpoint", "name": name, "minibatch": updates, "seconds": seconds, "bytes": size}


def placement(actors: Mapping[str, Line], costs: Mapping[str, float]) -> dict[str, Any]:
    """Actors were placed; `costs` are seconds of each block, by which they were shared out, if they were."""
    line: dict[str, Any] = {"kind": "placement", "actors": dict(actors)}
    if costs:
        line["costs"] = dict(costs)
        line["loads"] = {label: sum(costs[name] for name in label.split("+")) for label in actors}
    return line


def recovery(life: int, seconds: float) -> RecoveryEntry:
    """The run goes on after a failure."""
    return {"kind": "recovery", "life": life, "seconds": seconds}


def stall(diagnosis: Line) -> dict[str, Any]:
    """Nothing moves, and this is why."""
    return {"kind": "stall", **diagnosis}


# How lines are found


def epochs(metrics: Iterable[Line]) -> list[Epoch]:
    """The epochs of a scientific record, the newest line of each."""
    found = {line["epoch"]: line for line in metrics if line["kind"] == "epoch"}
    return [cast(Epoch, line) for line in found.values()]


def ended(metrics: Iterable[Line]) -> int:
    """How many epochs of a scientific record have ended."""
    return sum(line["kind"] == "epoch" for line in metrics)


def minibatches(metrics: Iterable[Line]) -> list[Minibatch]:
    """The minibatches of a scientific record."""
    return [cast(Minibatch, line) for line in metrics if line["kind"] == "minibatch"]


def spendings(machinery: Iterable[Line]) -> list[Spent]:
    """What epochs cost, by a machinery's record, the newest line of each."""
    found = {line["epoch"]: line for line in machinery if line["kind"] == "epoch"}
    return [cast(Spent, line) for line in found.values()]


_BUILT_IN = {column.recorded for column in RECORDED}


def own_of(block: Line) -> dict[str, float]:
    """Block metrics of one's own, by name, of what a line says of a block."""
    return {name: float(value) for name, value in block.items() if name not in _BUILT_IN}


def numbers(line: Mapping[str, Any]) -> dict[str, float]:
    """Single numbers of an epoch's line of the record, those of a part under its name."""
    found = {key: value for key, value in line.items() if isinstance(value, int | float)}
    for part in SCORED:
        found |= {f"{part}_{key}": value for key, value in line.get(part, {}).items() if isinstance(value, int | float)}
    return found
