"use strict";
// The parts of a report, each made from what the record of one run says.

const COLOURS = ["one", "two", "three", "four", "five", "six", "seven", "eight"];
const colour = (index) => COLOURS[index % COLOURS.length] + (index >= COLOURS.length ? " dashed" : "");
const SIZE = { height: 150, below: EPOCHS };
const rate = (value) => (known(value) ? `${short(100 * value)}%` : "–");
const count = (value) => (known(value) ? Math.round(value).toLocaleString("en") : "–");

function panel(title, unit, ...children) {
  const box = element("section", "panel");
  const bar = element("div", "bar");
  bar.append(element("h2", "", title), element("span", "unit", unit));
  box.append(bar, ...children);
  return box;
}

function grid(...children) {
  const box = element("div", "many");
  box.append(...children.filter((child) => child && child.querySelector("path, table")));
  return box;
}

// columns: [title, of(row), class(row)]
function table(columns, rows) {
  const scroll = element("div", "scroll"), body = element("table"), head = element("tr");
  for (const [title] of columns) head.append(element("th", "", title));
  body.append(head);
  for (const row of rows) {
    const line = element("tr");
    for (const [, of, kind] of columns) {
      const shown = of(row);
      const cell = element("td", kind ? kind(row) || "" : "");
      cell.append(shown instanceof Node ? shown : String(shown));
      line.append(cell);
    }
    body.append(line);
  }
  scroll.append(body);
  return scroll;
}

const over = (run, of) => run.epochs.map((epoch) => [epoch.epoch, of(epoch)]).filter(([, value]) => known(value));
const part = (run, key, name, turn = (value) => value) => over(run, (epoch) => (known(epoch[key][name]) ? turn(epoch[key][name]) : null));
const error = (value) => 1 - value;
const blocks = (run) => Object.keys(run.epochs.at(-1)?.blocks || {});
const total = (run, key) => run.epochs.reduce((sum, epoch) => sum + (epoch[key] || 0), 0);
const seconds = (run) => run.machinery.reduce((sum, line) => sum + (line.seconds.training || 0) + (line.seconds.evaluation || 0), 0);

function duration(value) {
  if (!known(value)) return "–";
  if (value < 60) return `${short(value)} s`;
  const whole = Math.round(value), hours = Math.floor(whole / 3600), minutes = Math.floor(whole / 60) % 60;
  return hours ? `${hours} h ${minutes} min` : `${minutes} min ${whole % 60} s`;
}

// The epoch whose weights are best on validation, and what it reached.
function best(run) {
  const merit = (epoch) => [epoch.accuracy.validation ?? 0, -epoch.loss.validation];
  const better = (one, other) => one[0] > other[0] || (one[0] === other[0] && one[1] > other[1]);
  return run.epochs.reduce((kept, epoch) => (!kept || better(merit(epoch), merit(kept)) ? epoch : kept), null);
}

function described(run) {
  const about = run.about;
  if (!about.model) return run.path;
  return `${about.model} ${about.network} on ${about.data} · engine ${about.engine}, ${about.mode} · seed ${about.seed} · `
    + `${run.epochs.length}${run.planned === run.epochs.length ? "" : ` of ${run.planned}`} epoch${run.planned === 1 ? "" : "s"}`;
}

function gaps(run) {
  const box = element("div", run.state === "damaged" ? "why" : "why calm");
  const list = element("ul");
  for (const text of run.missing) list.append(element("li", "", text));
  box.append(element("b", "", "Missing from this run"), list);
  return box;
}

// Targets are classes, with an accuracy, or numbers, with R² and errors, and of images with PSNR and SSIM.
const ofNumbers = (run) => known(run.epochs.at(-1)?.r2.test);
const gap = (epoch) => (known(epoch.accuracy.test) ? 100 * (epoch.accuracy.train - epoch.accuracy.test) : null);

const ofImages = (run) => known(run.epochs.at(-1)?.psnr.test);

