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

const percent = (value, digits = 1) => (known(value) ? `${(100 * value).toFixed(digits)}%` : "–");

// Round steps, about `count` of them, from below the smallest to above the largest value.
function ticks(low, high, count = 3) {
  if (!(high > low)) { high = low + (Math.abs(low) || 1) * 0.5; low -= (Math.abs(low) || 1) * 0.5; }
  const rough = (high - low) / count;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const found = [];
  for (let value = Math.floor(low / step) * step; value < high + step * 0.999; value += step) found.push(Number(value.toPrecision(6)));
  return found;
}

// Powers of ten and, where there are few of them, halves and fifths between them.
function decades(low, high) {
  const found = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power += 1) {
    for (const factor of [1, 2, 5]) {
      const mark = Number((factor * 10 ** power).toPrecision(3));
      if (mark >= low && mark <= high) found.push(mark);
    }
  }
  const whole = found.filter((mark) => Number.isInteger(Math.log10(mark)) || Math.abs(Math.log10(mark) % 1) < 1e-9);
  const kept = whole.length >= 3 ? whole : found.length > 4 ? found.filter((mark, index) => index % 2 === 0) : found;
  return kept.length ? kept : [low, high];
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

// series: {name, colour, points: [[at, value]], faint}
function chart(title, series, { format = short, zero = false, log = false, width = 480, height = 96 } = {}) {
  const box = element("div", "chart");
  const head = element("p");
  head.append(element("b", "", title));
  const positive = ([, value]) => !log || value > 0;
  const shown = series.map((one) => ({ ...one, points: one.points.filter(positive) })).filter((one) => one.points.length);
  for (const one of shown.filter((candidate) => !candidate.faint)) {
    const label = element("span", one.colour, one.name);
    label.append(element("em", "", format(one.points.at(-1)[1])));
    head.append(label);
  }
  box.append(head);
  const svg = make("svg", { viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  box.append(svg);
  if (!shown.length) return box;
  const values = shown.flatMap((one) => one.points.map(([, value]) => value));
  const marks = log ? decades(Math.min(...values), Math.max(...values)) : ticks(zero ? 0 : Math.min(...values), Math.max(...values));
  const scale = log ? Math.log10 : (value) => value;
  const [low, high] = log
    ? [scale(Math.min(...values, marks[0])), scale(Math.max(...values, marks.at(-1)))]
    : [marks[0], marks.at(-1)];
  const last = Math.max(1, ...shown.flatMap((one) => one.points.map(([at]) => at)));
  const x = (at) => 44 + (width - 50) * (at / last);
  const y = (value) => height - 8 - (height - 16) * ((scale(value) - low) / (high - low || 1));
  for (const mark of marks) {
    svg.append(make("line", { class: "grid", x1: 44, x2: width - 4, y1: y(mark), y2: y(mark) }));
    svg.append(make("text", { class: "tick", x: 38, y: y(mark) + 3.5, "text-anchor": "end" }, format(mark)));
  }
  for (const one of shown) {
    svg.append(make("path", { class: `curve ${one.colour}${one.faint ? " faint" : ""}`, d: path(one.points, x, y) }));
    if (one.faint || one.points.length > 60) continue;
    const [at, value] = one.points.at(-1);
    svg.append(make("circle", { class: one.colour, cx: x(at), cy: y(value), r: 2.4 }));
  }
  return box;
}

function charts(state, width) {
  const fine = (key) => state.curve.filter((point) => known(point[key])).map((point) => [point.at, point[key]]);
  const coarse = (key, turn = (value) => value) =>
    state.epoch_curve.filter((point) => known(point[key])).map((point) => [point.at, turn(point[key])]);
  const error = (value) => 1 - value;
  const trail = fine("loss");
  return [
    chart("Loss", [
      { name: "", colour: "one", points: trail, faint: true },
      { name: "train", colour: "one", points: smooth(trail, 25) },
      { name: "validation", colour: "two", points: coarse("loss_validation") },
      { name: "test", colour: "three", points: coarse("loss_test") },
    ], { width, log: true }),
    chart("Error", [
      { name: "train", colour: "one", points: coarse("accuracy_train", error) },
      { name: "validation", colour: "two", points: coarse("accuracy_validation", error) },
      { name: "test", colour: "three", points: coarse("accuracy_test", error) },
    ], { width, log: true, format: (value) => percent(value, value < 0.1 && value > 0 ? 1 : 0) }),
    chart("Sweeps to settle", [
      { name: "", colour: "one", points: fine("sweeps"), faint: true },
      { name: "median", colour: "one", points: smooth(fine("sweeps"), 15) },
    ], { width, zero: true }),
    state.settings.radius
      ? chart("Spectral radius and step", [
        { name: "μ", colour: "one", points: fine("radius") },
        { name: "step", colour: "two", points: fine("step") },
      ], { width, zero: true })
      : chart("Step", [{ name: "step", colour: "two", points: fine("step") }], { width, zero: true }),
  ];
}
