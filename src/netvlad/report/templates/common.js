"use strict";
// What both pages share: the data, building elements, photos in frames, and a map that needs no network.
const data = JSON.parse(document.getElementById("data").textContent);
const colour = (name) =>
  getComputedStyle(document.documentElement)
    .getPropertyValue("--" + name)
    .trim();
const metres = (m) =>
  m === null
    ? "distance unknown"
    : m < 9.95
      ? m.toFixed(1) + " m"
      : m < 10000
        ? Math.round(m) + " m"
        : (m / 1000).toFixed(1) + " km";

// Text always arrives as text nodes: a file name is never read as HTML.
function el(name, attributes, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes || {})) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null));
  return node;
}

function frame(thumb, alt, badge) {
  const found = data.thumbs[thumb] || { error: "photo not kept in this page" };
  const box = el("div", { class: "frame" });
  if (found.src) box.append(el("img", { src: found.src, alt, decoding: "async" }));
  else
    box.append(
      el(
        "div",
        { class: "missing", role: "img", "aria-label": alt + ": " + found.error },
        "no photo: " + found.error,
      ),
    );
  if (badge) box.append(el("span", { class: "badge", "aria-hidden": "true" }, badge));
  return box;
}

function photoCard(kind, thumb, alt, badge, head, lines) {
  const caption = el("figcaption", {}, el("strong", {}, head));
  for (const line of lines) if (line) caption.append(el("span", { title: line }, line));
  return el("li", { class: kind }, el("figure", {}, frame(thumb, alt, badge), caption));
}

// Frames take the shape most photos have, so that few show bars.
const ratios = data.thumbs
  .filter((thumb) => thumb.ratio)
  .map((thumb) => thumb.ratio)
  .sort((a, b) => a - b);
document.documentElement.style.setProperty(
  "--ratio",
  Math.min(1.8, Math.max(0.7, ratios[ratios.length >> 1] || 1)),
);

// A disc, a cross and a square, so that nothing is told by colour alone. Drawn with Leaflet's own canvas; these are
// its private hooks, which is safe because the version is the one in vendor/.
L.Canvas.include({
  _updateShape(layer) {
    if (!this._drawing || layer._empty()) return;
    const { x, y } = layer._point,
      r = layer._radius,
      ctx = this._ctx,
      o = layer.options;
    ctx.beginPath();
    if (o.shape === "wrong") {
      ctx.moveTo(x - r, y - r);
      ctx.lineTo(x + r, y + r);
      ctx.moveTo(x + r, y - r);
      ctx.lineTo(x - r, y + r);
    } else if (o.shape === "none") ctx.rect(x - r, y - r, 2 * r, 2 * r);
    else ctx.arc(x, y, r, 0, 2 * Math.PI);
    ctx.globalAlpha = 1;
    ctx.setLineDash([]);
    ctx.lineCap = "round";
    ctx.strokeStyle = o.halo;
    ctx.lineWidth = o.shape === "right" ? 2 : 4.5;
    ctx.stroke();
    if (o.shape === "right") {
      ctx.fillStyle = o.color;
      ctx.fill();
    } else {
      ctx.strokeStyle = o.color;
      ctx.lineWidth = 2.2;
      ctx.stroke();
    }
  },
});
const Shape = L.CircleMarker.extend({
  _updatePath() {
    this._renderer._updateShape(this);
  },
});

// Positions are [lat, lon] or, without them, [northing, easting] in metres; `bounds` is what shall be seen at first.
function placeMap(box, bounds) {
  const map = L.map(box, {
    crs: data.geodetic ? L.CRS.EPSG3857 : L.CRS.Simple,
    minZoom: data.geodetic ? 1 : -12,
    maxZoom: data.geodetic ? 23 : 7,
    zoomSnap: 0.25,
    scrollWheelZoom: false,
    attributionControl: false,
    zoomAnimation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
  });
  // A page is scrolled past a map: the wheel zooms only once the map was chosen.
  map.on("focus", () => map.scrollWheelZoom.enable());
  map.on("blur", () => map.scrollWheelZoom.disable());
  L.control.attribution({ prefix: '<a href="https://leafletjs.com">Leaflet</a>' }).addTo(map);
  L.control.scale({ imperial: false, maxWidth: 140 }).addTo(map);
  map.fitBounds(bounds.isValid() ? padded(bounds) : L.latLngBounds([[0, 0]]).pad(1), {
    padding: [30, 52], // no mark below the buttons
    animate: false,
  });
  const grid = metricGrid(map);
  onSchemeChange(grid.draw);
  if (data.streets && data.streets.points.length) drawStreets(map);
  if (data.geodetic) streetMapButton(map, grid);
  return map;
}

// The streets that the database's photos were taken along: a map that needs no network.
function drawStreets(map) {
  map.createPane("streets").style.cssText += "z-index:360;pointer-events:none";
  const { points, lines } = data.streets,
    renderer = L.canvas({ pane: "streets", padding: 0.3 }),
    drawn = L.layerGroup().addTo(map);
  const draw = () => {
    drawn.clearLayers();
    const shared = { renderer, pane: "streets", interactive: false };
    L.polyline(
      lines.map(([a, b]) => [points[a], points[b]]),
      { ...shared, color: colour("dot"), weight: 4, opacity: 0.35 },
    ).addTo(drawn);
    for (const point of points)
      L.circleMarker(point, { ...shared, radius: 2, stroke: false, fillColor: colour("dot"), fillOpacity: 0.8 }).addTo(drawn);
  };
  draw();
  onSchemeChange(draw);
}