function numbers(epoch) {
  const images = known(epoch.psnr.test) ? [
    figure("Test PSNR", decibels(epoch.psnr.test), `epoch ${epoch.epoch}`),
    figure("Validation PSNR", decibels(epoch.psnr.validation)),
    figure("Test SSIM", fixed(epoch.ssim.test)),
  ] : [];
  return [
    ...images,
    figure("Test R²", fixed(epoch.r2.test), `epoch ${epoch.epoch}`),
    figure("Validation R²", fixed(epoch.r2.validation)),
    figure("Test MAE", short(epoch.mae.test)),
    figure("Test MSE", short(epoch.squared_error.test)),
  ];
}

function figures(run) {
  const box = element("section", "figures");
  const [chosen, last] = [best(run), run.epochs.at(-1)];
  if (!last) return box;
  box.append(
    ...(ofNumbers(run) ? numbers(chosen) : [
      figure("Test accuracy", percent(chosen.accuracy.test, 2), `epoch ${chosen.epoch}`),
      figure("Validation accuracy", percent(chosen.accuracy.validation, 2)),
      figure("Gap", short(gap(last), 2), "points"),
    ]),
    figure("Training loss", short(last.loss.train)),
    figure("Sweeps to settle", short(total(run, "sweeps") / run.epochs.length), `most ${short(Math.max(...run.epochs.map((e) => e.most_sweeps)))}`),
    figure("Capped", percent(total(run, "capped") / total(run, "phases")), "of phases"),
    figure(last.radius ? "Spectral radius μ" : "Step", short(last.radius || last.step)),
    figure("Time", duration(seconds(run))),
  );
  if (known(last.psnr.test_ideal)) box.append(figure("Test PSNR, ideal", decibels(chosen.psnr.test_ideal)));
  if (known(last.r2.test_ideal)) box.append(figure("Test R², ideal", fixed(chosen.r2.test_ideal)));
  if (known(last.accuracy.test_ideal)) box.append(figure("Test, ideal", percent(chosen.accuracy.test_ideal, 2)));
  return box;
}

const fine = (run, key) => run.minibatches.filter((point) => known(point[key])).map((point) => [point.at, point[key]]);

function training(run) {
  const three = (key, turn) => ["train", "validation", "test", "test_ideal"].map((name, index) => (
    { name: name.replace("_", ", "), colour: colour(index), points: part(run, key, name, turn) }));
  return [
    chart("Loss", [{ name: "", colour: "one", points: fine(run, "loss"), faint: true }, ...three("loss")], { ...SIZE, log: true }),
    chart(ofNumbers(run) ? "Variance not explained, 1 − R²" : "Error", three(ofNumbers(run) ? "r2" : "accuracy", error), { ...SIZE, log: true, format: rate }),
    ...(ofImages(run) ? [chart("PSNR (dB)", three("psnr"), SIZE), chart("SSIM", three("ssim"), SIZE)] : []),
    chart("Sweeps to settle", [
      { name: "", colour: "one", points: fine(run, "sweeps"), faint: true },
      { name: "mean", colour: "one", points: over(run, (epoch) => epoch.sweeps) },
      { name: "most", colour: "two", points: over(run, (epoch) => epoch.most_sweeps) },
    ], { ...SIZE, zero: true }),
  ];
}

// What is changed while training, and what follows from it.
function course(run) {
  const charts = [
    chart(run.epochs.some((epoch) => epoch.radius) ? "Spectral radius μ and step" : "Step", [
      { name: "μ", colour: "one", points: over(run, (epoch) => epoch.radius || null) },
      { name: "step", colour: "two", points: run.about.mode === "free" ? [] : over(run, (epoch) => epoch.step) },
    ], { ...SIZE, zero: true }),
  ];
  const moves = (key) => new Set(run.epochs.map((epoch) => epoch[key])).size > 1;
  if (moves("learning_rate")) charts.push(chart("Learning rate", [{ name: "", colour: "one", points: over(run, (e) => e.learning_rate) }], { ...SIZE, zero: true }));
  if (moves("beta")) charts.push(chart("Strength of the nudge β", [{ name: "", colour: "one", points: over(run, (e) => e.beta) }], { ...SIZE, zero: true }));
  const lambdas = run.epochs.map((epoch) => JSON.stringify(epoch.lambda));
  if (new Set(lambdas).size > 1) {
    const named = run.network?.projections.filter((projection) => known(projection.lambda)) || [];
    charts.push(chart("λ", (run.epochs.at(-1).lambda || []).map((_, index) => ({
      name: named[index] ? `${named[index].pre} → ${named[index].post}` : String(index + 1), colour: colour(index),
      points: over(run, (epoch) => epoch.lambda?.[index]),
    })), { ...SIZE, zero: true }));
  }
  const objective = fine(run, "objective");
  if (objective.length) charts.push(chart("Saddle objective", [
    { name: "", colour: "one", points: objective, faint: true },
    { name: "median", colour: "one", points: smooth(objective, 15) },
  ], SIZE));
  return panel("Course", "by epoch", grid(...charts));
}

