"use strict";
// The network as blocks of dyads (two halves: s+ and s−) and the channels between them.

const WIDE = 900, TALL = 520, BLOCK = 92;

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

// A column for each distance from the input; what no path reaches goes by its order.
function columns(network) {
  const depth = new Map([["input", 0]]);
  const queue = ["input"];
  while (queue.length) {
    const here = queue.shift();
    for (const { pre, post } of network.projections) {
      if (pre === here && !depth.has(post)) { depth.set(post, depth.get(here) + 1); queue.push(post); }
    }
  }
  const deepest = Math.max(...depth.values());
  network.layers.forEach((layer, index) => { if (!depth.has(layer.name)) depth.set(layer.name, Math.min(index + 1, deepest + 1)); });
  const output = network.layers.find((layer) => layer.output);
  depth.set(output.name, Math.max(...depth.values(), depth.get(output.name)));
  const others = network.layers.filter((layer) => layer !== output).map((layer) => depth.get(layer.name));
  if (others.includes(depth.get(output.name))) depth.set(output.name, depth.get(output.name) + 1);
  const levels = [...new Set(depth.values())].sort((a, b) => a - b);
  return levels.map((level) => [...depth].filter(([, value]) => value === level).map(([name]) => name));
}

function place(network) {
  const layers = new Map(network.layers.map((layer) => [layer.name, layer]));
  const cols = columns(network);
  const largest = Math.max(...network.layers.map((layer) => layer.size));
  const boxes = new Map();
  const gap = cols.length > 1 ? (WIDE - 120) / (cols.length - 1) : 0;
  cols.forEach((names, index) => {
    const x = 60 + gap * index;
    const blocks = names.flatMap((name) =>
      name === "input"
        ? [{ name: "input", layer: "input", size: network.inputs, height: 300, width: 28 }]
        : layers.get(name).blocks.map((block) => ({
          name: block.name, layer: name, size: block.size, width: Math.min(BLOCK, gap * 0.6),
          height: 120 + 230 * Math.sqrt(layers.get(name).size / largest),
          share: block.size / layers.get(name).size,
        })));
    const heights = blocks.map((block) => Math.max(30, block.height * (block.share || 1)));
    const space = 74, total = heights.reduce((a, b) => a + b, 0) + space * (blocks.length - 1);
    const scale = Math.min(1, (TALL - 110) / total);
    let y = TALL / 2 - (total * scale) / 2;
    blocks.forEach((block, at) => {
      boxes.set(block.name, { ...block, x, y, height: heights[at] * scale, column: index });
      y += (heights[at] + space) * scale;
    });
  });
  return boxes;
}

function curve(from, to, shift) {
  const middle = (box) => box.y + box.height / 2 + shift * Math.min(1, box.height / 80);
  if (from === to) {
    const top = from.y - 26;
    return `M${from.x - 18} ${from.y - 24}C${from.x - 40} ${top - 40} ${from.x + 40} ${top - 40} ${from.x + 18} ${from.y - 24}`;
  }
  const forwards = to.column > from.column;
  const x1 = from.x + (forwards ? 1 : -1) * from.width / 2, x2 = to.x + (forwards ? -1 : 1) * to.width / 2;
  const far = Math.abs(to.column - from.column) !== 1 || !forwards;
  if (far) {
    const low = Math.max(from.y + from.height, to.y + to.height) + 50 + shift;
    return `M${from.x} ${from.y + from.height + 4}C${from.x} ${low + 34} ${to.x} ${low + 34} ${to.x} ${to.y + to.height + 4}`;
  }
  const bend = (x2 - x1) * 0.45;
  return `M${x1} ${middle(from)}C${x1 + bend} ${middle(from)} ${x2 - bend} ${middle(to)} ${x2} ${middle(to)}`;
}

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

class Network {
  constructor(svg, legend) {
    this.svg = svg;
    this.legend = legend;
    this.drawn = "";
  }

