"""Lay out the arena of a lane, and write the tables that the compiled functions read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from dyadnet.config import RunConfig
from dyadnet.config.dynamics import FreeRunning
from dyadnet.dynamics.virtual_time import Timing, delay_of
from dyadnet.imperfections.own import OwnEffect
from dyadnet.learning.block import Block
from dyadnet.learning.projections import CalledSynapses, Made, Synapses
from dyadnet.network.activations import PiecewiseLinear
from dyadnet.network.description import INPUT
from dyadnet.network.losses import LOSSES
from dyadnet.network.topology import BlockSlice, Link, Topology
from dyadnet.numerics.blas import looped, turned
from dyadnet.numerics.connections import has_switches
from dyadnet.numerics.elementwise import CALLED_ACTIVATION, CALLED_LOSS, NO_LOSS, PIECEWISE
from dyadnet.numerics.plans import N_POST, N_PRE, N_ROOM, N_SIZE
from dyadnet.numerics.rng import Stream
from dyadnet.program import tables as c
from dyadnet.program.prospective import keep_histories
from dyadnet.program.routes import incoming, outgoing
from dyadnet.program.sync.crossing import Geometry, Home, Region, Room, power, whole
from dyadnet.program.tables import KINDS, NONE, Draft, Tables
from dyadnet.timing.clocks import Bernoulli, CalledClock
from dyadnet.timing.delays import CalledDelay, Constant, Geometric, OwnDelay, Uniform, by_number, sampled
from dyadnet.timing.real_time import ExponentialTime, RealDelay

Array = NDArray[Any]


class CalledEffect(NamedTuple):
    """A user-defined imperfection on one channel, and its random streams for messages and for duplicates."""

    effect: OwnEffect
    draws: Stream
    draws_of_copies: Stream


class Arena:
    """The layout of a lane's arena for relaxations of at most `rows` samples.

    Parameters
    ----------
    config, topology, timing
        The run.
    blocks
        The blocks of this process, in block order.
    rows
        Samples in a lane.
    home
        The hosts of all blocks; None if this process has all blocks.
    repeats
        Whether a run in real time is to be replayed: then every channel holds the messages that the trace names.

    Attributes
    ----------
    actual, ideal
        Tables of relaxations with and without imperfections; delays stay. They share κ.
    specs, links
        Rows of the tables: first those of this process, then ghosts.
    called
        For each block of this process, the links whose products Python computes, each with its synapses.
    projections
        For each link, the index of the recurrent projection of the description that it is part of.
    hosts
        This host and those that its blocks are linked with; the arena begins with their regions, in this order.
    shared
        Size of these regions, in numbers.
    numbers, wide, when
        Length of the arena, of the averages' arena, and of the send ticks that are held number by number.
    ticks
        Number of columns of `fired_by`: a power of two.
    immediate, delayed
        For each channel, whether it is read in place if both its ends are in one process; whether messages of all
        channels take time, in real time.
    buckets
        Number of buckets for arriving messages: a power of two above the largest delay in ticks.
    ahead
        User-defined clocks and laws of delay, in the order of the columns of `State.ahead`.
    effects, counters
        User-defined imperfections by channel, and their counters.
    scratch, message
        Offset of scratch for one message, and its size in numbers.
    widest
        Largest number of terms of a drive.
    products, spread
        Sizes of the scratch for products by plans, and for the noise of reading such synapses, in numbers.
    """

    def __init__(
        self,
        config: RunConfig,
        topology: Topology,
        timing: Timing,
        blocks: Mapping[str, Block],
        rows: int,
        home: Home | None = None,
        *,
        repeats: bool = False,
    ) -> None:
        self.rows = rows
        self._repeats = repeats
        self.home = home or Home(0, dict.fromkeys(topology.blocks, 0))
        self.geometry = Geometry(config, topology, timing, rows)
        self._config, self._topology, self._timing = config, topology, timing
        self.blocks = list(blocks.values())
        self.specs, self.links = seen(self.geometry, list(blocks))
        self.index = {spec.name: number for number, spec in enumerate(self.specs)}
        self._number = {(link.post.name, link.pre.name): number for number, link in enumerate(self.links)}
        order = {projection.name: number for number, projection in enumerate(topology.network.recurrent)}
        self.projections = np.array([order[link.projection.name] for link in self.links], dtype=np.int64)
        self.called = [
            [
                (self._number[block.name, made.source], made)
                for made in block.projections
                if isinstance(made, CalledSynapses)
            ]
            for block in self.blocks
        ]
        self._keys: list[tuple[int, int]] = []
        self._plans: list[Array] = []
        self.products = self.spread = 0
        self.ahead: list[CalledClock | CalledDelay] = []
        self.effects: dict[int, list[CalledEffect]] = {}
        self.counters = config.imperfections.counters
        self._room, self._wide, self._when = Room(), Room(), Room()
        self._regions: dict[int, tuple[int, Region]] = {}
        self.hosts = self._neighbours()
        self.shared = self._room.size
        self.parameters = ParameterMemory(self.blocks)
        self.kappa = np.zeros(len(self.links))
        self.actual = self._tables()
        self.ideal = self._without_imperfections()
        self.message = whole(2 * rows * max(spec.size for spec in self.specs))
        self.scratch = self._room.take(self.message)
        self.numbers, self.wide, self.when = self._room.size, self._wide.size, self._when.size
        largest = int(max(self.actual.channels[:, c.C_DELAY], default=1))
        self.ticks = power(largest + 1)
        self.buckets = power(timing.largest_delay + 1)
        self.widest = 4 + max(
            (len(block.projections) + len(block.axons) for block in self.blocks),
            default=0,
        )

    def _neighbours(self) -> list[int]:
        """Lay out the regions of this host and of those that its blocks are linked with."""
        mine = self.home.index
        hosts = [mine, *sorted({self.home.homes[spec.name] for spec in self.specs} - {mine})]
        for host in hosts:
            region = Region.of(self.geometry, self.home, host)
            self._regions[host] = self._room.take(region.size), region
        return hosts

    def shared_start(self, host: int) -> int:
        """Return the offset of a host's region."""
        return self._regions[host][0]

    def shared_place(self, host: int, *key: str) -> int | None:
        """Return the offset of an entry of a host's region; None if the region has no such entry."""
        start, region = self._regions[host]
        offset = region.places.get(key)
        return None if offset is None else start + offset

    def _place(self, host: int, numbers: int, *key: str) -> int:
        """Return the entry's offset in the shared region if others read it, else a new private place."""
        offset = self.shared_place(host, *key)
        return self._room.take(numbers) if offset is None else offset

    def _key(self, purpose: str, entity: str, kind: str = "") -> int:
        self._keys.append(Stream(self._config.seed, purpose, entity, kind).key)
        return len(self._keys) - 1

    def _call(self, called: CalledClock | CalledDelay) -> int:
        """Register a clock or delay that Python draws ahead, and return its column."""
        self.ahead.append(called)
        return len(self.ahead) - 1

    def _tables(self) -> Tables:
        count, own = len(self.links), sum(len(block.projections) for block in self.blocks)
        blocks = np.full((len(self.specs), c.B_WIDTH), NONE, dtype=np.int64)
        real = np.zeros((len(self.specs), c.R_WIDTH))
        links = np.full((count, c.L_WIDTH), NONE, dtype=np.int64)
        channels = np.full((2 * count, c.C_WIDTH), NONE, dtype=np.int64)
        self.immediate = np.zeros(2 * count, dtype=bool)
        self.delayed = self._delay is not None
        chances = np.zeros((2 * count, c.P_WIDTH))
        read = np.zeros(count + len(self.specs))
        axons: list[int] = []
        place = dict.fromkeys(self.home.homes.values(), 0)
        places = {}
        for name, host in self.home.homes.items():
            places[name], place[host] = place[host], place[host] + 1
        first, afferent = 0, Counter(link.post.name for link in self.links)
        for number, spec in enumerate(self.specs):
            self._sender(blocks[number], real[number], spec)
            blocks[number, c.B_PLACE] = places[spec.name]
            blocks[number, c.B_LINKS] = first
            first += afferent[spec.name]
            blocks[number, c.B_LINKS_END] = first
            blocks[number, c.B_AXONS] = len(axons)
            sent = ((link.post.name, spec.name) for link in self.geometry.efferent[spec.name])
            axons += [self._number[ends] for ends in sent if ends in self._number]
            blocks[number, c.B_AXONS_END] = len(axons)
        for number, block in enumerate(self.blocks):
            self._block(blocks[number], real[number], block)
            if isinstance(block.entry, Synapses):
                read[count + number] = _read_scale(block, block.entry)
        made = Draft(blocks, links, channels, chances)
        response = 0
        for number, link in enumerate(self.links):
            post, pre = self.index[link.post.name], self.index[link.pre.name]
            self._link(links[number], blocks, link, pre, post)
            links[number, c.L_RESPONSE] = response
            response += link.pre.size
            if number < own:
                theta = next(one for one in self.blocks[post].projections if one.source == link.pre.name)
                self._synapses(links[number], self.blocks[post], theta)
                read[number] = _read_scale(self.blocks[post], theta) if isinstance(theta, Synapses) else 0.0
            for kind, source_, target in (("state", pre, post), ("feedback", post, pre)):
                row = 2 * number + (kind == "feedback")
                held = self._channel(made, row, link, source_, target)
                self.immediate[row] = not held and self._delay is None
                if own_effects := self._effects_of(link, kind, source_, target):
                    self.effects[row] = own_effects
        timing = self._timing
        if timing.span:
            rates = [timing.clocks[spec.name].rate for spec in self.specs]
            span = c.MOMENTS - 1 if self.geometry.free else timing.span
            keep_histories(made, len(self.blocks), rates, span, self.rows, self._room.take, self._when.take)
        queued: list[int] = []
        for number in range(len(self.specs)):
            sends = channels[[2 * link for link in axons[blocks[number, c.B_AXONS] : blocks[number, c.B_AXONS_END]]]]
            blocks[number, c.B_COARSE] = bool(np.any(sends[:, c.C_COARSE]))
            mine = slice(blocks[number, c.B_LINKS], blocks[number, c.B_LINKS_END])
            blocks[number, c.B_FUSED] = bool(np.all(links[mine, c.L_FUSED]))
            blocks[number, c.B_OUT] = len(queued)
            out = [2 * link for link in axons[blocks[number, c.B_AXONS] : blocks[number, c.B_AXONS_END]]]
            out += [2 * link + 1 for link in range(*blocks[number, [c.B_LINKS, c.B_LINKS_END]])]
            queued += [channel for channel in out if channels[channel, c.C_HELD] >= 0]
            blocks[number, c.B_OUT_END] = len(queued)
        keys = np.array(self._keys, dtype=np.uint64).reshape(-1, 2)
        waits = self._waits(blocks, links, channels, axons)
        most = max(list(self.home.homes.values()).count(host) for host in range(self.home.hosts))
        return Tables(
            blocks,
            real,
            links,
            self.kappa,
            read,
            np.array(axons, dtype=np.int64),
            outgoing(queued, channels, chances, keys),
            channels,
            chances,
            np.array(made.groups, dtype=np.int64).reshape(-1, c.G_WIDTH),
            np.concatenate([np.zeros(0, dtype=np.int64), *made.members]),
            keys,
            np.concatenate([np.zeros(0, dtype=np.int64), *self._plans]),
            np.array([len(self.blocks), own, most, self.home.hosts], dtype=np.int64),
            waits,
            incoming(len(self.blocks), blocks, links, channels, axons),
        )

    def _waits(self, blocks: Array, links: Array, channels: Array, axons: Sequence[int]) -> Array:
        """Return the hosts that each block waits for before it fires, and by how many ticks these may lag behind."""
        found: list[tuple[int, int]] = []
        # In real time no block waits.
        mine = [] if self.geometry.free else self.specs[: len(self.blocks)]
        blocks[:, [c.B_WAITS, c.B_WAITS_END]] = 0
        for number, spec in enumerate(mine):
            lags: dict[int, int] = {}

            def wait(other: int, lag: int, lags: dict[int, int] = lags) -> None:
                host = int(blocks[other, c.B_HOST])
                if host != self.home.index:
                    lags[host] = min(lag, lags.get(host, lag))

            slack = self.geometry.slack(spec.name)
            heard = [2 * link for link in range(*blocks[number, [c.B_LINKS, c.B_LINKS_END]])]
            heard += [2 * link + 1 for link in axons[blocks[number, c.B_AXONS] : blocks[number, c.B_AXONS_END]]]
            for channel in heard:
                source = int(channels[channel, c.C_SOURCE])
                # A neighbour that sends to this block also receives from it, and must have read a slot before it is
                # overwritten.
                wait(source, slack)
                if channels[channel, c.C_HELD] < 0:
                    wait(source, int(channels[channel, c.C_DELAY]))
            if lags:
                # Messages must have left with the carriers before they are overwritten.
                lags[self.home.hosts] = slack
            blocks[number, c.B_WAITS] = len(found)
            found += sorted(lags.items())
            blocks[number, c.B_WAITS_END] = len(found)
        return np.array(found, dtype=np.int64).reshape(-1, c.Y_WIDTH)

    def _sender(self, row: Array, real: Array, spec: BlockSlice) -> None:
        """Fill in what is known of a block on any host: its ring, and its clock."""
        host, depth = self.home.homes[spec.name], self.geometry.depth(spec.name)
        row[c.B_SIZE], row[c.B_DEPTH], row[c.B_HOST], row[c.B_ORDER] = spec.size, depth, host, spec.index
        meta = self._place(host, self.geometry.meta(spec.name), "meta", spec.name)
        row[c.B_META] = meta * self.geometry.itemsize // (8 * c.M_WIDTH)
        row[c.B_RING_SLOT] = self.geometry.slot(spec.size)
        row[c.B_RING] = self._place(host, depth * row[c.B_RING_SLOT], "ring", spec.name)
        row[c.B_LOSS], row[c.B_PROBED], row[c.B_COARSE], row[c.B_FUSED] = NO_LOSS, 0, 0, 0
        row[c.B_CALLED] = row[c.B_CALLED_INPUT] = 0
        clock = self._timing.clocks[spec.name]
        row[c.B_CLOCK] = c.PERIODIC
        if isinstance(clock, Bernoulli):
            row[c.B_CLOCK] = c.BERNOULLI_BLOCKS if clock.unit == "block" else c.BERNOULLI_NEURONS
            real[c.R_CLOCK] = clock.p
            row[c.B_KEY_CLOCK] = self._key("clock", spec.name)
        elif isinstance(clock, CalledClock):
            row[c.B_CLOCK], row[c.B_AHEAD] = c.CALLED_CLOCK, self._call(clock)
        else:
            row[c.B_PERIOD], row[c.B_OFFSET] = clock.period, clock.offset

    def _block(self, row: Array, real: Array, block: Block) -> None:
        """Fill in what is known only for blocks of this process."""
        room, spec, device = self._room, block.spec, block.device
        size = self.rows * spec.size
        row[c.B_A], row[c.B_D], row[c.B_BASE] = room.take(size), room.take(size), room.take(size)
        row[c.B_READOUT], row[c.B_LEFT], row[c.B_TURN] = room.take(2 * size), room.take(2 * size), room.take(size)
        row[c.B_AVERAGE] = self._wide.take(2 * size)
        row[c.B_RATES] = room.take(spec.size)
        offsets = self.parameters.offsets[block.name]
        row[c.B_BIAS] = offsets["bias"]
        row[c.B_BIASES] = len(block.bias)
        if block.entry is not None:
            row[c.B_INPUT] = self.parameters.starts[block.name, INPUT]
            row[c.B_PLAN], row[c.B_SWITCHES] = self._planned(block, block.entry)
        row[c.B_CALLED], row[c.B_CALLED_INPUT] = bool(block.called), isinstance(block.entry, CalledSynapses)
        f = block.activation
        if isinstance(f, PiecewiseLinear):
            row[c.B_ACTIVATION] = PIECEWISE
            real[c.R_LEAK], real[c.R_GAIN], real[c.R_TOP] = f.leak, f.gain, f.top
        else:
            row[c.B_ACTIVATION] = CALLED_ACTIVATION if f.compiled is None else f.compiled
        if block.is_output:
            form = LOSSES[self._topology.network.loss].compiled
            row[c.B_LOSS] = CALLED_LOSS if form is None else form
            row[c.B_NUDGE] = room.take(3 * size)
            real[c.R_NUDGE] = device.nudge_noise.sigma
            row[c.B_KEY_NUDGE] = self._key("nudge noise", block.name)
        hardware = block.actual
        if hardware.rates is not None or row[c.B_CLOCK] == c.BERNOULLI_NEURONS:
            row[c.B_ETA] = room.take(size)
        if hardware.gain is not None:
            row[c.B_GAIN] = room.take(size)
        if hardware.threshold is not None:
            row[c.B_THRESHOLD] = room.take(size)
        if hardware.reads:
            row[c.B_NOISE] = room.take(size)
            row[c.B_KEY_READ] = self._key("read noise", block.name, "input")

    def _link(self, row: Array, blocks: Array, link: Link, pre: int, post: int) -> None:
        room, rows, key = self._room, self.rows, (link.post.name, link.pre.name)
        width, size, host = link.pre.size, link.post.size, int(blocks[post, c.B_HOST])
        here, crosses = post < len(self.blocks), host != blocks[pre, c.B_HOST]
        row[c.L_PRE], row[c.L_POST] = pre, post
        reads = self.geometry.reads(link.post)
        coarse = self.geometry.coarse(link)
        row[c.L_FIXED_CACHE] = reads or coarse
        # Products that are computed where they are summed are not sent.
        dense = link.projection.is_dense
        stored = reads or coarse or crosses or not dense or self._timing.span
        row[c.L_FUSED] = not stored and looped(width, size)
        row[c.L_TURNED], row[c.L_CALLED] = dense and turned(width, size), 0
        if here:
            row[c.L_WEIGHTS] = self.parameters.starts[link.post.name, link.pre.name]
            row[c.L_READOUT], row[c.L_TURN] = room.take(2 * rows * width), room.take(rows * width)
            row[c.L_AVERAGE] = self._wide.take(2 * rows * width)
        if row[c.L_FUSED]:
            return
        row[c.L_CACHE_SLOT] = self.geometry.slot(width)
        slots = 1 if reads or coarse else blocks[post, c.B_DEPTH]
        row[c.L_CACHE] = self._place(host, slots * row[c.L_CACHE_SLOT], "cache", *key)
        if here:
            row[c.L_PRODUCT] = room.take(2 * rows * size)
        if reads and here:
            row[c.L_NOISE] = room.take(2 * rows * size)
            row[c.L_KEY_FORWARD] = self._key("read noise", link.post.name, link.pre.name)
            row[c.L_KEY_BACKWARD] = self._key("read noise", link.post.name, f"feedback {link.pre.name}")

    def _synapses(self, row: Array, block: Block, made: Made) -> None:
        """Fill in the form of a link's synapses."""
        row[c.L_CALLED] = isinstance(made, CalledSynapses)
        row[c.L_PLAN], row[c.L_SWITCHES] = self._planned(block, made)

    def _planned(self, block: Block, made: Made) -> tuple[int, int]:
        """Store the plan of a block's synapses; return where it begins, and the offset of their switches."""
        plan = made.plan if isinstance(made, Synapses) else None
        if plan is None:
            return NONE, NONE
        place = sum(len(other) for other in self._plans)
        self._plans.append(plan)
        self.products = max(self.products, int(plan[N_ROOM]))
        post, pre = int(plan[N_POST]), int(plan[N_PRE])
        if block.actual.reads:
            self.spread = max(self.spread, int(plan[N_SIZE]) + 2 * self.rows * (post + pre))
        return place, self._room.take(self.rows * post) if has_switches(plan, 0) else NONE

    def _channel(self, made: Draft, number: int, link: Link, source: int, target: int) -> bool:
        """Fill in a channel; return whether its messages must be held, even between blocks of one process."""
        row, chance, blocks = made.channels[number], made.chances[number], made.blocks
        link_row, kind = made.links[number >> 1], KINDS[number & 1]
        room, width = self._room, link.pre.size
        entity = f"{self.specs[source].name}>{self.specs[target].name}"
        sends, hears = source < len(self.blocks), target < len(self.blocks)
        channel = self._config.imperfections.channel_of(link.projection.name)
        row[c.C_SOURCE], row[c.C_TARGET], row[c.C_SIZE] = source, target, width
        self._law(made, number, link, entity, doubled=not channel.duplication.ideal())
        delta, quantisation = channel.send_on_delta, channel.quantisation
        doubled = not channel.duplication.ideal()
        noisy = not (channel.additive.ideal() and channel.multiplicative.ideal())
        row[c.C_PIECEMEAL] = not delta.ideal() or (doubled and row[c.C_LAW] == c.BY_NEURON)
        row[c.C_NOISY], row[c.C_UNCERTAIN], row[c.C_COARSE] = noisy, channel.uncertain, channel.coarse
        if channel.uncertain:
            chance[c.P_LOSS], chance[c.P_DUPLICATION] = channel.loss.p, channel.duplication.p
            row[c.C_KEY_FATE] = self._key("loss and duplication", entity, kind)
        if noisy:
            chance[c.P_ADD_MEAN], chance[c.P_ADD_DIFFERENCE] = channel.additive.mean, channel.additive.difference
            times = channel.multiplicative
            chance[c.P_TIMES_MEAN], chance[c.P_TIMES_DIFFERENCE] = times.mean, times.difference
            row[c.C_KEY_NOISE] = self._key("noise", entity, kind)
            row[c.C_KEY_COPY_NOISE] = self._key("noise of duplicates", entity, kind)
        row[c.C_MASK], row[c.C_META] = blocks[source, c.B_DEPTH] - 1, blocks[source, c.B_META]
        row[c.C_CALLED] = bool(channel.own)
        held = row[c.C_LAW] != c.CONSTANT or row[c.C_PIECEMEAL] or noisy or channel.uncertain or bool(channel.own)
        if hears and (held or self._comes_at_any_time(sends)):
            row[c.C_HELD] = room.take(2 * self.rows * width)
        if hears and row[c.C_PIECEMEAL]:
            row[c.C_WHEN] = self._when.take(2 * self.rows * width)
        row[c.C_DELTA], row[c.C_BITS], row[c.C_DIFFERENCE_BITS] = not delta.ideal(), 0, 0
        row[c.C_STOCHASTIC] = row[c.C_FRESH] = 0
        if not delta.ideal():
            chance[c.P_DELTA] = delta.threshold
            chance[c.P_DELTA_DIFFERENCE] = delta.threshold if delta.difference is None else delta.difference
            if sends:
                row[c.C_LAST] = room.take(2 * self.rows * width)
        if not quantisation.ideal():
            bits = quantisation.difference_bits
            row[c.C_BITS] = quantisation.bits or 0
            row[c.C_DIFFERENCE_BITS] = (quantisation.bits if bits is None else bits) or 0
            chance[c.P_LOW], chance[c.P_HIGH] = quantisation.range or (0.0, 0.0)
            limits = quantisation.difference_range or (0.0, 0.0)
            chance[c.P_DIFFERENCE_LOW], chance[c.P_DIFFERENCE_HIGH] = limits
            if quantisation.stochastic:
                row[c.C_STOCHASTIC] = row[c.C_FRESH] = 1
                row[c.C_KEY_ROUNDING] = self._key("rounding", entity, kind)
        own = channel.coarse if kind == "state" else link_row[c.L_FIXED_CACHE]
        if own:
            row[c.C_SLOT] = self.geometry.slot(width)
            numbers, host = blocks[source, c.B_DEPTH] * row[c.C_SLOT], int(blocks[source, c.B_HOST])
            row[c.C_RING] = self._place(host, numbers, kind, link.post.name, link.pre.name)
        elif kind == "state" or link_row[c.L_FUSED]:
            row[c.C_RING], row[c.C_SLOT] = blocks[source, c.B_RING], blocks[source, c.B_RING_SLOT]
        else:
            row[c.C_RING], row[c.C_SLOT] = link_row[c.L_CACHE], link_row[c.L_CACHE_SLOT]
        if hears and (self._repeats or self._delay is not None):
            self._line(row, chance, entity, kind)
        return bool(held)

    def _effects_of(self, link: Link, kind: str, source: int, target: int) -> list[CalledEffect]:
        entity, seed = f"{self.specs[source].name}>{self.specs[target].name}", self._config.seed
        own = self._config.imperfections.channel_of(link.projection.name).own
        purposes = ("own imperfection", "own imperfection of duplicates")
        return [
            CalledEffect(effect, *(Stream(seed, purpose, entity, f"{kind} {number}") for purpose in purposes))
            for number, effect in enumerate(own)
        ]

    @property
    def _delay(self) -> RealDelay | None:
        """The law of the delay in real time; None if there is none."""
        mode = self._config.dynamics.mode
        return mode.delay if isinstance(mode, FreeRunning) else None

    def _comes_at_any_time(self, sends: bool) -> bool:
        """Whether a channel in real time holds its messages instead of reading the newest one in place."""
        return self.geometry.free and (not sends or self._repeats or self._delay is not None)

    def _line(self, row: Array, chance: Array, entity: str, kind: str) -> None:
        """Reserve space for messages under way in real time, and fill in the law of their delay."""
        delay = self._delay
        row[c.C_LINE] = self._room.take(c.LINE * int(row[c.C_SLOT]))
        row[c.C_LINE_WHEN] = self._when.take(c.LINE * c.D_WIDTH)
        if delay is None:
            return
        chance[c.P_SHORTEST], chance[c.P_LONGEST] = (1e6 * ms for ms in (delay.smallest, delay.largest))
        chance[c.P_MEAN] = 1e6 * delay.mean if isinstance(delay, ExponentialTime) else 0.0
        row[c.C_KEY_DELAY] = self._key("delay", entity, kind)
        row[c.C_KEY_COPY] = self._key("delay of duplicates", entity, kind)

    def _law(self, made: Draft, number: int, link: Link, entity: str, *, doubled: bool) -> None:
        """Fill in when messages of a channel and their duplicates arrive."""
        row, chance, kind = made.channels[number], made.chances[number], KINDS[number & 1]
        delay, seed = delay_of(self._config.dynamics, link.projection), self._config.seed
        row[c.C_LAW], row[c.C_GROUPS], row[c.C_GROUPS_END] = c.CONSTANT, 0, 0
        row[c.C_COPY_GROUPS] = row[c.C_COPY_GROUPS_END] = 0
        row[c.C_DELAY] = row[c.C_COPY_DELAY] = delay.largest
        draw = getattr(delay, "draw", "channel")
        if delay.fixed:
            if not isinstance(delay, Constant):
                row[c.C_DELAY] = row[c.C_COPY_DELAY] = int(sampled(delay, np.random.default_rng(0), 1)[0])
            return
        ways = [("delay", c.C_DELAY, c.C_KEY_DELAY, c.C_GROUPS)]
        if doubled:
            ways.append(("delay of duplicates", c.C_COPY_DELAY, c.C_KEY_COPY, c.C_COPY_GROUPS))
        for purpose, column, key, start in ways:
            stream = Stream(seed, purpose, entity, kind)
            if draw == "channel":
                row[column] = int(sampled(delay, stream.at(), 1)[0])
            elif draw == "neuron":
                row[c.C_LAW] = c.BY_NEURON
                row[start], row[start + 1] = made.grouped(by_number(delay, link, stream))
            elif isinstance(delay, OwnDelay):
                row[c.C_LAW] = c.CALLED_LAW
                place = c.C_AHEAD if purpose == "delay" else c.C_COPY_AHEAD
                row[place] = self._call(CalledDelay(delay, stream))
            else:
                row[key] = self._key(purpose, entity, kind)
                row[c.C_LOW], row[c.C_HIGH] = getattr(delay, "low", 1), delay.largest
                row[c.C_LAW] = c.UNIFORM if isinstance(delay, Uniform) else c.GEOMETRIC
                if isinstance(delay, Geometric):
                    chance[c.P_GEOMETRIC] = delay.p

    def _without_imperfections(self) -> Tables:
        """Return the tables of ideal relaxations, with the same layout and the same delays."""
        actual = self.actual
        blocks, links, channels = actual.blocks.copy(), actual.links.copy(), actual.channels.copy()
        real, chances = actual.real.copy(), np.zeros_like(actual.chances)
        kept = [c.P_GEOMETRIC, c.P_RATE, c.P_LAG, c.P_SHORTEST, c.P_LONGEST, c.P_MEAN]
        chances[:, kept] = actual.chances[:, kept]
        real[:, c.R_NUDGE] = 0.0
        blocks[:, [c.B_NOISE, c.B_GAIN, c.B_THRESHOLD]] = NONE
        blocks[blocks[:, c.B_CLOCK] != c.BERNOULLI_NEURONS, c.B_ETA] = NONE
        for column in (c.C_UNCERTAIN, c.C_PIECEMEAL, c.C_NOISY, c.C_DELTA, c.C_STOCHASTIC, c.C_FRESH, c.C_BITS):
            channels[:, column] = 0
        channels[:, c.C_DIFFERENCE_BITS] = channels[:, c.C_COARSE] = channels[:, c.C_CALLED] = 0
        held = channels[:, c.C_LAW] != c.CONSTANT
        if self.geometry.free:
            held = (channels[:, c.C_SOURCE] >= len(self.blocks)) | (channels[:, c.C_LINE] >= 0)
        channels[~held, c.C_HELD] = NONE
        for number in range(len(self.links)):
            source = links[number, c.L_PRE]
            channels[2 * number, [c.C_RING, c.C_SLOT]] = blocks[source, [c.B_RING, c.B_RING_SLOT]]
        before = actual.outgoing[:, c.OUT_CHANNEL]
        queued = channels[before, c.C_HELD] >= 0
        queued_until = np.concatenate([[0], np.cumsum(queued)])
        blocks[:, [c.B_OUT, c.B_OUT_END]] = queued_until[actual.blocks[:, [c.B_OUT, c.B_OUT_END]]]
        axons = actual.axons.tolist()
        return actual._replace(
            waits=self._waits(blocks, links, channels, axons),
            incoming=incoming(len(self.blocks), blocks, links, channels, axons),
            blocks=blocks,
            real=real,
            links=links,
            channels=channels,
            chances=chances,
            outgoing=outgoing(before[queued], channels, chances, actual.keys),
        )