// Network and curves side by side; the curves alone where nothing is known of the network.
function overview(run) {
  const network = picture(run);
  const charts = element("div", network ? "charts" : "many");
  charts.append(...training(run));
  const curves = panel("Training", "by epoch", charts);
  if (!network) return curves;
  const main = element("main");
  main.append(network, curves);
  return main;
}

// Buttons of which one is chosen, the first to begin with: [[value, name]].
function choose(label, choices, show) {
  const box = element("div", "switch");
  box.setAttribute("role", "radiogroup");
  box.setAttribute("aria-label", label);
  const buttons = choices.map(([value, name]) => {
    const button = element("button", "", name);
    button.type = "button";
    button.setAttribute("role", "radio");
    if (typeof value === "string") button.dataset.by = value;
    button.addEventListener("click", () => pick(value, button));
    return button;
  });
  const pick = (value, chosen) => {
    for (const button of buttons) button.setAttribute("aria-checked", String(button === chosen));
    show(value);
  };
  box.append(...buttons);
  pick(choices[0][0], buttons[0]);
  return box;
}

function picture(run) {
  if (!run.network || !run.epochs.length) return null;
  const svg = make("svg", { class: "network", role: "img", "aria-label": "Blocks and channels of the network" });
  const legend = element("div", "legend"), frame = element("div", "scroll drawing");
  frame.append(svg);
  const box = panel("Network", "", frame, legend);
  const drawing = new Network(svg, legend);
  const last = run.epochs.at(-1);
  const found = Object.fromEntries(Object.entries(last.blocks).map(([name, block]) => [name, { ...block, residual: block.residual_mean }]));
  for (const layer of run.network.layers) for (const { name } of layer.blocks) if (!found[name]) return null;
  const state = { blocks: found, tolerance: run.tolerance, network: run.network, mode: run.about.mode, state: "finished" };
  let chosen = "saturation";
  const show = (by) => {
    chosen = by;
    drawing.colour(state, by);
  };
  const fit = () => { if (drawing.draw(run.network)) show(chosen); };
  fit();
  const choice = choose("Colour blocks by", [["saturation", "Saturation"], ["residual", "Residual"]], show);
  box.querySelector(".unit").replaceWith(choice);
  new ResizeObserver(fit).observe(frame);
  return box;
}

// A block metric of one's own, with its unit.
const titled = (name, unit) => (unit === "1" ? name : `${name} (${unit})`);

