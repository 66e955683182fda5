"use strict";
// The network as blocks of dyads (two halves: s+ and s−) and the channels between them.

const TALL = 520;

// What blocks are coloured by. `place` maps a value to 0…1 along a ramp of colours.
const QUANTITIES = {
  residual: {
    of: (block) => block.residual,
    show: (value) => short(value, 2),
    ramp: (state) => {
      const tolerance = state.tolerance.mean;
      return {
        place: (value) => (value <= 0 ? 0 : (Math.log10(value / tolerance) + 2) / 4),
        colours: [[64, 122, 168], [74, 176, 176], [128, 190, 140], [236, 178, 74], [209, 73, 91]],
        ends: [short(tolerance / 100), short(tolerance * 100)],
        note: `largest |A*−A| when the relaxation ended; settled under ${short(tolerance)} (middle)`,
      };
    },
  },
  saturation: {
    of: (block) => block.saturated,
    show: (value) => percent(value),
    ramp: () => ({
      place: (value) => Math.sqrt(value),
      colours: [[150, 170, 190], [132, 140, 205], [118, 96, 196], [150, 60, 160]],
      ends: ["0%", "100%"],
      note: "compartments at either bound of the activation",
    }),
  },
  age: {
    of: (block, state) => (state.mode === "free" ? block.seconds : block.age),
    show: (value, state) => (state.mode === "free" ? `${short(1e3 * value)} ms` : `${value} tick${value === 1 ? "" : "s"}`),
    ramp: (state) => {
      const free = state.mode === "free";
      const most = Math.max(free ? 0.01 : 4, ...Object.values(state.blocks).map((b) => (free ? b.seconds : b.age) || 0));
      const least = free ? 1e-4 : 1;
      return {
        place: (value) => (value <= least ? 0 : Math.log(value / least) / Math.log(most / least)),
        colours: [[74, 176, 176], [120, 160, 190], [214, 158, 92], [196, 88, 62]],
        ends: free ? ["0.1 ms", `${short(1e3 * most)} ms`] : ["1 tick", `${short(most)} ticks`],
        note: free ? "mean age of what updates read since the last look" : "oldest message held when the relaxation ended",
      };
    },
  },
};

function blend(colours, at) {
  const place = Math.min(0.9999, Math.max(0, at)) * (colours.length - 1);
  const from = colours[Math.floor(place)], to = colours[Math.floor(place) + 1], part = place % 1;
  return from.map((value, index) => Math.round(value + part * (to[index] - value)));
}

const css = (colour, alpha = 1) => `rgb(${colour.join(" ")} / ${alpha})`;

// What a drawing measures: columns are at least `STEP` apart, and lines that pass others by have tracks of their own.
const STEP = 112, SIDE = 60, SPACE = 74, TRACK = 26, CROWDED = 10;

// Projections that close a cycle, as a walk from the input finds them: without these the network has a first and a last.
function closing(network) {
  const found = new Set(), state = new Map();
  const from = (name) => network.projections.filter(({ pre }) => pre === name);
  for (const start of ["input", ...network.layers.map(({ name }) => name)]) {
    if (state.has(start)) continue;
    const walk = [[start, from(start)]];
    state.set(start, "open");
    while (walk.length) {
      const [name, left] = walk.at(-1);
      const next = left.shift();
      if (!next) { state.set(name, "done"); walk.pop(); }
      else if (state.get(next.post) === "open") found.add(next);
      else if (!state.has(next.post)) { state.set(next.post, "open"); walk.push([next.post, from(next.post)]); }
    }
  }
  return found;
}

// How far each population is from the input by the longest path, so that every line but those that close cycles goes
// from left to right; the output comes last.
function ranks(network) {
  const back = closing(network);
  const ahead = network.projections.filter((projection) => !back.has(projection));
  const rank = new Map([["input", 0], ...network.layers.map(({ name }) => [name, 1])]);
  for (let moved = true; moved;) {
    moved = false;
    for (const { pre, post } of ahead) {
      if (rank.get(post) <= rank.get(pre)) { rank.set(post, rank.get(pre) + 1); moved = true; }
    }
  }
  const output = network.layers.find((layer) => layer.output).name;
  const others = [...rank].filter(([name]) => name !== output).map(([, value]) => value);
  rank.set(output, Math.max(rank.get(output), Math.max(...others) + 1));
  return rank;
}

