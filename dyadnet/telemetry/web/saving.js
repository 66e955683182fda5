"use strict";
// What a page shows, saved as a file: pictures as SVG that need no style sheet, and curves as CSV.

const STYLED = [
  "fill", "fill-opacity", "stroke", "stroke-width", "stroke-dasharray", "stroke-linecap", "stroke-linejoin", "opacity",
  "paint-order", "font-family", "font-size", "font-weight", "text-anchor", "letter-spacing", "visibility",
];
const HEAD = 22;

// Buttons that save what they stand by.
function saving(...kinds) {
  const box = element("span", "save");
  for (const kind of kinds) {
    const button = element("button", "", kind);
    button.type = "button";
    button.dataset.save = kind.toLowerCase();
    button.title = `Save as ${kind}`;
    box.append(button);
  }
  return box;
}

// A picture with its style in it, under its title and the names of its colours: [[name, colour]].
function standalone(picture, title, names = []) {
  const copy = picture.cloneNode(true);
  const [originals, copies] = [picture, copy].map((root) => [...root.querySelectorAll("*")]);
  originals.forEach((original, index) => {
    const style = getComputedStyle(original);
    for (const name of STYLED) copies[index].setAttribute(name, style.getPropertyValue(name));
    copies[index].removeAttribute("class");
  });
  for (const hidden of copy.querySelectorAll("[visibility=hidden]")) hidden.remove();
  const [, , width, height] = picture.getAttribute("viewBox").split(" ").map(Number);
  const heading = headed(title, names, width, getComputedStyle(picture));
  const ground = make("rect", { x: 0, y: -heading.height, width, height: height + heading.height, fill: getComputedStyle(picture.closest(".panel") || document.body).backgroundColor });
  copy.prepend(ground, ...heading.parts);
  for (const name of ["class", "style", "aria-hidden"]) copy.removeAttribute(name);
  for (const [name, value] of [["xmlns", SVG], ["viewBox", `0 ${-heading.height} ${width} ${height + heading.height}`], ["width", width], ["height", height + heading.height]]) copy.setAttribute(name, value);
  return new XMLSerializer().serializeToString(copy);
}

// Title and names above a picture, in as many lines as they need.
function headed(title, names, width, style) {
  const text = { "font-family": style.fontFamily, "font-size": 12 };
  const parts = [[title, style.color, 600]].concat(names.filter(([name]) => name).map((pair) => [...pair, 400]));
  let [x, line] = [4, 0];
  const placed = parts.map(([name, colour, weight]) => {
    const wide = name.length * 7 + 16;
    if (x > 4 && x + wide > width) [x, line] = [4, line + 1];
    const at = x;
    x += wide;
    return { name, colour, weight, at, line };
  });
  const height = HEAD * (line + 1);
  return { height, parts: placed.map((one) => make("text", { ...text, x: one.at, y: HEAD * one.line + 15 - height, fill: one.colour, "font-weight": one.weight }, one.name)) };
}

function save(name, text, type) {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10000);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest("[data-save]");
  if (!button) return;
  const drawn = button.closest(".chart")?.chart;
  const title = drawn ? drawn.title : "Network";
  const name = `${document.title} ${title}`.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "").toLowerCase();
  if (button.dataset.save === "csv") save(`${name}.csv`, drawn.csv(), "text/csv");
  else save(`${name}.svg`, drawn ? drawn.svg() : standalone(button.closest(".panel").querySelector("svg.network"), title), "image/svg+xml");
});