function layers(run) {
  const names = blocks(run);
  const each = (of) => names.map((name, index) => ({ name, colour: colour(index), points: over(run, (epoch) => (epoch.blocks[name] ? of(epoch.blocks[name], epoch, name) : null)) }));
  const bound = (value) => (known(value) && run.epochs.length > 1 ? [{ name: "tolerance", colour: "soft", points: over(run, () => value) }] : []);
  const charts = [
    chart("Saturated compartments", each((block) => block.saturated), { ...SIZE, zero: true, format: rate }),
    chart("Residual |A*−A|, largest", [...each((block) => block.residual_mean), ...bound(run.tolerance?.mean)], { ...SIZE, log: true, format: (value) => short(value, 2) }),
    chart("Residual |D*−D| / |D|, largest", [...each((block) => block.residual_difference), ...bound(run.tolerance?.difference)], { ...SIZE, log: true, format: (value) => short(value, 2) }),
    chart("Size of the mean, rms m", each((block) => block.mean_norm), { ...SIZE, zero: true }),
    chart("Size of the difference, rms d", each((block) => block.difference_norm), { ...SIZE, log: true, format: (value) => short(value, 2) }),
    chart("Norm of the weights ‖θ‖", each((block, epoch, name) => epoch.norms[name]), { ...SIZE, zero: true }),
    ...run.own.map(({ name, unit }) => chart(titled(name, unit), each((block) => block.own[name]), SIZE)),
  ];
  const last = run.epochs.at(-1);
  const sizes = new Map((run.network?.layers || []).flatMap((layer) => layer.blocks.map((block) => [block.name, block.shape ? block.shape.join("×") : block.size])));
  const kept = run.tolerance || {};
  const rows = table([
    ["block", (name) => name],
    ["neurons", (name) => sizes.get(name) ?? "–"],
    ["saturated", (name) => percent(last.blocks[name].saturated)],
    ["residual |A*−A|", (name) => short(last.blocks[name].residual_mean, 2), (name) => (last.blocks[name].residual_mean > kept.mean ? "over" : "")],
    ["|D*−D| / |D|", (name) => short(last.blocks[name].residual_difference, 2), (name) => (last.blocks[name].residual_difference > kept.difference ? "over" : "")],
    ["rms m", (name) => short(last.blocks[name].mean_norm)],
    ["rms d", (name) => short(last.blocks[name].difference_norm)],
    ["‖θ‖", (name) => short(last.norms[name])],
    ["updates", (name) => count(last.blocks[name].updates)],
    ...run.own.map(({ name: metric, unit }) => [titled(metric, unit), (name) => short(last.blocks[name].own[metric])]),
  ], names);
  rows.classList.add("spaced");
  const note = element("p", "note", `The table is of epoch ${last.epoch}. Residuals are the largest of an epoch, when relaxations ended; a dashed line marks the tolerance.`);
  return panel("Layers: settling and saturation", "training part, by epoch", grid(...charts), rows, note);
}

function messages(run) {
  const columns = [
    ["channel", (row) => row.channel.replace(">", " → ")],
    ["messages", (row) => count(row.messages)],
    ["numbers", (row) => count(row.values)],
    ["numbers a message", (row) => short(row.messages ? row.values / row.messages : null)],
  ];
  const share = (key, whole) => (row) => (row[key] ? percent(row[key] / row[whole], row[key] / row[whole] < 0.001 ? 3 : 1) : "0");
  for (const [key, whole, name] of [
    ["dropped", "messages", "lost"], ["delayed", "messages", "delayed"], ["stale", "messages", "stale"],
    ["duplicated", "messages", "duplicated"], ["quantised", "values", "numbers quantised"],
  ]) if (run.channels.some((row) => row[key])) columns.push([name, share(key, whole)]);
  if (run.channels.some((row) => row.suppressed)) {
    columns.push(["numbers held back", (row) => percent(row.suppressed / (row.suppressed + row.values || 1))]);
  }
  const built = ["channel", "messages", "values", "suppressed", "quantised", "delayed", "dropped", "duplicated", "stale"];
  const own = new Set(run.channels.flatMap((row) => Object.keys(row)).filter((key) => !built.includes(key)));
  for (const key of own) columns.push([key.replaceAll("_", " "), (row) => count(row[key] ?? 0)]);
  const sent = chart("Messages", [{ name: "an epoch", colour: "one", points: over(run, (e) => e.messages) }], { ...SIZE, zero: true, format: short });
  const numbers = chart("Numbers in them", [{ name: "an epoch", colour: "three", points: over(run, (e) => e.values) }], { ...SIZE, zero: true, format: short });
  const bytes = run.machinery.filter((line) => known(line.bytes)).map((line) => [line.epoch, line.bytes / 1e6]);
  const traffic = chart("Traffic", [{ name: "MB an epoch, evaluation included", colour: "two", points: bytes }], { ...SIZE, zero: true });
  const rows = table(columns, run.channels);
  rows.classList.add("spaced");
  return panel("Messages", "training part, all epochs", grid(sent, numbers, traffic), rows);
}

// The middle (geometric) of the bin that holds the median.
function median(bins, edges) {
  const half = bins.reduce((a, b) => a + b, 0) / 2;
  let below = 0;
  const index = bins.findIndex((value) => (below += value) >= half && value > 0);
  return index <= 0 || index + 1 >= edges.length ? edges[Math.max(index, 0)] : Math.sqrt(edges[index] * edges[index + 1]);
}

