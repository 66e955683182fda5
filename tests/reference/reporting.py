"""What the blocks of one process report of a relaxation: of each lane, then combined over lanes in their order."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from dyadnet.dynamics.outcome import RECEIVED, SENT, BlockReport, Counts, Layout, Table, numbers_of
from dyadnet.numerics import kernels
from dyadnet.numerics.image_scores import image_scores
from dyadnet.numerics.scores import errors
from dyadnet.numerics.sums import added
from tests.reference.dyads import Dyads


def columns(
    layout: Layout, reports: Sequence[BlockReport], lanes: Mapping[str, Sequence[Dyads]]
) -> tuple[Table, Counts, Counts]:
    """Numbers of some blocks, and counts of the channels that begin and that end there, as a `Share` has them.

    Parameters
    ----------
    layout
        Which blocks, and which rows.
    reports
        Of each block of the layout, in its order.
    lanes
        Their neurons in the lanes that were active, which know what their channels counted.
    """
    sent = np.zeros((len(layout.sent), len(SENT)), dtype=np.int64)
    received = np.zeros((len(layout.received), len(RECEIVED)), dtype=np.int64)
    for index, (source, target, kind) in enumerate(layout.sent):
        for dyads in lanes[source]:
            counts = dyads.sender.outbound[target, kind].counts
            sent[index] += [counts[name] for name in SENT]
    index_of = {channel: index for index, channel in enumerate(layout.received)}
    for target, active in lanes.items():
        for dyads in active:
            for (source, kind), counts in dyads.mail.report().items():
                received[index_of[source, target, kind]] += [counts[name] for name in RECEIVED]
    return np.array([numbers_of(report) for report in reports]), sent, received


def block_report(lanes: Sequence[Dyads]) -> BlockReport:
    """The report of one block over its active lanes."""
    return _combined([_lane_report(dyads) for dyads in lanes])


def _lane_report(dyads: Dyads) -> BlockReport:
    """The report of one lane; norms are still sums of squares over its samples."""
    activation, device = dyads.block.activation, dyads.device
    state = dyads.readout
    m = state[0]
    speaks = dyads.speaks
    if speaks:
        A, D = device.seen(dyads.A), device.scaled(dyads.D)
        plus, minus = activation.saturated(A + D), activation.saturated(A - D)
        saturated = 0.5 * float(np.count_nonzero(plus) + np.count_nonzero(minus))
    elif dyads.turn is not None:
        saturated = 0.5 * (dyads.turn.saturated + np.count_nonzero(activation.saturated(device.seen(dyads.A))))
    else:
        saturated = float(np.count_nonzero(activation.saturated(device.seen(dyads.A))))
    loss: float | None = None
    correct: int | None = None
    squared: float | None = None
    absolute: float | None = None
    psnr: float | None = None
    ssim: float | None = None
    if dyads.targets is not None:
        loss = float(np.sum(dyads.loss.value(m, dyads.targets)))
        correct = int(np.count_nonzero(m.argmax(axis=1) == dyads.targets.argmax(axis=1)))
        squared, absolute = errors(m, dyads.targets)
        psnr, ssim = image_scores(m, dyads.targets, None)
    return BlockReport(
        block=dyads.name,
        samples=m.shape[0],
        neurons=m.shape[1],
        residual_mean=dyads.course.residual,
        residual_difference=dyads.course.relative,
        saturated=saturated,
        mean_square=_square(m),
        difference_square=_square(state[1]) if len(state) == 2 else 0.0,
        updates=dyads.course.updates,
        messages=sum(end.counts["messages"] for end in dyads.sender.outbound.values()),
        values=sum(end.counts["values"] for end in dyads.sender.outbound.values()),
        stale=dyads.mail.stale,
        loss=loss,
        correct=correct,
        squared=squared,
        absolute=absolute,
        psnr=psnr,
        ssim=ssim,
        age=dyads.age,
        weight_norm=dyads.block.measured[0],
        update_norm=dyads.block.measured[1],
        agreement=dyads.block.agreement,
    )


def _combined(lanes: Sequence[BlockReport]) -> BlockReport:
    """One report of all lanes of a block."""
    first = lanes[0]
    if len(lanes) == 1:
        return first
    return BlockReport(
        block=first.block,
        samples=sum(r.samples for r in lanes),
        neurons=first.neurons,
        residual_mean=max(r.residual_mean for r in lanes),
        residual_difference=max(r.residual_difference for r in lanes),
        saturated=added(r.saturated for r in lanes),
        mean_square=added(r.mean_square for r in lanes),
        difference_square=added(r.difference_square for r in lanes),
        updates=sum(r.updates for r in lanes),
        messages=sum(r.messages for r in lanes),
        values=sum(r.values for r in lanes),
        stale=sum(r.stale for r in lanes),
        loss=None if first.loss is None else added(r.loss or 0.0 for r in lanes),
        correct=None if first.correct is None else sum(r.correct or 0 for r in lanes),
        squared=None if first.squared is None else added(r.squared or 0.0 for r in lanes),
        absolute=None if first.absolute is None else added(r.absolute or 0.0 for r in lanes),
        psnr=None if first.psnr is None else added(r.psnr or 0.0 for r in lanes),
        ssim=None if first.ssim is None else added(r.ssim or 0.0 for r in lanes),
        age=max(r.age for r in lanes),
        weight_norm=first.weight_norm,
        update_norm=first.update_norm,
        agreement=first.agreement,
    )


def _square(array: np.ndarray[tuple[int, ...], np.dtype[np.floating]]) -> float:
    return float(kernels.square(np.ascontiguousarray(array).reshape(-1)))
