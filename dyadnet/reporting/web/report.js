"use strict";
// Puts a report together: one run, or several beside each other and then each by itself.

const { runs, groups, version } = JSON.parse(document.getElementById("data").textContent);

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
  ["test PSNR", (run) => best(run)?.psnr.test, decibels, Math.max],
  ["test PSNR, ideal", (run) => best(run)?.psnr.test_ideal, decibels, Math.max],
  ["validation PSNR", (run) => best(run)?.psnr.validation, decibels, Math.max],
  ["test SSIM", (run) => best(run)?.ssim.test, fixed, Math.max],
  ["test R²", (run) => best(run)?.r2.test, fixed, Math.max],
  ["test R², ideal", (run) => best(run)?.r2.test_ideal, fixed, Math.max],
  ["validation R²", (run) => best(run)?.r2.validation, fixed, Math.max],
  ["test MAE", (run) => best(run)?.mae.test, short, Math.min],
  ["test MSE", (run) => best(run)?.squared_error.test, short, Math.min],
  ["best epoch", (run) => best(run)?.epoch, short],
  ["train loss", (run) => run.epochs.at(-1)?.loss.train, short, Math.min],
  ["gap, points", (run) => (run.epochs.length ? gap(run.epochs.at(-1)) : null), (value) => short(value, 2)],
  ["sweeps", (run) => (run.epochs.length ? total(run, "sweeps") / run.epochs.length : null), short, Math.min],
  ["capped", (run) => (run.epochs.length ? total(run, "capped") / total(run, "phases") : null), percent],
  ["saturated", (run) => (run.epochs.length ? saturation(run.epochs.at(-1)) : null), percent],
  ["μ", (run) => run.epochs.at(-1)?.radius || null, short],
  ["messages", (run) => (run.epochs.length ? total(run, "messages") : null), count],
  ["time", (run) => (run.machinery.length ? seconds(run) : null), duration],
];

// What is compared: single runs, or those that differ in nothing but the seed together.
const units = groups.map((group, index) => ({ name: group.name, colour: colour(index), runs: group.runs.map((number) => runs[number]) }));
const several = units.some((unit) => unit.runs.length > 1);

function named(unit) {
  const box = element("span");
  box.append(element("i", `swatch ${unit.colour}`), element("span", "", unit.name));
  return box;
}

// Mean and standard deviation of what is known of a unit's runs.
function over_runs(values) {
  if (!values.length) return { mean: null, deviation: null };
  const mean = average(values);
  const deviation = values.length > 1 ? Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1)) : null;
  return { mean, deviation };
}

function states(unit) {
  const counts = new Map();
  for (const { state } of unit.runs) counts.set(state, (counts.get(state) || 0) + 1);
  return [...counts].map(([state, many]) => (counts.size > 1 ? `${many} ${state}` : state)).join(", ");
}

function comparison() {
  const columns = [["run", named, () => "words"], ["", states, () => "words"]];
  if (several) columns.push(["seeds", (unit) => unit.runs.length]);
  for (const [title, of, show, choose] of MEASURES) {
    const told = new Map(units.map((unit) => [unit, over_runs(unit.runs.map(of).filter(known))]));
    const means = [...told.values()].map(({ mean }) => mean).filter(known);
    if (!means.length) continue;
    const top = choose && means.length > 1 && new Set(means).size > 1 ? choose(...means) : null;
    const cell = (unit) => {
      const { mean, deviation } = told.get(unit);
      return known(deviation) ? `${show(mean)} ± ${show === short ? short(deviation, 2) : show(deviation)}` : show(mean);
    };
    columns.push([title, cell, (unit) => (top !== null && told.get(unit).mean === top ? "best" : "")]);
  }
  const results = panel("Results", "scores of the weights that are best on validation", table(columns, units));
  if (several) results.append(element("p", "note", "Runs that differ in nothing but the seed are told together: mean ± standard deviation over seeds."));
  return results;
}

// A quantity of a unit by epoch: of several runs the mean, and the standard deviation around it as a band.
function together(unit, of) {
  const all = new Map();
  for (const run of unit.runs) for (const [at, value] of over(run, of)) all.set(at, [...(all.get(at) || []), value]);
  const told = [...all].sort(([a], [b]) => a - b).map(([at, values]) => [at, over_runs(values)]);
  const band = told.filter(([, { deviation }]) => known(deviation)).map(([at, { mean, deviation }]) => [at, mean - deviation, mean + deviation]);
  return { points: told.map(([at, { mean }]) => [at, mean]), band: band.length ? band : null };
}

function curves() {
  const each = (of) => units.map((unit) => ({ name: unit.name, colour: unit.colour, ...together(unit, of) }));
  const largest = (key) => (epoch) => Math.max(...Object.values(epoch.blocks).map((block) => block[key]));
  const size = { ...SIZE, height: 180 };
  return panel("Side by side", several ? "by epoch; bands: standard deviation over seeds" : "by epoch", grid(
    chart("Test error", each((epoch) => (known(epoch.accuracy.test) ? 1 - epoch.accuracy.test : null)), { ...size, log: true, format: rate }),
    chart("Test, variance not explained", each((epoch) => (known(epoch.r2.test) ? 1 - epoch.r2.test : null)), { ...size, log: true, format: rate }),
    chart("Test PSNR (dB)", each((epoch) => epoch.psnr.test ?? null), size),
    chart("Test SSIM", each((epoch) => epoch.ssim.test ?? null), size),
    chart("Training loss", each((epoch) => epoch.loss.train), { ...size, log: true }),
    chart("Gap: training − test accuracy, points", each(gap), size),
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
  const columns = [["setting", (key) => key], ...units.filter((unit) => unit.runs.some((run) => run.yaml)).map((unit) => (
    [unit.name, (key) => [...new Set(unit.runs.map((run) => run.settings[key] ?? ""))].join(", "), () => "key"]))];
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