function ages(run) {
  const units = [["age_ms", "milliseconds"], ["age_updates", "updates of the sender"]];
  const charts = units.map(([key, name]) => {
    const filled = run.edges.map((_, index) => index).filter((index) => run.ages.some((edge) => edge[key][index]));
    if (!filled.length) return null;
    const [from, to] = [Math.max(1, filled[0] - 1), Math.min(run.edges.length - 1, filled.at(-1) + 2)];
    const series = run.ages.map((edge, index) => {
      const all = edge[key].reduce((a, b) => a + b, 0) || 1;
      const points = [];
      for (let bin = from; bin < to; bin += 1) points.push([run.edges[bin], edge[key][bin] / all], [run.edges[bin + 1], edge[key][bin] / all]);
      return { name: edge.edge, colour: colour(index), points, says: short(median(edge[key], run.edges), 2) };
    });
    return chart(`Age in ${name}, and its median`, series, { ...SIZE, height: 190, zero: true, format: (value) => percent(value, 0), below: { from: run.edges[from], log: true } });
  });
  const actors = [...new Set(run.machinery.flatMap((line) => Object.keys(line.actors)))];
  charts.push(chart("Updates a second", actors.map((name, index) => ({
    name, colour: colour(index), points: run.machinery.filter((line) => known(line.actors[name]?.updates_per_second)).map((line) => [line.epoch, line.actors[name].updates_per_second]),
  })), { ...SIZE, height: 190, zero: true }));
  const pace = run.machinery.filter((line) => line.pace);
  charts.push(chart("Delay and time constant", [["delay_ms", "delay, ms"], ["time_constant_ms", "T, ms"]].map(([key, name], index) => (
    { name, colour: colour(index), points: pace.map((line) => [line.epoch, line.pace[key]]) })), { ...SIZE, height: 190, zero: true }));
  return panel("Ages: how old the messages were that updates read", "share of updates", grid(...charts));
}

const TRAJECTORIES = [
  ["a⁺, and a⁻ dashed", [["plus", ""], ["minus", " dashed"]]],
  ["mean m", [["mean", ""]]],
  ["difference d", [["difference", ""]]],
];

// One row of charts a block, one colour a neuron.
function trajectories(recording) {
  return recording.blocks.flatMap(({ block, ticks: times, neurons }) => TRAJECTORIES.map(([title, kinds]) => {
    const series = kinds.flatMap(([kind, dash]) => neurons.map((neuron, index) => ({
      name: `${neuron.index}${neuron.place ? ` (${neuron.place.join(", ")})` : ""}${dash ? " a⁻" : ""}`, colour: colour(index) + dash, bare: true, unnamed: Boolean(dash),
      points: times.map((at, place) => [at, neuron[kind][place]]),
    })));
    return chart(`${block}: ${title}`, series, { ...SIZE, below: { label: "tick", from: times[0] ?? 0, whole: true } });
  }));
}

function probes(run) {
  const charts = element("div", "many three-wide");
  const show = (recording) => charts.replaceChildren(...trajectories(recording));
  const choice = choose("Relaxation", run.probes.map((recording) => [recording, `relaxation ${recording.relaxation}`]), show);
  const box = panel("Probes: neurons tick by tick", "", charts);
  box.querySelector(".unit").replaceWith(choice);
  const most = Math.max(...run.probes.flatMap(({ blocks: recorded }) => recorded.map(({ probed, neurons }) => probed - neurons.length)));
  const left = most > 0 ? ` Of each block the first ${NEURONS_SHOWN} probed neurons are shown; all are in the folder probes.` : "";
  const placed = run.probes.some(({ blocks: recorded }) => recorded.some(({ neurons }) => neurons.some(({ place }) => place)));
  const where = placed ? " (and channel, row and column)" : "";
  box.append(element("p", "note", `The first probed sample; one colour a neuron, by its index${where}.${left}`));
  return box;
}