  draw(network) {
    const key = JSON.stringify(network.layers) + network.projections.map((p) => `${p.pre}>${p.post}`).join();
    if (key === this.drawn) return;
    this.drawn = key;
    this.svg.replaceChildren();
    this.svg.setAttribute("viewBox", `0 0 ${WIDE} ${TALL}`);
    this.boxes = place(network);
    this.channels = [];
    this.labels = [];
    const wires = make("g"), cells = make("g");
    this.svg.append(wires, cells);
    const members = (layer) => [...this.boxes.values()].filter((box) => box.layer === layer);
    for (const projection of network.projections) this.#wire(wires, projection, members(projection.pre), members(projection.post));
    this.cells = new Map();
    for (const box of this.boxes.values()) this.#cell(cells, box);
  }

  #wire(wires, projection, pres, posts) {
    const both = projection.pre !== "input";
    for (const pre of pres) {
      for (const post of posts) {
        const thin = pres.length * posts.length > 4;
        const streams = both && !thin ? [["state", -14], ["feedback", 14]] : [["state", 0]];
        for (const [kind, shift] of streams) {
          const d = curve(pre, post, shift);
          const line = make("path", { class: "channel", d, "stroke-width": thin ? 1 : 1.5 });
          line.append(make("title", {}, kind === "state" ? `${pre.name} > ${post.name}` : `${post.name} > ${pre.name}`));
          wires.append(line);
          if (both && !thin) wires.append(make("path", { class: `flow ${kind}`, d, "stroke-width": 3 }));
          if (both) this.channels.push({ line, target: kind === "state" ? post.name : pre.name });
        }
      }
    }
    if (!both) return;
    const [from, to] = [pres[0], posts[0]];
    const straight = to.column - from.column === 1;
    const x = (from.x + to.x) / 2;
    const low = Math.max(from.y + from.height, to.y + to.height);
    const y = from === to ? from.y - 62 : straight ? TALL / 2 + 4 : low + 76;
    const label = make("text", { class: "lam", x, y });
    wires.append(label);
    this.labels.push(label);
  }

  #cell(cells, box) {
    const group = make("g", { class: box.name === "input" ? "input" : "block", "data-block": box.name });
    const left = box.x - box.width / 2;
    const rect = make("rect", { class: "cell", x: left, y: box.y, width: box.width, height: box.height, rx: 12 });
    group.append(rect);
    const plain = box.name === "input";
    if (plain) {
      rect.setAttribute("fill", "none");
      for (let y = box.y + 15; y <= box.y + box.height - 13; y += 17) group.append(make("circle", { class: "dot", cx: box.x, cy: y, r: 3.2 }));
      group.append(make("text", { class: "name", x: box.x, y: box.y - 22 }, "input"));
    } else {
      const art = dyads(box);
      group.append(art, make("text", { class: "name", x: box.x, y: box.y - 22 }, box.name));
      const value = make("text", { class: "value", x: box.x, y: box.y + box.height + 18 });
      const hint = make("title");
      group.append(value, hint);
      this.cells.set(box.name, { rect, art, value, hint });
    }
    group.append(make("text", { class: "size", x: box.x, y: box.y - 7 }, String(box.size)));
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
    lams.forEach((projection, index) => { this.labels[index].textContent = `λ ${short(projection.lambda)}`; });
    this.svg.classList.toggle("running", state.state === "training");
    this.#legend(ramp);
  }

  #legend(ramp) {
    const box = element("div", "ramp");
    const strip = element("canvas");
    strip.width = 180;
    strip.height = 1;
    const pen = strip.getContext("2d");
    for (let x = 0; x < 180; x += 1) {
      pen.fillStyle = css(blend(ramp.colours, x / 179));
      pen.fillRect(x, 0, 1, 1);
    }
    box.append(element("span", "", ramp.ends[0]), strip, element("span", "", ramp.ends[1]));
    this.legend.replaceChildren(box, element("span", "", ramp.note));
  }
}