// Columns of names from left to right; in each, what is fed from above stands above.
function columns(network, rank) {
  const levels = [...new Set(rank.values())].sort((a, b) => a - b);
  const height = new Map();
  return levels.map((level) => {
    const names = [...rank].filter(([, value]) => value === level).map(([name]) => name);
    const fed = (name) => {
      const known = network.projections.filter(({ pre, post }) => post === name && height.has(pre)).map(({ pre }) => height.get(pre));
      return known.length ? known.reduce((a, b) => a + b, 0) / known.length : 0.5;
    };
    const sorted = names.map((name) => [fed(name), name]).sort(([a], [b]) => a - b).map(([, name]) => name);
    sorted.forEach((name, index) => height.set(name, (index + 1) / (sorted.length + 1)));
    return sorted;
  });
}

// Tracks for lines that pass columns by: those that share a column never share a track. Shorter lines lie nearer.
function tracks(lines) {
  const taken = [];
  for (const line of [...lines].sort((one, other) => one.to - one.from - (other.to - other.from))) {
    line.track = taken.findIndex((spans) => spans.every(([from, to]) => line.to <= from || to <= line.from));
    if (line.track < 0) line.track = taken.push([]) - 1;
    taken[line.track].push([line.from, line.to]);
  }
  return taken.length;
}

// Where everything goes: boxes by block, and projections with their way (straight, return, over, under or loop). A return
// runs beside the straight lines of a projection that goes the other way.
function place(network, available) {
  const rank = ranks(network), cols = columns(network, rank);
  const at = new Map(cols.flatMap((names, index) => names.map((name) => [name, index])));
  const paired = ({ pre, post }) => network.projections.some((other) => other.pre === post && other.post === pre);
  const routes = network.projections.map((projection) => {
    const [from, to] = [at.get(projection.pre), at.get(projection.post)];
    const loop = from === to && projection.pre === projection.post, back = from - to === 1 && paired(projection);
    const way = loop ? "loop" : to - from === 1 ? "straight" : back ? "return" : to > from ? "over" : "under";
    return { projection, way, paired: paired(projection), from: Math.min(from, to), to: Math.max(from, to) };
  });
  const [over, under] = ["over", "under"].map((way) => tracks(routes.filter((route) => route.way === way)));
  const wide = Math.max(2 * SIDE + STEP * (cols.length - 1), Math.min(900, available));
  const gap = cols.length > 1 ? (wide - 2 * SIDE) / (cols.length - 1) : 0;
  const stacks = cols.map((names) => stack(network, names, Math.min(92, gap * 0.6)));
  const tallest = Math.max(TALL - 110, ...stacks.map(({ total }) => total));
  const [top, bottom] = [44 + (over ? 14 + TRACK * over : 8), 30 + (under ? 18 + TRACK * under : 8)];
  const boxes = new Map();
  stacks.forEach(({ blocks, space, total }, column) => {
    let y = top + (tallest - total) / 2;
    for (const block of blocks) {
      boxes.set(block.name, { ...block, x: SIDE + gap * column, y, column });
      y += block.height + space;
    }
  });
  return { boxes, routes, wide, gap, tall: top + tallest + bottom, top, bottom: top + tallest };
}

// The blocks of a column, none smaller than its labels need; of very many, only names within.
function stack(network, names, width) {
  const largest = Math.max(...network.layers.map((layer) => layer.size));
  const blocks = names.flatMap((name) => {
    if (name === "input") return [{ name, layer: name, size: network.inputs, shape: network.shape, height: 300, width: 28 }];
    const layer = network.layers.find((one) => one.name === name), whole = 120 + 230 * Math.sqrt(layer.size / largest);
    return layer.blocks.map((block) => ({ name: block.name, layer: name, size: block.size, shape: block.shape, width, height: (whole * block.size) / layer.size }));
  });
  const crowded = blocks.length > CROWDED, space = crowded ? 6 : SPACE;
  const room = TALL - 110 - space * (blocks.length - 1), wanted = blocks.reduce((sum, block) => sum + block.height, 0);
  for (const block of blocks) Object.assign(block, { crowded, height: crowded ? 20 : Math.max(30, block.height * Math.min(1, Math.max(0, room) / wanted)) });
  return { blocks, space, total: blocks.reduce((sum, block) => sum + block.height, 0) + space * (blocks.length - 1) };
}

