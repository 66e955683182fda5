"use strict";
// Curves over epochs, as small multiples: faint for single minibatches, strong for epochs.

const SVG = "http://www.w3.org/2000/svg";

function make(tag, attributes = {}, text = null) {
  const node = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  if (text !== null) node.textContent = text;
  return node;
}

function element(tag, className = "", text = null) {
  const node = document.createElement(tag);
  if (className) node.className = className;
  if (text !== null) node.textContent = text;
  return node;
}

const known = (value) => value !== null && value !== undefined;

function short(value, digits = 3) {
  if (!known(value)) return "–";
  if (value === 0) return "0";
  const size = Math.abs(value);
  if (size < 1e-3 || size >= 1e5) {
    const [mantissa, exponent] = value.toExponential(1).split("e");
    return `${mantissa}e${exponent.replace("+", "")}`;
  }
  return String(Number(value.toPrecision(digits)));
}

const fixed = (value) => (known(value) ? value.toFixed(4) : "–");
const decibels = (value) => (known(value) ? `${value.toFixed(2)} dB` : "–");
const percent = (value, digits = 1) => (known(value) ? `${(100 * value).toFixed(digits)}%` : "–");

// Round steps, about `count` of them, from below the smallest to above the largest value.
function ticks(low, high, count = 3) {
  if (!(high > low)) { high = low + (Math.abs(low) || 1) * 0.5; low -= (Math.abs(low) || 1) * 0.5; }
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const found = [];
  // Counted rather than added up: what is left of a sum near zero is no round number.
  for (let place = Math.floor(low / step); place * step < high + step * 0.999; place += 1) found.push(Number((place * step).toPrecision(6)));
  return found;
}

// Multiples of powers of ten within bounds.
function multiples(low, high, factors) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const factor of factors) {
      const mark = Number((factor * 10 ** power).toPrecision(3));
      if (mark >= low && mark <= high) found.push(mark);
    }
  }
  return found;
}

// Powers of ten and, where there are few of them, halves and fifths between them, or all their multiples.
function decades(low, high) {
  const few = multiples(low, high, [1, 2, 5]);
  const found = few.length > 1 ? few : multiples(low, high, [1, 1.5, 2, 2.5, 3, 4, 5, 6, 7, 8, 9]);
  const whole = found.filter((mark) => Number.isInteger(Math.log10(mark)) || Math.abs(Math.log10(mark) % 1) < 1e-9);
  const kept = whole.length >= 3 ? whole : found.length > 4 ? found.filter((mark, index) => index % 2 === 0) : found;
  return kept.length > 1 ? kept : [low, high];
}

// A running median keeps the shape of noisy minibatches without inventing anything between them.
function smooth(points, width = 9) {
  return points.map((point, index) => {
    const near = points.slice(Math.max(0, index - width + 1), index + 1).map(([, y]) => y).sort((a, b) => a - b);
    return [point[0], near[Math.floor(near.length / 2)]];
  });
}

function path(points, x, y) {
  return points.map(([at, value], index) => `${index ? "L" : "M"}${x(at).toFixed(1)} ${y(value).toFixed(1)}`).join("");
}

function figure(name, value, unit = "") {
  const box = element("dl", "figure");
  const number = element("dd", "", value);
  if (unit) number.append(element("small", "", ` ${unit}`));
  box.append(element("dt", "", name), number);
  return box;
}

const EPOCHS = { label: "epoch", from: 0, whole: true };
const LEFT = 50, RIGHT = 12, LETTER = 6.1;
// Names in a legend; a network of many blocks would fill the page with them.
const NAMED = 12;

// Of marks in a row those whose names have room beside each other; `from` is where the first may begin.
function spaced(marks, x, from) {
  let end = from;
  return marks.filter((mark) => {
    const half = (short(mark).length * LETTER) / 2;
    if (x(mark) - half < end) return false;
    end = x(mark) + half + 6;
    return true;
  });
}

// Where a chart's values lie from left to right: from 0, without marks, unless `below` says more.
function across(points, below, width) {
  const values = points.map(([at]) => at);
  const scale = below?.log ? Math.log10 : (value) => value;
  const [from, to] = [below?.from ?? 0, Math.max(below ? -Infinity : 1, ...values)];
  const [low, high] = [from, to].map(scale);
  const x = (at) => LEFT + (width - LEFT - RIGHT) * ((scale(at) - low) / (high - low || 1));
  if (!below) return { x, marks: [] };
  const every = Math.max(2, Math.floor(width / 75));
  const marks = below.log ? decades(from, to) : ticks(from, to, every).filter((mark) => mark >= from && mark <= to && !(below.whole && mark % 1));
  return { x, marks: spaced(marks, x, below.label ? 2 + below.label.length * LETTER : 0) };
}