def seen(geometry: Geometry, own: Sequence[str]) -> tuple[list[BlockSlice], list[Link]]:
    """Return the rows of a process's tables: its blocks, then ghosts; and links, in the order of their post blocks."""
    blocks, mine = geometry.topology.blocks, set(own)
    links = [link for name in own for link in geometry.afferent[name]]
    axons = [link for name in own for link in geometry.efferent[name]]
    ghostly = {link.pre.name for link in links} | {link.post.name for link in axons}
    ghosts = [spec for name, spec in blocks.items() if name in ghostly and name not in mine]
    links += [link for ghost in ghosts for link in geometry.afferent[ghost.name] if link.pre.name in mine]
    return [blocks[name] for name in own] + ghosts, links


class ParameterMemory:
    """The layout of the parameters of some blocks, block after block: θ₀, θ by presynaptic block, bias.

    Attributes
    ----------
    offsets
        Offset of each array, by block, then by name.
    starts
        Offset of each projection's parameters, by block and presynaptic block.
    size
        Total number of parameters.
    """

    def __init__(self, blocks: list[Block]) -> None:
        self.offsets: dict[str, dict[str, int]] = {}
        self.starts: dict[tuple[str, str], int] = {}
        size = 0
        for block in blocks:
            own = self.offsets[block.name] = {}
            for source, arrays in block.by_source().items():
                self.starts[block.name, source] = size
                for key, array in arrays.items():
                    own[key] = size
                    size += array.size
        self.size = size


def _read_scale(block: Block, made: Synapses) -> float:
    return float(block.device.read_noise.sigma * made.projection.gain / np.sqrt(made.fan_in))
