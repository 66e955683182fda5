"""The data of a program's compiled functions: integer tables, and the arrays that their offsets point into.

A table has one row for each block, link or channel; the constants below name its columns. Offsets count numbers from
the beginning of an array: ``X`` is the arena of one lane, ``W`` holds the parameters of all blocks. Arrays of a lane
have the shape (streams, rows, neurons): means come first, and differences lie `rows × neurons` numbers behind them.

The tables of blocks and links begin with those of this process. *Ghosts* follow: blocks of other processes (hosts)
that are linked with blocks of this process, and the links from this process to them. Of a ghost only what it sends is
stored here.

A link joins block `pre` to block `post`. It has two channels: ``2·link`` carries the state of `pre` upwards,
``2·link + 1`` the feedback of `post` downwards. Links are ordered by their post block, so that the afferent links of
a block are a range.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dyadnet.numerics.histogram import BINS

Array = NDArray[Any]
NONE = -1
"""Marks an offset that does not exist."""

# Blocks, fixed for a run. A ring holds the last `B_DEPTH` states or feedbacks of a block; the depth is a power of two.
B_SIZE, B_A, B_D, B_BASE, B_RING, B_DEPTH, B_META = range(7)
B_LINKS, B_LINKS_END, B_AXONS, B_AXONS_END, B_OUT, B_OUT_END = range(7, 13)
B_ACTIVATION, B_LOSS, B_NUDGE, B_ETA, B_GAIN, B_THRESHOLD = range(13, 19)
B_INPUT, B_BIAS, B_RATES, B_NOISE, B_KEY_READ, B_KEY_NUDGE = range(19, 25)
B_CLOCK, B_PERIOD, B_OFFSET, B_KEY_CLOCK = range(25, 29)
B_READOUT, B_AVERAGE, B_TURN, B_PROBED, B_LEFT, B_RING_SLOT, B_COARSE, B_FUSED = range(29, 37)
B_HOST, B_PLACE, B_ORDER, B_WAITS, B_WAITS_END, B_CORRECTION = range(37, 43)
# Whether Python computes the products of any of its afferent links, or of its input. For a clock that is called in
# Python: the column of `State.ahead` that says whether it fires.
B_CALLED, B_CALLED_INPUT, B_AHEAD = range(43, 46)
# Plan and switches of the input's projection, as for a link; number of biases, each shared by equally many neurons.
B_PLAN, B_SWITCHES, B_BIASES = range(46, 49)
# Its rows of `Tables.incoming`.
B_INCOMING, B_INCOMING_END, B_WIDTH = range(49, 52)
PERIODIC, BERNOULLI_BLOCKS, BERNOULLI_NEURONS, CALLED_CLOCK = range(4)

# Floating-point settings of blocks.
R_LEAK, R_GAIN, R_TOP, R_CLOCK, R_NUDGE, R_WIDTH = range(6)

# Links. Products of tiny synapses are *fused*: they are computed where they are summed, and are not stored. The
# feedback channel of such a link has the states of its post block in its ring, and the reader multiplies.
L_PRE, L_POST, L_WEIGHTS, L_FUSED, L_TURNED, L_PRODUCT, L_CACHE, L_FIXED_CACHE = range(8)
L_CACHE_SLOT, L_READOUT, L_AVERAGE, L_TURN, L_KEY_FORWARD, L_KEY_BACKWARD, L_RESPONSE, L_NOISE = range(8, 16)
# Whether Python computes its products and its contrast; `L_WEIGHTS` is then where its parameters begin.
L_CALLED = 16
# Where its plan begins, if it is compiled and not dense (see `dyadnet.numerics.connections`), and where its switches
# are.
L_PLAN, L_SWITCHES, L_WIDTH = range(17, 20)

# Channels. `C_HELD` is an array of the receiver, for messages that may be lost, overtaken or disturbed. Without it the
# receiver reads the sender's ring in place, `C_DELAY` ticks back. `C_CALLED`: user-defined imperfections change what
# arrives. What every message needs comes first, in one cache line.
C_HELD, C_RING, C_SLOT, C_SIZE, C_MASK, C_META, C_FRESH, C_NOISY = range(8)
C_SOURCE, C_CALLED, C_DELAY, C_TARGET, C_WHEN, C_LAW, C_LOW, C_HIGH, C_KEY_DELAY = range(8, 17)
C_UNCERTAIN, C_KEY_FATE, C_KEY_COPY, C_COPY_DELAY = range(17, 21)
C_GROUPS, C_GROUPS_END, C_COPY_GROUPS, C_COPY_GROUPS_END, C_PIECEMEAL, C_KEY_NOISE, C_KEY_COPY_NOISE = range(21, 28)
C_COARSE, C_LAST, C_DELTA, C_BITS, C_DIFFERENCE_BITS, C_STOCHASTIC, C_KEY_ROUNDING = range(28, 35)
# Histories of prospective neurons: earlier products or feedback as they were held, and their firings.
C_HISTORY, C_HISTORY_WHEN, C_HISTORY_SLOT, C_SPAN = range(35, 39)
# In real time: messages under way, which have been read but have not arrived, and their metadata.
C_LINE, C_LINE_WHEN = range(39, 41)
# For a law of delay that is called in Python: columns of `State.ahead` with the delays of messages and of duplicates.
C_AHEAD, C_COPY_AHEAD, C_WIDTH = 41, 42, 48
CONSTANT, UNIFORM, GEOMETRIC, BY_NEURON, CALLED_LAW = range(5)

# Floating-point settings of channels. A range of quantisation with equal ends stands for the automatic range.
P_LOSS, P_DUPLICATION, P_GEOMETRIC = range(3)
P_ADD_MEAN, P_ADD_DIFFERENCE, P_TIMES_MEAN, P_TIMES_DIFFERENCE = range(3, 7)
P_DELTA, P_DELTA_DIFFERENCE, P_LOW, P_HIGH, P_DIFFERENCE_LOW, P_DIFFERENCE_HIGH, P_RATE, P_LAG = range(7, 15)
# Real time, in nanoseconds: a delay is uniform from shortest to longest, or exponential with a mean, cut at the
# longest.
P_SHORTEST, P_LONGEST, P_MEAN, P_WIDTH = range(15, 19)

# Groups of neurons with the same delay: the delay, and where in `members` the group begins and ends.
G_DELAY, G_START, G_END, G_WIDTH = range(4)

# Registers of a lane: values that differ between minibatches, which all use the same program.
REG_ROWS, REG_LANE, REG_RELAXATION, REG_PHASE, REG_SIDE, REG_AVERAGE = range(6)
# `REG_LOOKS`: number of polls before this process sleeps, in virtual time.
REG_TICK, REG_EVENTS, REG_PC, REG_STAGE, REG_BLOCK, REG_LOOKS, REG_PROBING, REG_MERGES = range(6, 14)
REG_FEEDFORWARD, REG_CARRY_ON, REG_SCRATCH = range(14, 17)
REG_RUN, REG_RUN_END = 17, 19  # of means, then of differences
REG_ROUND, REG_HOST, REG_WAITS_FOR, REG_WAITS_UNTIL = range(21, 25)
# Stop rule of the present phase, and its verdict.
REG_CHECK, REG_CHECKS, REG_FIRST, REG_SWEEP, REG_WINDOW, REG_EVERY, REG_CAP, REG_FIXED, REG_PATIENCE = range(25, 34)
REG_SMALLEST_AT, REG_VERDICT, REG_WORST = range(34, 37)
# In real time, nanoseconds of this machine's clock: the present update (`REG_NOW`), the beginning of the phase, and the
# last time that a block was over tolerance. Then: the state that this host reports; updates before the phase; whether
# the phase may be averaged; numbers of recorded delays and of recorded rows of the trace; at the end of the phase, the
# fewest updates of a host and the sum of updates over blocks; the time since the previous update.
REG_REAL, REG_NOW, REG_BEGAN, REG_OVER_AT, REG_STATE, REG_BEFORE, REG_MAY_AVERAGE = range(37, 44)
REG_DELAYS, REG_TRACED, REG_FEWEST, REG_SUM, REG_INTERVAL = range(44, 49)
# Last tick for which Python has drawn ahead.
REG_AHEAD = 49
# Streams of the message that a user-defined imperfection is about to change: 1 for means, plus 2 for differences.
REG_STREAMS = 50
# Number of threads that execute this lane's events together.
REG_TEAM = 51
# Differs from relaxation to relaxation, for what is looked up once.
REG_SERIAL, REG_WIDTH = 52, 53
F_BETA, F_STEP, F_TOLERANCE, F_TOLERANCE_DIFFERENCE, F_EPSILON, F_SMALLEST, F_WORST, F_GAMMA = range(8)
# In real time, nanoseconds: T, how long all must be quiet, how long a phase may take, and the span of a difference.
# Then: updates that a phase may take; the ratio T/δ; δ for which T was chosen; the present δ.
F_TIME, F_WINDOW, F_BUDGET, F_SPAN, F_UPDATES, F_RATIO, F_CHOSEN, F_DELAY, F_WIDTH = range(8, 17)
CONTINUE, SETTLED, CAPPED, INFINITE, CIRCLING = range(5)

# What a firing block reads: its afferent links first, then its efferent ones, and whether messages come up the link.
# `I_WEIGHTS` are its parameters if its product is computed where it is summed. A message lies in the ring of
# `I_SOURCE`, `I_DELAY` ticks back, or in the receiver's own array `I_HELD`, or where its channel says.
I_LINK, I_UP, I_WEIGHTS, I_SIZE, I_SOURCE, I_DELAY, I_HELD, I_WIDTH = range(8)

# State of a block in a lane.
S_FIRED, S_OVER, S_COUNT, S_MEAN_SINCE, S_DIFFERENCE_SINCE, S_DYADIC, S_SCHEDULED = range(7)
S_AVERAGED, S_AVERAGED_STREAMS, S_TURN, S_SIDE, S_SPEAKING, S_WIDTH = range(7, 13)
V_WORST, V_RESIDUAL, V_RELATIVE, V_WIDTH = range(4)

# Metadata of a state or feedback in a ring: tick of sending; the firings since which the means and the differences have
# had the same bits; in real time also the nanosecond. The padding keeps a row within one cache line.
M_TICK, M_MEAN_SINCE, M_DIFFERENCE_SINCE, M_DYADIC, M_STAMP, M_WIDTH = 0, 1, 2, 3, 4, 8

# State of a link: the firings that its products were computed from.
K_MEAN, K_DIFFERENCE, K_CACHED, K_STREAMS, K_CACHED_MEAN, K_CACHED_DIFFERENCE, K_AVERAGED_STREAMS = range(7)
# The means that set the switches, and those that had set them when the feedback was computed.
K_CHOSEN, K_SWITCHED, K_WIDTH = range(7, 10)

# State of a channel: what its receiver holds, if it has an array of its own, and what its sender remembers.
# `H_SCHEDULED` is the newest update that was read in real time; in virtual time `GOT_SCHEDULED` takes its place.
H_TICK, H_MEAN_SINCE, H_DIFFERENCE_SINCE, H_MEAN, H_DIFFERENCE, H_SCHEDULED, H_COUNT = range(7)
# In real time: when the held message was sent, and when a message was last put under way.
H_STAMP, H_PUT, H_WIDTH = range(7, 10)

# Counts of a channel, in the order of `dyadnet.dynamics.outcome.COUNTED` without its first entry.
N_VALUES, N_QUANTISED, N_SUPPRESSED, N_DELAYED, N_DROPPED, N_DUPLICATED, N_STALE, N_WIDTH = range(8)

# Events: (opcode, block or channel, number of the firing, tick of sending, phase of sending, copy, group).
FIRE, HOLD, MERGE, PATCH, TICK = range(5)
E_OP, E_WHO, E_COUNT, E_SENT, E_PHASE, E_COPY, E_GROUP, E_WIDTH = range(8)

# What is drawn for a message, by channel, in two cache lines. `OUT_LOW` is the delay if it is constant; `OUT_FATE`,
# `OUT_KEY` and `OUT_COPY` are two words of a key each; `OUT_LOSS` and `OUT_TWICE` are chances as `certainty` in
# `dyadnet.numerics.draws` gives them; `OUT_PIECEMEAL` as `C_PIECEMEAL`; `OUT_TARGET` is the block that receives it.
OUT_CHANNEL, OUT_LAW, OUT_LOW, OUT_HIGH, OUT_FATE, OUT_KEY = 0, 1, 2, 3, 4, 6
OUT_LOSS, OUT_TWICE, OUT_COPY_DELAY, OUT_PIECEMEAL, OUT_TARGET, OUT_COPY, OUT_WIDTH = 8, 9, 10, 11, 12, 13, 16

# A message under way: row of `Tables.outgoing`·2³² + 8·channel + 4·piecemeal + 2·lost + copy; firing; tick of sending;
# phase·2³² + group + 1.
W_WHAT, W_COUNT, W_SENT, W_WHERE, W_WIDTH = range(5)
# What has arrived of a row of `Tables.outgoing`: tick of sending of the newest message, and counts from `N_DELAYED` on.
GOT_SCHEDULED, GOT_DELAYED, GOT_DROPPED, GOT_DUPLICATED, GOT_STALE, GOT_WIDTH = 0, 1, 2, 3, 4, 8
CHUNK = 16
"""Messages under way that lie one after the other."""
# The messages that arrive at a tick lie in a list of chunks: its first and last chunk, the number of messages that have
# been put there, and how many of them have been taken. The padding keeps the threads of a team apart.
Q_FIRST, Q_LAST, Q_PUT, Q_TAKEN, Q_WIDTH = 0, 1, 2, 3, 8
# The chunks and buckets of the messages that a thread receives: the first free chunk, the number of free chunks, how
# many the messages of a tick may take, the first bucket, and the number of buckets less 1, a power of two less 1.
POOL_FREE, POOL_LEFT, POOL_NEED, POOL_FIRST, POOL_MASK, POOL_WIDTH = 0, 1, 2, 3, 4, 16
# The next chunk of a list, and the pool to which a chunk belongs.
CHUNK_NEXT, CHUNK_POOL, CHUNK_WIDTH = range(3)

# Terms of a drive: their offsets; for a fused product also its synapses (`NONE` otherwise) and the size of its block. A
# *run* stands for several products of one synapse each: its beginning and its length in `runs`.
RUN = -2
T_OFFSET, T_WEIGHTS, T_INNER, T_BACKWARD, T_WIDTH = range(5)

# Reasons for which `run` returns to Python.
DONE, GROW, ACTIVATE, NUDGE, PROBE, OVER, BLOCKED, LOOK, MULTIPLY, FEED_BACK, FORESEE, DISTURB = range(12)
# A team of threads has a line of integers for the leader's orders, then one for each thread; each begins with a word.
# Orders: the number of the latest one, what it asks for, and the ticks executed before it. A thread: the ticks that it
# has executed, the latest order that it has heard, its register of merges, addresses of its views; then scratch of four
# integers. The last integer of a line is the number of threads that sleep on its word.
O_ORDER, O_KIND, O_TICKS = range(3)
COME, EXECUTE, LEAVE = range(3)
U_TICKS, U_HEARD, U_MERGES, U_TABLES, U_MEMORY, U_STATE, U_ROOM = range(7)
# Lanes that one thread advances: addresses of their views, and their stage.
ADVANCE_TABLES, ADVANCE_MEMORY, ADVANCE_STATE, ADVANCE_STAGE, ADVANCE_WIDTH = range(5)
ADVANCE_IDLE, ADVANCE_BEGINNING, ADVANCE_RUNNING = range(3)
AHEAD = 32
"""Number of ticks that Python draws ahead at a time, starting at a multiple of it: the same ticks in every process."""
FAR = 2**62
"""A tick that is never reached."""

# Hosts that a block waits for before it fires: the host must have completed tick − lag. Then the messages of that tick
# are there, or the host has read the slot that is about to be overwritten.
Y_HOST, Y_LAG, Y_WIDTH = range(3)

# Report of a host to all others at a check tick, 8 bytes each: earliest last firing of its blocks, latest firing over
# tolerance, largest residual, block of that residual. There are two such boards: no host is two checks ahead of
# another.
J_FIRED, J_OVER, J_RESIDUAL, J_BLOCK, J_WIDTH = range(5)

FINISHED = 2**31
"""Bit in a host's word, in real time: it makes no more updates in this round."""