// Where a chart's values lie from bottom to top.
function upwards(values, { zero, log, format }, height, foot) {
  const marks = log ? decades(Math.min(...values), Math.max(...values)) : ticks(zero ? 0 : Math.min(...values), Math.max(...values));
  const scale = log ? Math.log10 : (value) => value;
  const [low, high] = log
    ? [scale(Math.min(...values, marks[0])), scale(Math.max(...values, marks.at(-1)))]
    : [marks[0], marks.at(-1)];
  return { y: (value) => height - foot - (height - 8 - foot) * ((scale(value) - low) / (high - low || 1)), marks, name: format };
}

// A chart with a legend that tells its last values, or those under the pointer.
// Options: below: {label, from, log, whole}, the axis under it; log: of the other axis, which then says so.
class Chart {
  constructor(title, { format = short, zero = false, log = false, height = 96, below = null } = {}) {
    this.title = title;
    this.options = { format, zero, log, height, below };
    this.box = element("div", "chart");
    this.box.chart = this;
    this.head = element("p");
    this.picture = make("svg");
    this.width = 480;
    this.box.append(this.head, this.picture, saving("SVG", "CSV"));
    // Texts keep their size whatever the chart's.
    new ResizeObserver(([{ contentRect }]) => this.fit(Math.round(contentRect.width))).observe(this.box);
  }

  // series: {name, colour, points: [[at, value]], faint, says, band: [[at, low, high]], bare, unnamed}, where `says`
  // stands in the legend for the last value, a bare curve has no dot at its end, and an unnamed one is not in the legend.
  show(series) {
    const { log, below } = this.options;
    const positive = ([at, value]) => known(value) && (!log || value > 0) && (!below?.log || at > 0);
    this.series = series.map((one) => ({ ...one, points: one.points.filter(positive) })).filter((one) => one.points.length);
    this.#legend();
    this.#draw();
    return this;
  }

  fit(width) {
    if (width < 1 || width === this.width) return;
    this.width = width;
    this.#draw();
  }

