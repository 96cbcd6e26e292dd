// Why the best match is similar: heat over both photos, the counterparts of a spot, the strongest pairs as lines.
import { $ } from "./dom.js";
import { call, photo as fetched } from "./server.js";

/* global SIDES, largest, paintHeat, cells, counterparts, moved -- of heat.js */
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
  const there = spot && counterparts(why.table, spot);
  for (const side of SIDES) {
    const map = !spot ? why[side + "_map"] : spot.side === side ? alone() : there;
    paint(side, map, spot ? null : largest(...SIDES.map((one) => why[one + "_map"])));
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

function paint(side, map, scale) {
  const canvas = box(side).querySelector("canvas");
  if (!map) {
    canvas.width = canvas.height = 1;
    return;
  }
  paintHeat(canvas, map, scale ?? largest(map));
}

// The spot itself, as a map of one cell.
function alone() {
  const [rows, columns] = cells(why.table, spot.side);
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
      [rows, columns] = cells(why.table, side),
      inside = (part, count) => Math.min(count - 1, Math.max(0, Math.floor(part * count)));
    choose({ side, row: inside((event.clientY - rect.top) / rect.height, rows), column: inside((event.clientX - rect.left) / rect.width, columns) });
  });
  node.addEventListener("pointerleave", () => choose(null));
  node.addEventListener("blur", () => choose(null));
  node.addEventListener("keydown", (event) => {
    if (!why?.table) return;
    const [rows, columns] = cells(why.table, side),
      from = spot?.side === side ? spot : { side, row: rows >> 1, column: columns >> 1 },
      next = moved(event.key, from, why.table);
    if (!next) return;
    event.preventDefault();
    choose(next);
  });
}
addEventListener("resize", lines);
