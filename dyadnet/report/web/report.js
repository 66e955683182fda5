"use strict";
// Puts a report together: one run, or several beside each other and then each by itself.

const { runs, version } = JSON.parse(document.getElementById("data").textContent);

function pill(run) {
  const box = element("div", `state ${run.state}`);
  box.append(element("i"), element("span", "", run.state));
  return box;
}

const average = (values) => values.reduce((a, b) => a + b, 0) / values.length;
const saturation = (epoch) => (Object.keys(epoch.blocks).length ? average(Object.values(epoch.blocks).map((block) => block.saturated)) : null);

// [title, value, how it is shown, whether more or less is better]
const MEASURES = [
  ["test", (run) => best(run)?.accuracy.test, (value) => percent(value, 2), Math.max],
  ["test, ideal", (run) => best(run)?.accuracy.test_ideal, (value) => percent(value, 2), Math.max],
  ["validation", (run) => best(run)?.accuracy.validation, (value) => percent(value, 2), Math.max],
  ["best epoch", (run) => best(run)?.epoch, short],
  ["train loss", (run) => run.epochs.at(-1)?.loss.train, short, Math.min],
  ["gap, points", (run) => (run.epochs.length ? 100 * (run.epochs.at(-1).accuracy.train - run.epochs.at(-1).accuracy.test) : null), (value) => short(value, 2)],
  ["sweeps", (run) => (run.epochs.length ? total(run, "sweeps") / run.epochs.length : null), short, Math.min],
  ["capped", (run) => (run.epochs.length ? total(run, "capped") / total(run, "phases") : null), percent],
  ["saturated", (run) => (run.epochs.length ? saturation(run.epochs.at(-1)) : null), percent],
  ["μ", (run) => run.epochs.at(-1)?.radius || null, short],
  ["messages", (run) => (run.epochs.length ? total(run, "messages") : null), count],
  ["time", (run) => (run.machinery.length ? seconds(run) : null), duration],
];

function named(run, index) {
  const box = element("span");
  box.append(element("i", `swatch ${colour(index)}`), element("span", "", run.name));
  return box;
}

function comparison() {
  const columns = [["run", (run) => named(run, runs.indexOf(run)), () => "words"], ["", (run) => run.state, () => "words"]];
  for (const [title, of, show, choose] of MEASURES) {
    const values = runs.map(of).filter(known);
    if (!values.length) continue;
    const top = choose && values.length > 1 && new Set(values).size > 1 ? choose(...values) : null;
    columns.push([title, (run) => show(of(run)), (run) => (top !== null && of(run) === top ? "best" : "")]);
  }
  return panel("Results", "accuracy of the weights that are best on validation", table(columns, runs));
}

function curves() {
  const each = (of) => runs.map((run, index) => ({ name: run.name, colour: colour(index), points: over(run, of) }));
  const largest = (key) => (epoch) => Math.max(...Object.values(epoch.blocks).map((block) => block[key]));
  const size = { ...SIZE, height: 180 };
  return panel("Side by side", "by epoch", grid(
    chart("Test error", each((epoch) => 1 - epoch.accuracy.test), { ...size, log: true, format: rate }),
    chart("Training loss", each((epoch) => epoch.loss.train), { ...size, log: true }),
    chart("Gap: training − test accuracy, points", each((epoch) => 100 * (epoch.accuracy.train - epoch.accuracy.test)), size),
    chart("Sweeps to settle", each((epoch) => epoch.sweeps), { ...size, zero: true }),
    chart("Saturated compartments, mean over blocks", each(saturation), { ...size, zero: true, format: rate }),
    chart("Residual |A*−A|, largest", each(largest("residual_mean")), { ...size, log: true, format: (value) => short(value, 2) }),
    chart("Spectral radius μ", each((epoch) => epoch.radius || null), { ...size, zero: true }),
    chart("Messages an epoch", each((epoch) => epoch.messages), { ...size, zero: true }),
  ));
}

function differences() {
  const told = runs.filter((run) => run.yaml);
  const keys = [...new Set(told.flatMap((run) => Object.keys(run.settings)))];
  const differing = keys.filter((key) => new Set(told.map((run) => run.settings[key])).size > 1);
  const columns = [["setting", (key) => key], ...told.map((run) => [run.name, (key) => run.settings[key] ?? "", () => "key"])];
  const text = differing.length ? table(columns, differing) : element("p", "note", "No setting differs.");
  return panel("Settings that differ", "", text);
}

function compared() {
  const parts = [comparison()];
  if (runs.some((run) => run.epochs.length)) parts.push(curves());
  if (runs.filter((run) => run.yaml).length > 1) parts.push(differences());
  for (const run of runs) {
    const details = element("details", "run"), summary = element("summary"), inside = element("div");
    summary.append(element("b", "", run.name), element("span", "", described(run)), pill(run));
    inside.append(...everything(run));
    details.append(summary, inside);
    parts.push(details);
  }
  return parts;
}

const first = runs[0];
document.getElementById("about").textContent = runs.length === 1 ? described(first) : runs.map((run) => run.name).join(", ");
if (runs.length === 1) document.getElementById("state").replaceWith(pill(first));
else document.getElementById("state").hidden = true;
document.getElementById("content").replaceChildren(...(runs.length === 1 ? everything(first) : compared()));
document.getElementById("footing").textContent = `dyadnet ${version} · from ${runs.map((run) => run.path).join(", ")}`;
