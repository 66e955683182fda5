"use strict";
// Asks for the state once a second and draws it; nothing is ever sent.

const EVERY = 1000;
const at = (id) => document.getElementById(id);
const picture = new Network(at("network"), at("legend"));
let by = "residual";
let run = new URLSearchParams(location.search).get("run");
let before = null;
let latest = null;

const ROWS = [
  ["block", (name) => name],
  ["neurons", (name, block, state) => size(name, state)],
  ["residual |A*−A|", (name, block) => short(block.residual, 2), (block, state) => block.residual > state.tolerance.mean],
  ["|D*−D| / |D|", (name, block) => short(block.residual_difference, 2), (block, state) => block.residual_difference > state.tolerance.difference],
  ["saturated", (name, block) => percent(block.saturated)],
  ["rms m", (name, block) => short(block.mean_norm)],
  ["rms d", (name, block) => short(block.difference_norm)],
  ["‖θ‖", (name, block) => short(block.weight_norm)],
  ["‖Δθ‖", (name, block) => short(block.update_norm, 2)],
  ["updates/s", (name, block) => short(block.rate)],
  ["message age", (name, block, state) => {
    const age = QUANTITIES.age.of(block, state);
    return known(age) ? QUANTITIES.age.show(age, state) : "–";
  }],
];

function size(name, state) {
  for (const layer of state.network.layers) for (const block of layer.blocks) if (block.name === name) return block.shape ? block.shape.join("×") : block.size;
  return "–";
}

// What can only be told from two looks: rates, and mean ages in free-running mode.
function enrich(state) {
  const same = before && before.run === state.run && state.now > before.now;
  const seconds = same ? state.now - before.now : state.now - state.started;
  state.rate = (state.samples - (same ? before.samples : 0)) / seconds;
  for (const [name, block] of Object.entries(state.blocks)) {
    block.rate = (block.updates - (same ? before.blocks[name].updates : 0)) / seconds;
    block.seconds = null;
  }
  for (const [actor, spent] of Object.entries(state.actors)) {
    let [count, sum] = [0, 0];
    for (const [source, [reads, total]] of Object.entries(spent.ages)) {
      const [reads0, total0] = (same && before.actors[actor]?.ages[source]) || [0, 0];
      count += reads - reads0;
      sum += total - total0;
    }
    for (const name of actor.split("+")) {
      if (state.blocks[name]) state.blocks[name].seconds = count ? sum / count : same ? before.blocks[name].seconds : null;
    }
  }
}

// What is predicted is classes, numbers or images. Numbers that stand side by side are of one epoch, or say of which.
function scores({ epoch, accuracy, r2, mae, psnr, ssim }) {
  const whole = epoch ? `epoch ${epoch}` : "";
  if (!r2) return [figure("Test accuracy", percent(accuracy?.test, 2), whole), figure("Validation accuracy", percent(accuracy?.validation, 2), whole)];
  if (psnr) return [figure("Test PSNR", decibels(psnr.test), whole), figure("Validation PSNR", decibels(psnr.validation), whole), figure("Test SSIM", fixed(ssim.test), whole)];
  return [figure("Test R²", fixed(r2.test), whole), figure("Validation R²", fixed(r2.validation), whole), figure("Test MAE", short(mae.test), whole)];
}

function figures(state) {
  const found = [
    ...scores(state.ended),
    figure("Training loss", short(state.loss.train), state.training ? `epoch ${state.training}` : ""),
    figure("Sweeps", short(state.curve.at(-1)?.sweeps), "latest"),
    figure(state.settings.radius ? "Spectral radius μ" : "Step", short(state.settings.radius || state.settings.step)),
    figure("Learning rate", short(state.settings.learning_rate, 2), known(state.settings.beta) ? `β ${short(state.settings.beta)}` : ""),
    figure("Speed", state.state === "training" ? short(state.rate) : "–", "samples/s"),
  ];
  if (known(state.cosine)) found.push(figure("Cosine to exact gradient", state.cosine.toFixed(4)));
  return found;
}

function table(state) {
  const head = element("tr");
  const own = state.own.map(({ name, unit }) => [unit === "1" ? name : `${name} (${unit})`, (_, block) => short(block.own[name])]);
  const columns = [...ROWS, ...own];
  for (const [title] of columns) head.append(element("th", "", title));
  const rows = Object.entries(state.blocks).map(([name, block]) => {
    const row = element("tr");
    for (const [, show, over] of columns) row.append(element("td", over && over(block, state) ? "over" : "", String(show(name, block, state))));
    return row;
  });
  return [head, ...rows];
}

function duration(seconds) {
  const whole = Math.max(0, Math.round(seconds));
  const parts = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return parts[0] ? `${parts[0]} h ${parts[1]} min` : parts[1] ? `${parts[1]} min ${parts[2]} s` : `${parts[2]} s`;
}

function status(word, text = word) {
  at("state").className = `state ${word}`;
  at("state").querySelector("span").textContent = text;
}

function show(state) {
  document.title = `${state.run} · dyadnet`;
  at("run").textContent = state.run;
  at("about").textContent = `${state.model} on ${state.data} · ${state.engine}, ${state.mode} · epoch ${state.epoch} of ${state.planned}`;
  status(state.state);
  const epoch = state.epoch_minibatches ? state.minibatches / state.epoch_minibatches : 0;
  at("done").style.width = `${Math.min(100, (100 * epoch) / state.planned)}%`;
  at("why").hidden = !state.why;
  at("why").textContent = state.why;
  at("figures").replaceChildren(...figures(state));
  picture.draw(state.network);
  picture.colour(state, by);
  const boxes = charts(state);
  // What is there already stays: the pointer may be over it, or the keyboard's focus within.
  if (boxes.some((box, index) => box !== at("charts").children[index])) at("charts").replaceChildren(...boxes);
  at("blocks").replaceChildren(...table(state));
  const end = ["finished", "diverged", "failed", "stopped"].includes(state.state) ? state.progress : state.now;
  at("footing").textContent = `running for ${duration(end - state.started)} · last relaxation ${duration(state.now - state.progress)} ago · read-only`;
}

function choose(runs) {
  const list = at("runs");
  list.hidden = runs.length < 2;
  if (list.childElementCount !== runs.length) list.replaceChildren(...runs.map((name) => new Option(name, name)));
  if (latest) list.value = latest.run;
}

async function look() {
  try {
    const answer = await fetch(`/state.json${run ? `?run=${encodeURIComponent(run)}` : ""}`, { cache: "no-store" });
    const state = await answer.json();
    if (state.network) {
      enrich(state);
      before = latest = state;
      show(state);
    } else {
      status("lost", state.error || "no run yet");
    }
    choose(state.runs);
  } catch (problem) {
    status("lost", "no answer");
  }
  setTimeout(look, EVERY);
}

at("runs").addEventListener("change", (event) => { run = event.target.value; before = null; });
at("switch").addEventListener("click", (event) => {
  const chosen = event.target.closest("button");
  if (!chosen) return;
  by = chosen.dataset.by;
  for (const button of at("switch").children) button.setAttribute("aria-checked", String(button === chosen));
  if (latest) picture.colour(latest, by);
});
look();