// A line through corners, which are round.
function rounded(corners, radius = 9) {
  return corners.map(([x, y], index) => {
    if (!index) return `M${x} ${y}`;
    if (index === corners.length - 1) return `L${x} ${y}`;
    const toward = ([px, py]) => {
      const length = Math.hypot(px - x, py - y), part = Math.min(radius, length / 2) / (length || 1);
      return `${x + (px - x) * part} ${y + (py - y) * part}`;
    };
    return `L${toward(corners[index - 1])}Q${x} ${y} ${toward(corners[index + 1])}`;
  }).join("");
}

// The way of one line of a projection from block to block, and where its λ may be written: [d, [[x, y]]].
function way(layout, route, from, to, shift) {
  const right = (box) => box.x + box.width / 2, left = (box) => box.x - box.width / 2;
  const part = (box, share) => box.y + box.height * share + shift * Math.min(0.35, box.height / 200);
  if (route.way === "loop") {
    const [x, y] = [right(from), from.y + from.height];
    return [`M${x} ${y - 14}C${x + 34} ${y - 14} ${x - 12} ${y + 40} ${x - 14} ${y}`, [[x + 24, y + 18], [x + 24, y + 32]]];
  }
  if (route.way === "straight" || route.way === "return") {
    const back = route.way === "return";
    const middle = (box) => box.y + box.height / 2 + (shift + (back ? 56 : 0)) * Math.min(1, box.height / (back ? 160 : 80));
    const [start, end] = back ? [left(from), right(to)] : [right(from), left(to)];
    const [x1, y1, x2, y2] = [start, middle(from), end, middle(to)], bend = (x2 - x1) * 0.45;
    const on = (share) => {
      const rest = 1 - share, weights = [rest ** 3, 3 * rest ** 2 * share, 3 * rest * share ** 2, share ** 3];
      return [[x1, y1], [x1 + bend, y1], [x2 - bend, y2], [x2, y2]].reduce(([x, y], [px, py], index) => [x + weights[index] * px, y + weights[index] * py], [0, 4]);
    };
    return [`M${x1} ${y1}C${x1 + bend} ${y1} ${x2 - bend} ${y2} ${x2} ${y2}`, [0.5, 0.35, 0.65, 0.2, 0.8].map(on)];
  }
  const over = route.way === "over", aside = shift * 0.3;
  const height = over ? layout.top - 44 - TRACK * route.track : layout.bottom + 42 + TRACK * route.track;
  const turn = 12 + 5 * (route.track % 4) + (over ? 0 : 3);
  const [y1, y2, track] = [part(from, over ? 0.2 : 0.8), part(to, over ? 0.2 : 0.8), height + aside];
  const [x1, x2] = [right(from) + turn - aside, left(to) - turn + aside];
  const corners = [[right(from), y1], [x1, y1], [x1, track], [x2, track], [x2, y2], [left(to), y2]];
  return [rounded(corners), [0.5, 0.35, 0.65, 0.2, 0.8].map((share) => [x1 + (x2 - x1) * share, height + 4])];
}

// The first place of a label at which it covers no other; the first of all if there is none.
function free(places, width, labels) {
  const clear = ([x, y]) => labels.every((other) => Math.abs(other.x - x) > (other.width + width) / 2 || Math.abs(other.y - y) > 13);
  return places.find(clear) || places[0];
}

const cut = (name, width) => (name.length * 7.4 <= width ? name : `${name.slice(0, Math.max(2, Math.floor(width / 7.4) - 1))}…`);