# Report of a host in real time, in the same place: its state in a phase of a round, its updates in the phase, its
# number of blocks, the block with the worst residual. The first host decides: its verdict on a phase, and the block it
# blames.
J_STATE, J_UPDATES, J_BLOCKS, J_WORST, J_VERDICT, J_BLAMED = range(6)
RESTLESS, QUIET, SPENT, BROKEN = range(4)

# Messages under way in real time; a channel has `LINE` places: number of the update (0: the place is free), due time,
# time of sending, and metadata as in a ring; then whether it is a duplicate, and the phase.
D_COUNT, D_DUE, D_STAMP, D_DYADIC, D_MEAN_SINCE, D_DIFFERENCE_SINCE, D_COPY, D_PHASE, D_WIDTH = range(9)
LINE = 32
THIN = 24
"""Largest number of messages of a channel that are put under way within its longest delay."""
MOMENTS = 8
"""Number of products of a channel that prospective neurons keep in real time."""

# What this host knows of each other host in real time: number and time of sending of the newest update that was read;
# the same of the one before; how many updates were read and how many overtaken; when the oldest message held of it was
# sent. Then histograms of the ages of messages, in milliseconds and in updates of the sender.
A_COUNT, A_STAMP, A_COUNT_BEFORE, A_STAMP_BEFORE, A_READS, A_OVERTAKEN, A_OLDEST, A_MS = range(8)
A_UPDATES = A_MS + BINS
A_WIDTH = A_UPDATES + BINS

