// The page of `netvlad explain`: heat maps over two photos, the counterparts of a spot, pairs and cluster centres.
const why = data.explanation;
const shown = { heat: true, lines: true, cluster: null, pair: null, spot: null };
const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(4);
const other = (side) => SIDES[1 - SIDES.indexOf(side)];
const photos = {};

function addPhoto(side) {
  const thumb = data.thumbs[data.photos[side].thumb],
    map = why[side + "_map"],
    canvas = el("canvas", { width: map[0].length, height: map.length, "aria-hidden": "true" }),
    mark = el("div", { class: "cell", hidden: "" }),
    box = el("div", { class: "spot" }, frame(data.photos[side].thumb, data.photos[side].alt), canvas, mark);
  if (why.table) {
    const label = `Spots of the ${side}: arrow keys move, Escape leaves`;
    for (const [name, value] of Object.entries({ tabindex: 0, role: "application", "aria-label": label, "aria-describedby": "how" }))
      box.setAttribute(name, value);
    listen(box, side);
  }
  box.style.setProperty("--ratio", (thumb && thumb.ratio) || map[0].length / map.length);
  const caption = el("figcaption", {}, el("strong", {}, data.photos[side].head));
  for (const line of data.photos[side].lines) caption.append(el("span", { title: line }, line));
  document.querySelector(`figure[data-side=${side}]`).append(box, caption);
  photos[side] = { box, canvas, mark };
}

function listen(box, side) {
  const [rows, columns] = cells(why.table, side);
  const look = (row, column) => {
    const spot = shown.spot;
    if (spot && spot.side === side && spot.row === row && spot.column === column) return;
    shown.spot = { side, row, column };
    draw();
  };
  const at = (event) => {
    const rect = box.getBoundingClientRect(),
      map = why[side + "_map"];
    const place = (part, locations, count) =>
      Math.floor((Math.min(locations - 1, Math.max(0, Math.floor(part * locations))) * count) / locations);
    look(
      place((event.clientY - rect.top) / rect.height, map.length, rows),
      place((event.clientX - rect.left) / rect.width, map[0].length, columns),
    );
  };
  box.addEventListener("pointerdown", at);
  box.addEventListener("pointermove", (event) => event.pointerType === "mouse" && at(event));
  box.addEventListener("pointerleave", (event) => event.pointerType === "mouse" && leave());
  box.addEventListener("blur", leave);
  box.addEventListener("keydown", (event) => {
    if (event.key === "Escape") return leave();
    const best = why.pairs.length ? why.pairs[0][side] : [0.5, 0.5],
      start = { side, row: Math.floor(best[1] * rows), column: Math.floor(best[0] * columns) },
      here = shown.spot && shown.spot.side === side ? shown.spot : null,
      next = moved(event.key, here || start, why.table);
    if (!next) return;
    event.preventDefault();
    look(here ? next.row : start.row, here ? next.column : start.column);
  });
}

function leave() {
  shown.spot = null;
  draw();
}

function draw() {
  const cluster = shown.cluster === null ? why : why.clusters[shown.cluster],
    maps = SIDES.map((side) => cluster[side + "_map"]),
    spot = shown.spot,
    there = spot && counterparts(why.table, spot);
  SIDES.forEach((side, i) => {
    const { box, canvas, mark } = photos[side];
    const heat = shown.heat && !(spot && spot.side === side);
    box.classList.toggle("heated", heat || Boolean(spot));
    canvas.hidden = !heat;
    if (heat) spot ? paintHeat(canvas, there, largest(there)) : paintHeat(canvas, maps[i], largest(...maps));
    mark.hidden = !(spot && spot.side === side);
    if (!mark.hidden) place(mark, spot, cells(why.table, side));
  });
  document.querySelector(".said").textContent = spot ? inWords(spot, there) : "";
  drawLines();
  for (const name of ["heat", "lines"]) document.getElementById(name).setAttribute("aria-pressed", shown[name]);
  press(".pairs button", shown.pair);
  press(".clusters button", shown.cluster);
}

function press(buttons, chosen) {
  document.querySelectorAll(buttons).forEach((button, i) => button.setAttribute("aria-pressed", i === chosen));
}

function place(mark, { row, column }, [rows, columns]) {
  mark.style.left = (100 * column) / columns + "%";
  mark.style.top = (100 * row) / rows + "%";
  mark.style.width = 100 / columns + "%";
  mark.style.height = 100 / rows + "%";
}

function inWords({ side, row, column }, there) {
  const all = there.flat(),
    best = all.reduce((most, value, i) => (value > all[most] ? i : most), 0),
    width = there[0].length;
  const cell = (r, c) => `row ${r + 1}, column ${c + 1}`;
  return (
    `This spot of the ${side} (${cell(row, column)}) adds ${signed(all.reduce((sum, value) => sum + value, 0))}, ` +
    `most of it with ${cell(Math.floor(best / width), best % width)} of the ${other(side)} (${signed(all[best])}).`
  );
}

function svg(name, attributes, text) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
  if (text) node.textContent = text;
  return node;
}

function drawLines() {
  const canvas = document.querySelector("svg.lines"),
    frame = canvas.getBoundingClientRect();
  canvas.replaceChildren();
  const none = shown.cluster !== null || !shown.lines;
  if (shown.spot || (none && shown.pair === null)) return;
  const end = (side, [x, y]) => {
    const rect = photos[side].box.getBoundingClientRect();
    return [rect.left - frame.left + x * rect.width, rect.top - frame.top + y * rect.height];
  };
  const drawn = why.pairs
    .map((pair, i) => ({ pair, i }))
    .filter(({ i }) => shown.pair === null || shown.pair === i)
    .reverse(); // the strongest lies on top
  for (const { pair, i } of drawn) {
    const [[x1, y1], [x2, y2]] = SIDES.map((side) => end(side, pair[side])),
      width = 1.5 + 2.5 * (pair.share / why.pairs[0].share);
    canvas.append(svg("line", { x1, y1, x2, y2, class: "halo", "stroke-width": width + 2.5 }));
    canvas.append(svg("line", { x1, y1, x2, y2, "stroke-width": width }));
    for (const [x, y] of [[x1, y1], [x2, y2]]) {
      canvas.append(svg("circle", { cx: x, cy: y, r: 9 }));
      canvas.append(svg("text", { x, y: y + 3.8 }, String(i + 1)));
    }
  }
}

function choice(name, i, ...words) {
  return el("button", { type: "button", "aria-pressed": "false", onclick() {
    const chosen = shown[name] === i ? null : i;
    shown.pair = shown.cluster = null;
    shown[name] = chosen;
    draw();
  } }, ...words);
}

SIDES.forEach(addPhoto);
why.pairs.forEach((pair, i) =>
  document.querySelector(".pairs ol").append(el("li", {}, choice("pair", i, `${i + 1}: ${signed(pair.share)}`))),
);
why.clusters.forEach((share, i) => {
  const both = (share.query_share + share.match_share) / 2;
  document.querySelector(".clusters .chips").append(choice("cluster", i, `Centre ${share.cluster}: ${signed(both)}`));
});
document.querySelector("section.pairs").hidden = !why.pairs.length;
document.querySelector("section.clusters").hidden = !why.clusters.length;
document.getElementById("lines").hidden = !why.pairs.length;
for (const name of ["heat", "lines"])
  document.getElementById(name).addEventListener("click", () => {
    shown[name] = !shown[name];
    draw();
  });
new ResizeObserver(drawLines).observe(document.querySelector(".two"));
draw();