// Dyads in rows of two to four, as many as fit: a picture of the block, not a count of its neurons.
function dyads(box) {
  const group = make("g", { class: "dyads" });
  const across = box.width > 80 ? 4 : box.width > 56 ? 3 : 2, radius = 5.4, step = 18;
  const down = Math.max(1, Math.min(Math.floor((box.height - 14) / step), Math.ceil(box.size / across)));
  const left = box.x - ((across - 1) * step) / 2, top = box.y + box.height / 2 - ((down - 1) * step) / 2;
  for (let row = 0; row < down; row += 1) {
    for (let column = 0; column < across; column += 1) {
      const [x, y] = [left + column * step, top + row * step];
      group.append(make("path", { d: `M${x - 0.9} ${y - radius}a${radius} ${radius} 0 0 0 0 ${2 * radius}z` }));
      group.append(make("path", { d: `M${x + 0.9} ${y - radius}a${radius} ${radius} 0 0 1 0 ${2 * radius}z`, opacity: 0.62 }));
    }
  }
  return group;
}

// Feature maps side by side, each in the proportions of its channel and in two halves as a dyad: as many as fit.
function maps(box) {
  const group = make("g", { class: "dyads" });
  const [channels, tall, wide] = box.shape, gap = 4, side = 22;
  const height = side * Math.min(1, Math.max(0.3, tall / wide)), width = side * Math.min(1, Math.max(0.3, wide / tall));
  const across = Math.max(1, Math.min(channels, Math.floor((box.width - 8 + gap) / (width + gap))));
  const down = Math.max(1, Math.min(Math.floor((box.height - 10 + gap) / (height + gap)), Math.ceil(channels / across)));
  const left = box.x - (across * (width + gap) - gap) / 2, top = box.y + box.height / 2 - (down * (height + gap) - gap) / 2;
  for (let channel = 0; channel < Math.min(channels, across * down); channel += 1) {
    const [x, y] = [left + (channel % across) * (width + gap), top + Math.floor(channel / across) * (height + gap)];
    group.append(make("path", { d: `M${x} ${y}h${width}l${-width} ${height}z` }));
    group.append(make("path", { d: `M${x + width} ${y}v${height}h${-width}z`, opacity: 0.62 }));
  }
  return group;
}

class Network {
  constructor(svg, legend) {
    this.svg = svg;
    this.legend = legend;
    this.ramp = element("div", "ramp");
    this.note = element("span");
    this.legend.replaceChildren(this.ramp, this.note, saving("SVG"));
    this.drawn = "";
  }

  // Draws a network, or leaves the drawing if it is of this one and of this width.
  draw(network) {
    const available = this.svg.parentElement?.clientWidth || 900;
    const key = JSON.stringify(network.layers) + network.projections.map((p) => `${p.pre}>${p.post}`).join() + available;
    if (key === this.drawn) return false;
    this.drawn = key;
    const layout = (this.layout = place(network, available));
    this.svg.replaceChildren();
    this.svg.setAttribute("viewBox", `0 0 ${layout.wide} ${layout.tall}`);
    // Wider than what it stands in, it is scrolled rather than made too small to read.
    const least = Math.min(layout.wide, Math.max(available, 0.75 * layout.wide));
    this.svg.style.minWidth = `${least}px`;
    this.svg.style.minHeight = `${(least * layout.tall) / layout.wide}px`;
    this.boxes = layout.boxes;
    this.channels = [];
    this.labels = [];
    const wires = make("g"), cells = make("g"), names = make("g");
    this.svg.append(wires, cells, names);
    for (const route of layout.routes) this.#wire(wires, names, route);
    this.cells = new Map();
    for (const box of this.boxes.values()) this.#cell(cells, box);
    return true;
  }

