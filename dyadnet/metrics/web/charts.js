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

function figure(name, value, unit = "") {
  const box = element("dl", "figure");
  const number = element("dd", "", value);
  if (unit) number.append(element("small", "", ` ${unit}`));
  box.append(element("dt", "", name), number);
  return box;
}

// Where a chart's values lie from left to right: from 0, without marks, unless `below` says more.
function across(points, below, width) {
  const values = points.map(([at]) => at);
  const scale = below?.log ? Math.log10 : (value) => value;
  const [low, high] = [below?.from ?? 0, Math.max(below ? -Infinity : 1, ...values)].map(scale);
  const marks = !below ? [] : below.log ? decades(below.from, Math.max(...values))
    : ticks(below.from ?? 0, Math.max(...values), 6).filter((mark) => mark >= (below.from ?? 0) && mark <= Math.max(...values) && !(below.whole && mark % 1));
  return { x: (at) => 44 + (width - 56) * ((scale(at) - low) / (high - low || 1)), marks };
}

// While the pointer is over a chart its legend tells the values there.
function followed(svg, shown, labels, { x, format, width, height, below }) {
  const line = make("line", { class: "cursor", y1: 4, y2: height - (below ? 24 : 8), visibility: "hidden" });
  svg.append(line);
  const nearest = (points, at) => points.reduce((one, other) => (Math.abs(x(other[0]) - at) < Math.abs(x(one[0]) - at) ? other : one));
  const tell = (at) => {
    const places = shown.map((one) => (at === null ? one.points.at(-1) : nearest(one.points, at)));
    labels.forEach(([label, index]) => { label.textContent = (at === null && shown[index].says) || format(places[index][1]); });
    if (at === null) line.setAttribute("visibility", "hidden");
    else for (const [name, value] of [["x1", x(places[0][0])], ["x2", x(places[0][0])], ["visibility", "visible"]]) line.setAttribute(name, value);
  };
  svg.addEventListener("pointermove", (event) => {
    const box = svg.getBoundingClientRect();
    tell(((event.clientX - box.left) / box.width) * width);
  });
  svg.addEventListener("pointerleave", () => tell(null));
}

// series: {name, colour, points: [[at, value]], faint, says}, where `says` stands in the legend for the last value;
// below: {label, from, log, whole}, the axis under the chart.
function chart(title, series, { format = short, zero = false, log = false, width = 480, height = 96, below = null } = {}) {
  const box = element("div", "chart");
  const head = element("p");
  head.append(element("b", "", title));
  const positive = ([at, value]) => known(value) && (!log || value > 0) && (!below?.log || at > 0);
  const shown = series.map((one) => ({ ...one, points: one.points.filter(positive) })).filter((one) => one.points.length);
  const labels = [];
  shown.forEach((one, index) => {
    if (one.faint) return;
    const label = element("span", one.colour, one.name);
    const value = element("em", "", one.says || format(one.points.at(-1)[1]));
    label.append(value);
    labels.push([value, index]);
    head.append(label);
  });
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
  const { x, marks: stops } = across(shown.flatMap((one) => one.points), below, width);
  const foot = below ? 24 : 8;
  const y = (value) => height - foot - (height - 8 - foot) * ((scale(value) - low) / (high - low || 1));
  for (const mark of marks) {
    svg.append(make("line", { class: "grid", x1: 44, x2: width - 4, y1: y(mark), y2: y(mark) }));
    svg.append(make("text", { class: "tick", x: 38, y: y(mark) + 3.5, "text-anchor": "end" }, format(mark)));
  }
  for (const stop of stops) svg.append(make("text", { class: "tick", x: x(stop), y: height - 8, "text-anchor": "middle" }, short(stop)));
  if (below?.label) svg.append(make("text", { class: "tick", x: 38, y: height - 8, "text-anchor": "end" }, below.label));
  for (const one of shown) {
    svg.append(make("path", { class: `curve ${one.colour}${one.faint ? " faint" : ""}`, d: path(one.points, x, y) }));
    if (one.faint || one.colour === "soft" || one.points.length > 60 || below?.log) continue;
    const [at, value] = one.points.at(-1);
    svg.append(make("circle", { class: one.colour, cx: x(at), cy: y(value), r: 2.4 }));
  }
  if (below) followed(svg, shown, labels, { x, format, width, height, below });
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