// Tiles, which are enlarged without being smoothed: a whole number of points each side of a pixel, as far as there is room.
function tiled({ title, note, src }) {
  const box = element("figure", "tiles"), image = element("img");
  image.alt = `${title}: ${note}`;
  image.addEventListener("load", () => {
    const times = Math.max(1, Math.floor(Math.min(12, 420 / image.naturalWidth, 300 / image.naturalHeight)));
    image.width = image.naturalWidth * times;
  });
  image.src = src;
  box.append(element("figcaption", "", title.replace("->", " → ")), image, element("p", "note", note));
  return box;
}

function pictures(title, unit, found) {
  const many = element("div", "mosaics");
  many.append(...found.map(tiled));
  return panel(title, unit, many);
}

const NEURONS_SHOWN = 4;
const ACTIVITIES = ["computing", "learning", "radius", "sending", "waiting", "held"];
// What a straggler on purpose was held back for, which most runs do not have.
const RARE = new Set(["held"]);

function spending(run) {
  const each = chart("An epoch", [["training", "training"], ["evaluation", "evaluation"]].map(([key, name], index) => (
    { name, colour: colour(index), points: run.machinery.filter((line) => known(line.seconds[key])).map((line) => [line.epoch, line.seconds[key]]) })),
  { ...SIZE, zero: true, format: (value) => `${short(value)} s` });
  const actors = [...new Set(run.machinery.flatMap((line) => Object.keys(line.actors)))];
  const charts = grid(each);
  if (actors.length) {
    const box = element("div"), key = element("div", "key-row"), bars = element("div", "bars");
    const spentOn = (name) => actors.some((actor) => run.machinery.some((line) => line.actors[actor]?.[name] > 0));
    ACTIVITIES.forEach((name, index) => {
      if (!RARE.has(name) || spentOn(name)) key.append(element("span", colour(index), name === "held" ? "held back" : name));
    });
    for (const actor of actors) {
      const spent = ACTIVITIES.map((name) => run.machinery.reduce((sum, line) => sum + (line.actors[actor]?.[name] || 0), 0));
      const whole = spent.reduce((a, b) => a + b, 0) || 1;
      const stack = element("div", "stack");
      spent.forEach((value, index) => {
        const piece = element("i", colour(index));
        piece.style.width = `${(100 * value) / whole}%`;
        piece.title = `${ACTIVITIES[index]} ${short(value)} s`;
        stack.append(piece);
      });
      bars.append(element("span", "", actor), stack, element("em", "", duration(whole)));
    }
    box.append(key, bars);
    charts.append(box);
  }
  return panel("Time", "seconds", charts);
}

function configuration(run) {
  const rows = element("table", "settings");
  for (const key of run.changed) {
    const row = element("tr");
    row.append(element("td", "", key), element("td", "", run.settings[key]));
    rows.append(row);
  }
  const whole = element("details"), code = element("pre", "", run.yaml);
  whole.append(element("summary", "", "config.yaml, everything resolved"), code);
  const hash = run.sha ? [element("p", "note", `weights_sha256 of the last weights: ${run.sha}`)] : [];
  return panel("Configuration", "what differs from the defaults, the network aside", rows, whole, ...hash);
}

// A few test images: what the network was given, what it made of them, and what was wanted.
function images(run) {
  const picture = element("img", "strip");
  picture.src = run.images;
  picture.alt = "Rows of test images: input, output, target";
  return panel("Images", "the first ones of the test part, under the weights that are best on validation", picture);
}

// Everything about one run.
function everything(run) {
  const parts = [];
  if (run.missing.length) parts.push(gaps(run));
  if (run.epochs.length) {
    parts.push(figures(run), overview(run), layers(run), course(run));
    if (run.channels.length) parts.push(messages(run));
  }
  if (run.images) parts.push(images(run));
  const { weights, maps: means } = run.pictures;
  if (means.length) parts.push(pictures("Feature maps", "means of the best weights, the first test sample", means));
  if (weights.length) parts.push(pictures("Weights", "the best on validation", weights));
  if (run.probes.length) parts.push(probes(run));
  if (run.ages.length) parts.push(ages(run));
  if (run.machinery.length) parts.push(spending(run));
  if (run.yaml) parts.push(configuration(run));
  return parts.filter(Boolean);
}