  #legend() {
    const title = element("b", "", this.title);
    if (this.options.log && this.series.length) title.append(element("small", "", "log"));
    const named = this.series.filter((one) => !one.faint && !one.unnamed);
    this.labels = named.slice(0, NAMED).map((one) => {
      const label = element("span", one.colour, one.name), value = element("em");
      label.append(value);
      return { one, label, value };
    });
    this.head.replaceChildren(title, ...this.labels.map(({ label }) => label));
    if (named.length > NAMED) this.head.append(element("i", "", `and ${named.length - NAMED} more`));
    this.#tell();
  }

  // The values at the pointer, or the last ones.
  #tell() {
    for (const { one, value } of this.labels) {
      const point = this.pointer === undefined ? one.points.at(-1) : this.#nearest(one.points);
      value.textContent = (this.pointer === undefined && one.says) || this.options.format(point[1]);
    }
    if (!this.cursor) return;
    const place = this.pointer === undefined ? null : this.x(this.#nearest(this.series[0].points)[0]);
    this.cursor.setAttribute("visibility", place === null ? "hidden" : "visible");
    for (const name of ["x1", "x2"]) this.cursor.setAttribute(name, place ?? 0);
  }

  #nearest(points) {
    const away = ([at]) => Math.abs(this.x(at) - this.pointer * this.width);
    return points.reduce((one, other) => (away(other) < away(one) ? other : one));
  }

  #draw() {
    const { width, options: { height, below } } = this;
    const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
    this.picture.replaceWith(svg);
    this.picture = svg;
    this.cursor = null;
    if (!this.series.length) return;
    const foot = below ? 24 : 8;
    const values = this.series.flatMap((one) => [...one.points.map(([, value]) => value), ...(one.band || []).flatMap(([, ...ends]) => ends)]);
    const { y, marks, name } = upwards(values.filter((value) => !this.options.log || value > 0), this.options, height, foot);
    const { x, marks: stops } = across(this.series.flatMap((one) => one.points), below, width);
    this.x = x;
    for (const mark of marks) {
      svg.append(make("line", { class: "grid", x1: LEFT, x2: width - 4, y1: y(mark), y2: y(mark) }));
      svg.append(make("text", { class: "tick", x: LEFT - 6, y: y(mark) + 3.5, "text-anchor": "end" }, name(mark)));
    }
    for (const stop of stops) svg.append(make("text", { class: "tick", x: x(stop), y: height - 8, "text-anchor": "middle" }, short(stop)));
    if (below?.label) svg.append(make("text", { class: "tick", x: 2, y: height - 8 }, below.label));
    for (const one of this.series) this.#curve(svg, one, x, y);
    if (below) this.#follow(svg, height - foot);
  }

  #curve(svg, one, x, y) {
    if (one.band) {
      // What is below the axis, or has no logarithm, lies on its floor.
      const floor = this.options.height - (this.options.below ? 24 : 8);
      const within = (value) => (this.options.log && value <= 0 ? floor : Math.min(y(value), floor));
      const edges = [...one.band.map(([at, from]) => [at, from]), ...one.band.map(([at, , to]) => [at, to]).reverse()];
      svg.append(make("path", { class: `band ${one.colour}`, d: `${path(edges, x, within)}Z` }));
    }
    svg.append(make("path", { class: `curve ${one.colour}${one.faint ? " faint" : ""}`, d: path(one.points, x, y) }));
    if (one.faint || one.bare || one.colour === "soft" || one.points.length > 60 || this.options.below?.log) return;
    const [at, value] = one.points.at(-1);
    svg.append(make("circle", { class: one.colour, cx: x(at), cy: y(value), r: 2.4 }));
  }

  #follow(svg, bottom) {
    this.cursor = make("line", { class: "cursor", y1: 4, y2: bottom, visibility: "hidden" });
    svg.append(this.cursor);
    const at = (place) => { this.pointer = place; this.#tell(); };
    svg.addEventListener("pointermove", (event) => {
      const { left, width } = svg.getBoundingClientRect();
      at((event.clientX - left) / width);
    });
    svg.addEventListener("pointerleave", () => at(undefined));
    this.#tell();
  }

  // All points, one a line.
  csv() {
    const quoted = (text) => (/[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text);
    const lines = this.series.flatMap((one) => {
      const name = one.name || (one.faint ? "single minibatches" : this.title);
      return one.points.map(([at, value]) => `${quoted(name)},${at},${value}`);
    });
    return ["series,".concat(quoted(this.options.below?.label || "x"), ",", quoted(this.title)), ...lines, ""].join("\n");
  }

  svg() {
    return standalone(this.picture, this.title, this.labels.map(({ one, label }) => [one.name, getComputedStyle(label).color]));
  }
}

const chart = (title, series, options) => new Chart(title, options).show(series).box;

// The live page's charts, which stay the same while what they show goes on.
const LIVE = new Map();

function live(title, series, options) {
  if (!LIVE.has(title)) LIVE.set(title, new Chart(title, { height: 112, below: EPOCHS, ...options }));
  return LIVE.get(title).show(series).box;
}

function charts(state) {
  const fine = (key) => state.curve.filter((point) => known(point[key])).map((point) => [point.at, point[key]]);
  const coarse = (key, turn = (value) => value) =>
    state.epoch_curve.filter((point) => known(point[key])).map((point) => [point.at, turn(point[key])]);
  const error = (value) => 1 - value;
  const trail = fine("loss"), score = state.scores.r2 ? "r2" : "accuracy";
  const parts = (key, turn) => ["train", "validation", "test"].map((part, index) => (
    { name: part, colour: ["one", "two", "three"][index], points: coarse(`${key}_${part}`, turn) }));
  return [
    live("Loss", [
      { name: "", colour: "one", points: trail, faint: true },
      { name: "train", colour: "one", points: smooth(trail, 25) },
      { name: "validation", colour: "two", points: coarse("loss_validation") },
      { name: "test", colour: "three", points: coarse("loss_test") },
    ], { log: true }),
    live(score === "r2" ? "Variance not explained, 1 − R²" : "Error", parts(score, error),
      { log: true, format: (value) => percent(value, value < 0.1 && value > 0 ? 1 : 0) }),
    ...(state.scores.psnr ? [live("PSNR (dB)", parts("psnr"), {}), live("SSIM", parts("ssim"), {})] : []),
    live("Sweeps to settle", [
      { name: "", colour: "one", points: fine("sweeps"), faint: true },
      { name: "median", colour: "one", points: smooth(fine("sweeps"), 15) },
    ], { zero: true }),
    state.settings.radius
      ? live("Spectral radius and step", [
        { name: "μ", colour: "one", points: fine("radius") },
        { name: "step", colour: "two", points: fine("step") },
      ], { zero: true })
      : live("Step", [{ name: "step", colour: "two", points: fine("step") }], { zero: true }),
  ];
}
