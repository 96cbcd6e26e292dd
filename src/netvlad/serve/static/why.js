// Why the best match is similar: heat over both photos, the counterparts of a spot, the strongest pairs as lines.
import { $ } from "./dom.js";
import { call, photo as fetched } from "./server.js";

const SIDES = ["query", "match"];
const HUES = { agrees: [255, 96, 0], disagrees: [40, 110, 255] };
const box = (side) => document.querySelector(`#two [data-side=${side}]`);
let why = null; // the explanation that is shown
let spot = null; // {side, row, column} of its table

export async function showWhy(photo, conditions) {
  const form = new FormData();
  form.append("photo", photo.file, photo.name);
  conditions.set("map", photo.map);
  conditions.set("top", 1);
  conditions.set("explain", true);
  why = spot = null;
  for (const side of SIDES) {
    box(side).querySelector("img").removeAttribute("src");
    paint(side, null);
  }
  lines();
  $("reason-note").textContent = "Looking …";
  $("reason").showModal();
  try {
    const answer = (await (await call("v1/locate?" + conditions, { method: "POST", body: form })).json()).answers[0];
    if (!answer.explanation) throw new Error(answer.error ?? "The best match has no photo any more.");
    const sources = [photo.url, await fetched(photo.map, answer.matches[0].id, 640)];
    await Promise.all(
      SIDES.map((side, i) => {
        const image = box(side).querySelector("img");
        image.src = sources[i];
        return image.decode();
      }),
    );
    why = answer.explanation;
    draw();
  } catch (error) {
    $("reason-note").textContent = error.message;
  }
}

function draw() {
  const there = spot && counterparts();
  for (const side of SIDES) {
    const map = !spot ? why[side + "_map"] : spot.side === side ? alone() : there;
    paint(side, map, spot ? null : Math.max(...SIDES.map((one) => largest(why[one + "_map"]))));
  }
  lines();
  const same = `Similarity ${why.similarity.toFixed(3)}. `;
  const how = why.exact
    ? "Orange adds to it, blue takes from it; the lines join the strongest pairs. Point at a spot to see its counterparts."
    : "Orange: without that part the photos are less similar.";
  const side = spot && (spot.side === "query" ? "your photo" : "the match");
  const sum = spot && there.flat().reduce((total, value) => total + value, 0);
  $("reason-note").textContent = same + (spot ? `Row ${spot.row + 1}, column ${spot.column + 1} of ${side} adds ${sum.toFixed(4)}.` : how);
}

const largest = (map) => map.flat().reduce((most, value) => Math.max(most, Math.abs(value)), 0);

function paint(side, map, scale) {
  const canvas = box(side).querySelector("canvas");
  if (!map) {
    canvas.width = canvas.height = 1;
    return;
  }
  const most = scale ?? largest(map);
  canvas.width = map[0].length;
  canvas.height = map.length;
  const context = canvas.getContext("2d"),
    image = context.createImageData(canvas.width, canvas.height);
  map.flat().forEach((value, i) => {
    const strength = most > 0 ? Math.min(1, Math.abs(value) / most) : 0;
    image.data.set([...HUES[value < 0 ? "disagrees" : "agrees"], 215 * strength ** 0.8], 4 * i);
  });
  context.putImageData(image, 0, 0);
}

// Rows and columns of the table that belong to a photo.
function cells(side) {
  const inner = side === "query" ? why.table : why.table[0][0];
  return [inner.length, inner[0].length];
}

// What the spot adds with each cell of the other photo.
const counterparts = () =>
  spot.side === "query"
    ? why.table[spot.row][spot.column]
    : why.table.map((line) => line.map((there) => there[spot.row][spot.column]));

// The spot itself, as a map of one cell.
function alone() {
  const [rows, columns] = cells(spot.side);
  return Array.from({ length: rows }, (_, r) => Array.from({ length: columns }, (_, c) => Number(r === spot.row && c === spot.column)));
}

function lines() {
  const canvas = document.querySelector("#two svg"),
    frame = canvas.getBoundingClientRect();
  canvas.replaceChildren();
  if (!why || spot) return;
  const add = (name, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    canvas.append(node);
  };
  for (const pair of why.pairs.slice(0, 10)) {
    const [[x1, y1], [x2, y2]] = SIDES.map((side) => {
      const rect = box(side).getBoundingClientRect(),
        [x, y] = pair[side];
      return [rect.left - frame.left + x * rect.width, rect.top - frame.top + y * rect.height];
    });
    add("line", { x1, y1, x2, y2 });
    add("circle", { cx: x1, cy: y1, r: 4 });
    add("circle", { cx: x2, cy: y2, r: 4 });
  }
}

function choose(next) {
  spot = next;
  if (why) draw();
}

for (const side of SIDES) {
  const node = box(side);
  node.addEventListener("pointermove", (event) => {
    if (!why?.table) return;
    const rect = node.getBoundingClientRect(),
      [rows, columns] = cells(side),
      inside = (part, count) => Math.min(count - 1, Math.max(0, Math.floor(part * count)));
    choose({ side, row: inside((event.clientY - rect.top) / rect.height, rows), column: inside((event.clientX - rect.left) / rect.width, columns) });
  });
  node.addEventListener("pointerleave", () => choose(null));
  node.addEventListener("blur", () => choose(null));
  node.addEventListener("keydown", (event) => {
    const step = { ArrowUp: [-1, 0], ArrowDown: [1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
    if (!step || !why?.table) return;
    event.preventDefault();
    const [rows, columns] = cells(side),
      from = spot?.side === side ? spot : { row: rows >> 1, column: columns >> 1 },
      inside = (value, count) => Math.min(count - 1, Math.max(0, value));
    choose({ side, row: inside(from.row + step[0], rows), column: inside(from.column + step[1], columns) });
  });
}
addEventListener("resize", lines);