# Rows of a trace. A message was held, put under way (`TR_COPY`: its place), or arrived (`TR_COUNT`: its place;
# `TR_STAMP`: its phase). Or an update: `TR_WHO` is twice T, plus 1 if it is averaged; then its number, Δt, and its
# time.
TR_HOLD, TR_PUT, TR_ARRIVE, TR_UPDATE = range(4)
TR_OP, TR_WHO, TR_COUNT, TR_COPY, TR_PHASE, TR_STAMP, TR_WIDTH = range(7)


KINDS = ("state", "feedback")
"""The message kinds of a link's first and second channel."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Tables under construction; see `Tables`.

    Attributes
    ----------
    groups
        Groups of neurons with the same delay: the delay, and where the group's members begin and end.
    members
        Indices of neurons, group by group.
    """

    blocks: Array
    links: Array
    channels: Array
    chances: Array
    groups: list[tuple[int, int, int]] = field(default_factory=list)
    members: list[Array] = field(default_factory=list)

    def grouped(self, each: Array) -> tuple[int, int]:
        """Group neurons by their delays, the shortest first; return where the new groups begin and end."""
        first = len(self.groups)
        place = sum(len(part) for part in self.members)
        for ticks in np.unique(each):
            neurons = np.flatnonzero(each == ticks).astype(np.int64)
            self.groups.append((int(ticks), place, place + len(neurons)))
            self.members.append(neurons)
            place += len(neurons)
        return first, len(self.groups)