// Where the place is looked at elsewhere; nothing is asked before a link is followed.
function linksOut([lat, lon]) {
  const at = `${lat.toFixed(6)}`,
    on = `${lon.toFixed(6)}`;
  const link = (href, text) => el("a", { href, target: "_blank", rel: "noopener noreferrer" }, text);
  return el(
    "p",
    { class: "note" },
    link(`https://www.openstreetmap.org/?mlat=${at}&mlon=${on}#map=19/${at}/${on}`, "OpenStreetMap"),
    " · ",
    link(`geo:${at},${on}`, `geo:${at},${on}`),
  );
}

// One single position has no extent to fit: give it some metres on each side.
const grown = (bounds, centre, by) =>
  [-by, by].reduce(
    (all, m) => all.extend([centre.lat + m * perMetre(centre)[0], centre.lng + m * perMetre(centre)[1]]),
    bounds,
  );
const padded = (bounds) => grown(bounds, bounds.getCenter(), 15);

function perMetre(at) {
  return data.geodetic
    ? [1 / 111195, 1 / (111195 * Math.max(0.01, Math.cos((at.lat * Math.PI) / 180)))]
    : [1, 1];
}

// Distances can be read without any tiles: a grid of 1, 2 or 5 times a power of ten metres.
function metricGrid(map) {
  map.createPane("grid").style.cssText += "z-index:350;pointer-events:none";
  const renderer = L.canvas({ pane: "grid", padding: 0.5 }),
    lines = L.layerGroup().addTo(map);
  const note = L.control({ position: "bottomleft" });
  note.onAdd = () => el("div", { class: "map-note" });
  note.addTo(map);
  const origin = map.getCenter();
  function draw() {
    lines.clearLayers();
    const size = map.getSize(),
      left = map.containerPointToLatLng([0, size.y / 2]),
      right = map.containerPointToLatLng([size.x, size.y / 2]);
    const wanted = (map.distance(left, right) / Math.max(1, size.x)) * 90;
    if (!(wanted > 0) || wanted > 2e5) {
      note.getContainer().textContent = "";
      return;
    }
    const power = 10 ** Math.floor(Math.log10(wanted)),
      step = power * [1, 2, 5, 10].find((s) => s * power >= wanted);
    const unit = perMetre(origin),
      [dy, dx] = [step * unit[0], step * unit[1]],
      seen = map.getBounds().pad(0.4);
    const style = { renderer, pane: "grid", color: colour("grid"), weight: 1, interactive: false };
    const line = (a, b) => L.polyline([a, b], style).addTo(lines);
    for (
      let y = origin.lat + dy * Math.ceil((seen.getSouth() - origin.lat) / dy);
      y < seen.getNorth();
      y += dy
    )
      line([y, seen.getWest()], [y, seen.getEast()]);
    for (let x = origin.lng + dx * Math.ceil((seen.getWest() - origin.lng) / dx); x < seen.getEast(); x += dx)
      line([seen.getSouth(), x], [seen.getNorth(), x]);
    note.getContainer().textContent = "grid " + (step < 1000 ? step + " m" : step / 1000 + " km");
  }
  map.on("moveend", draw);
  draw();
  return {
    draw,
    show(yes) {
      yes ? lines.addTo(map) : lines.remove();
      note.getContainer().hidden = !yes;
    },
  };
}

// The only thing that asks the network, and only once pressed. OpenStreetMap refuses pages that are opened from disk,
// which send no Referer: there the streets of the database and the links have to do.
function streetMapButton(map, grid) {
  if (location.protocol === "file:") return;
  const tiles = L.tileLayer("https://tile.openstreetmap.org/{z}/{x}/{y}.png", {
    attribution: '&copy; <a href="https://www.openstreetmap.org/copyright">OpenStreetMap</a> contributors',
    maxNativeZoom: 19,
    maxZoom: 23,
  });
  const note = el("p", { class: "map-note", role: "status", hidden: "" });
  const say = (text) => {
    note.textContent = text;
    note.hidden = !text;
  };
  tiles.on("tileerror", () =>
    say(
      "The street map did not load: there is no network, or OpenStreetMap refused" +
        " it.",
    ),
  );
  const button = el(
    "button",
    {
      type: "button",
      "aria-pressed": "false",
      title: "Loads map tiles from tile.openstreetmap.org",
      onclick() {
        const on = !map.hasLayer(tiles);
        say("");
        if (on) tiles.addTo(map);
        else tiles.remove();
        grid.show(!on);
        button.setAttribute("aria-pressed", on);
        button.textContent = on ? "Hide street map" : "Show street map";
      },
    },
    "Show street map",
  );
  const control = L.control({ position: "topright" });
  control.onAdd = () => {
    const box = el("div", {}, button, note);
    L.DomEvent.disableClickPropagation(box);
    return box;
  };
  control.addTo(map);
}

const onSchemeChange = (redraw) =>
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