  #wire(wires, names, route) {
    const { pre: source, post: target } = route.projection;
    const [pres, posts] = [source, target].map((layer) => [...this.boxes.values()].filter((box) => box.layer === layer));
    const both = source !== "input", thin = pres.length * posts.length > 4;
    const streams = both && !thin && route.way !== "loop" ? [["state", -14], ["feedback", 14]] : [["state", 0]];
    for (const [pre, post] of pres.flatMap((one) => posts.map((other) => [one, other]))) {
      for (const [kind, shift] of streams) {
        const [d] = way(this.layout, route, pre, post, shift);
        const line = make("path", { class: "channel", d, "stroke-width": thin ? 1 : 1.5 });
        line.append(make("title", {}, kind === "state" ? `${pre.name} > ${post.name}` : `${post.name} > ${pre.name}`));
        wires.append(line);
        if (both && !thin) wires.append(make("path", { class: `flow ${kind}`, d, "stroke-width": 3 }));
        if (both) this.channels.push({ line, target: kind === "state" ? post.name : pre.name });
      }
    }
    if (both) this.#label(names, route, way(this.layout, route, pres[pres.length >> 1], posts[posts.length >> 1], 0)[1]);
  }

  // Where a projection's λ will stand.
  #label(names, route, places) {
    const to = { straight: (lam) => `${lam} →`, return: (lam) => `← ${lam}` }[route.paired ? route.way : ""] || ((lam) => lam);
    const width = route.paired ? 60 : 44, [x, y] = free(places, width, this.labels);
    const text = make("text", { class: "lam", x, y });
    names.append(text);
    this.labels.push({ text, x, y, width, to });
  }

  #cell(cells, box) {
    const group = make("g", { class: box.name === "input" ? "input" : "block", "data-block": box.name });
    const rect = make("rect", { class: "cell", x: box.x - box.width / 2, y: box.y, width: box.width, height: box.height, rx: Math.min(12, box.height / 3) });
    const name = make("text", { class: "name", x: box.x, y: box.crowded ? box.y + box.height / 2 + 4 : box.y - 22 }, cut(box.name, box.crowded ? box.width - 6 : this.layout.gap - 10));
    group.append(rect);
    if (box.name === "input") {
      rect.setAttribute("fill", "none");
      for (let y = box.y + 15; y <= box.y + box.height - 13; y += 17) group.append(make("circle", { class: "dot", cx: box.x, cy: y, r: 3.2 }));
    } else {
      const art = box.crowded ? make("g") : box.shape ? maps(box) : dyads(box), hint = make("title");
      const value = make("text", { class: box.crowded ? "value unseen" : "value", x: box.x, y: box.y + box.height + 18 });
      group.append(art, value, hint);
      this.cells.set(box.name, { rect, art, value, hint });
    }
    group.append(name);
    if (!box.crowded) group.append(make("text", { class: "size", x: box.x, y: box.y - 7 }, box.shape ? box.shape.join("×") : String(box.size)));
    cells.append(group);
  }

  colour(state, by) {
    const quantity = QUANTITIES[by];
    const ramp = quantity.ramp(state);
    const tint = (value) => (known(value) ? blend(ramp.colours, ramp.place(value)) : [140, 146, 154]);
    for (const [name, cell] of this.cells) {
      const block = state.blocks[name];
      const value = quantity.of(block, state);
      const colour = tint(value);
      cell.rect.style.fill = css(colour, 0.16);
      cell.rect.style.stroke = css(colour, 0.6);
      cell.art.style.fill = css(colour);
      cell.value.textContent = known(value) ? quantity.show(value, state) : "–";
      cell.hint.textContent = `${name}: residual ${short(block.residual)}, saturated ${percent(block.saturated)}`;
    }
    for (const channel of this.channels) {
      const block = state.blocks[channel.target];
      channel.line.style.stroke = by === "age" && block ? css(tint(quantity.of(block, state)), 0.75) : "";
    }
    const lams = state.network.projections.filter((projection) => known(projection.lambda));
    lams.forEach((projection, index) => { this.labels[index].text.textContent = this.labels[index].to(`λ ${short(projection.lambda)}`); });
    this.svg.classList.toggle("running", state.state === "training");
    this.#legend(ramp);
  }

  #legend(ramp) {
    const strip = element("canvas");
    strip.width = 180;
    strip.height = 1;
    const pen = strip.getContext("2d");
    for (let x = 0; x < 180; x += 1) {
      pen.fillStyle = css(blend(ramp.colours, x / 179));
      pen.fillRect(x, 0, 1, 1);
    }
    this.ramp.replaceChildren(element("span", "", ramp.ends[0]), strip, element("span", "", ramp.ends[1]));
    this.note.textContent = ramp.note;
  }
}