class Tables(NamedTuple):
    """The tables of a run, which are constant; a second set serves ideal relaxations."""

    blocks: Array  # (blocks, B_WIDTH)
    real: Array  # (blocks, R_WIDTH) float64
    links: Array  # (links, L_WIDTH)
    kappa: Array  # (links,) float64: the κ in use
    read: Array  # (links + blocks,) float64: scale of read noise, for links, then for input projections
    axons: Array  # (number of axons,): links by their pre block, in the order of the description
    outgoing: Array  # (channels with a `C_HELD`, OUT_WIDTH), by their source
    channels: Array  # (channels, C_WIDTH)
    chances: Array  # (channels, P_WIDTH) float64
    groups: Array  # (groups, G_WIDTH)
    members: Array  # neurons of groups
    keys: Array  # (keys, 2) uint64
    plans: Array  # plans of projections that are not dense, one after the other
    own: Array  # (4,): numbers of own blocks and own links, which come first; most blocks of a process; processes
    waits: Array  # (waits, Y_WIDTH)
    incoming: Array  # (channels that end here, I_WIDTH), by receiver


class Memory(NamedTuple):
    """The arrays that offsets point into."""

    X: Array  # arena of the lane
    W: Array  # parameters
    V: Array  # parameters as feedback reads them
    F: Array  # transposed synapses
    inputs: Array  # (rows × features,)
    targets: Array  # (rows × outputs,), or empty
    row: Array  # scratch of one chunk each: drive,
    total: Array  # sum of many terms,
    term: Array  # one of these terms
    a: Array  # pre-activations
    d: Array
    row_bits: Array  # the memory of `row`, `a` and `d` as integers
    a_bits: Array
    d_bits: Array
    wide: Array  # arena of averages, float64
    when: Array  # when each held number was sent, int64
    room: Array  # scratch for products by a plan,
    spread: Array  # and for the noise of reading their synapses


