"""The messages of blocks as rows of tables: what a block reads when it fires, and what is drawn for what it sends."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyadnet.numerics.draws import certainty
from dyadnet.program import tables as c
from dyadnet.program.tables import NONE

Array = NDArray[Any]


def incoming(own: int, blocks: Array, links: Array, channels: Array, axons: Sequence[int]) -> Array:
    """Return what each of the `own` first blocks reads when it fires, and note in `blocks` which rows are whose.

    See `I_LINK` in `dyadnet.program.tables`.
    """
    found: list[Array] = [np.zeros((0, c.I_WIDTH), dtype=np.int64)]
    blocks[:, [c.B_INCOMING, c.B_INCOMING_END]] = 0
    first = 0
    for row in blocks[:own]:
        afferent = np.arange(*row[[c.B_LINKS, c.B_LINKS_END]])
        efferent = np.array(axons[row[c.B_AXONS] : row[c.B_AXONS_END]], dtype=np.int64)
        link = np.concatenate([afferent, efferent])
        up = np.arange(len(link)) < len(afferent)
        channel = channels[2 * link + ~up]
        width = blocks[links[link, np.where(up, c.L_PRE, c.L_POST)], c.B_SIZE]
        held, fused = channel[:, c.C_HELD], links[link, c.L_FUSED] == 1
        # Prospective neurons and noisy reads keep their products, so each link needs one.
        alone = row[c.B_SIZE] == 1 and row[c.B_NOISE] < 0 and row[c.B_CORRECTION] < 0
        summed = (width == 1) & (links[link, c.L_CALLED] != 1) & (links[link, c.L_PLAN] < 0) & alone
        direct = np.where(up, fused | summed, fused & (held < 0))
        source = channel[:, c.C_SOURCE]
        shared = (held < 0) & (channel[:, c.C_RING] == blocks[source, c.B_RING]) & (channel[:, c.C_FRESH] != 1)
        reads = np.empty((len(link), c.I_WIDTH), dtype=np.int64)
        reads[:, c.I_LINK], reads[:, c.I_UP], reads[:, c.I_SIZE] = link, up, width
        reads[:, c.I_WEIGHTS] = np.where(direct, links[link, c.L_WEIGHTS], NONE)
        reads[:, c.I_SOURCE], reads[:, c.I_HELD] = np.where(shared, source, NONE), held
        reads[:, c.I_DELAY] = channel[:, c.C_DELAY]
        found.append(reads)
        row[c.B_INCOMING], row[c.B_INCOMING_END] = first, first + len(reads)
        first += len(reads)
    return np.concatenate(found)


def outgoing(sent: Sequence[int] | Array, channels: Array, chances: Array, keys: Array) -> Array:
    """Return what is drawn for each message of some channels; see `OUT_CHANNEL` in `dyadnet.program.tables`."""
    numbers = np.array(sent, dtype=np.int64)
    rows, words = channels[numbers], keys.view(np.int64)
    out = np.zeros((len(numbers), c.OUT_WIDTH), dtype=np.int64)
    out[:, c.OUT_CHANNEL] = numbers
    copied = [
        (c.OUT_LAW, c.C_LAW),
        (c.OUT_HIGH, c.C_HIGH),
        (c.OUT_COPY_DELAY, c.C_COPY_DELAY),
        (c.OUT_PIECEMEAL, c.C_PIECEMEAL),
        (c.OUT_TARGET, c.C_TARGET),
    ]
    for to, of in copied:
        out[:, to] = rows[:, of]
    out[:, c.OUT_LOW] = np.where(rows[:, c.C_LAW] == c.CONSTANT, rows[:, c.C_DELAY], rows[:, c.C_LOW])
    for to, of in ((c.OUT_FATE, c.C_KEY_FATE), (c.OUT_KEY, c.C_KEY_DELAY), (c.OUT_COPY, c.C_KEY_COPY)):
        has = rows[:, of] >= 0
        out[has, to : to + 2] = words[rows[has, of]]
    for to, of in ((c.OUT_LOSS, c.P_LOSS), (c.OUT_TWICE, c.P_DUPLICATION)):
        out[:, to] = [certainty(p) for p in chances[numbers, of].tolist()]
    return out