class State(NamedTuple):
    """The progress of a lane."""

    reg: Array  # (REG_WIDTH,)
    real: Array  # (F_WIDTH,) float64
    blocks: Array  # (blocks, S_WIDTH)
    values: Array  # (blocks, V_WIDTH) float64
    meta: Array  # (rows, M_WIDTH): the arena's own memory as rows of integers
    fired_by: Array  # (blocks, ticks): number of firings up to a tick; the tick is taken modulo a power of two
    links: Array  # (links, K_WIDTH)
    channels: Array  # (channels, H_WIDTH)
    counts: Array  # (channels, N_WIDTH)
    events: Array  # (capacity, E_WIDTH)
    arriving: Array  # (E_WIDTH,): the message that a thread of a team is about to hold
    got: Array  # (channels with a `C_HELD`, GOT_WIDTH)
    pending: Array  # (chunks × CHUNK, W_WIDTH): messages under way
    chunks: Array  # (chunks, CHUNK_WIDTH)
    buckets: Array  # (pools × (ticks + 1), Q_WIDTH): the messages that arrive at a tick, modulo a power of two
    pools: Array  # (threads, POOL_WIDTH)
    terms: Array  # (2 × capacity, T_WIDTH): the terms of A*, then of D*
    runs: Array  # (2 × capacity, 2): where the other neuron's numbers lie, and the synapse
    factors: Array  # (2 × capacity, 2) float64: factor of a term, and κ within a fused product
    draw: Array  # state of a random generator, uint64
    seen: Array  # (blocks, 4): the state that was read of a block last: key, offset, whether it has differences, tick
    words: Array  # (hosts + 1,): address of the word that tells how far each host has come (see `words`); then of
    # a word that tells what has been carried to hosts that share no memory
    boards: Array  # (hosts,): address of each host's report at check ticks
    limits: Array  # (hosts + 1,): address of a limit: this process ignores the host's word beyond it; 0: no limit
    writing: Array  # (hosts,): address of the number of the update that each host is about to write, in real time
    delays: Array  # (capacity, hosts + 1) float64: δ of the latest updates in real time, by the sender of what was read
    # (0: none); in the last column the time since the previous update
    ages: Array  # (hosts, A_WIDTH)
    aged: Array  # (hosts,) float64: sum of the ages of messages that were read, in seconds
    ahead: Array  # (`AHEAD` ticks, columns): user-defined clocks and delays that Python has drawn ahead
    owners: Array  # (blocks,): the thread that fires a block, if a team executes the events
    team: Array  # (threads + 1, LINE): lines of the leader's orders and of each thread
    trace: Array  # (capacity, TR_WIDTH): the events of real time, for replay; no rows unless recording is on
