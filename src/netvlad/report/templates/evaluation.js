// The other view, the map, and how the two follow each other.

// A street needs a lower map than a square.
function fitHeight(box, bounds) {
  const unit = perMetre(bounds.getCenter()),
    high = (bounds.getNorth() - bounds.getSouth()) / unit[0],
    wide = (bounds.getEast() - bounds.getWest()) / unit[1];
  if (wide > 0) box.style.height = `min(${Math.round((box.clientWidth * high) / wide) + 110}px, 70vh)`;
}

const everywhere = L.latLngBounds([...data.database, ...data.queries.map((q) => q.at)].filter(Boolean));
if (everywhere.isValid()) fitHeight(byId("map"), everywhere);
const map = placeMap(byId("map"), everywhere);
byId("map").hidden = !everywhere.isValid(); // photos that are known by labels alone are nowhere
map.createPane("database").style.cssText += "z-index:380;pointer-events:none";
const dots = L.layerGroup().addTo(map),
  drawn = L.layerGroup().addTo(map),
  chosenLayer = L.layerGroup().addTo(map);
const dotCanvas = L.canvas({ pane: "database" }),
  queryCanvas = L.canvas({ tolerance: 5 });

function drawDatabase() {
  dots.clearLayers();
  const style = {
    renderer: dotCanvas,
    pane: "database",
    radius: 2,
    stroke: false,
    fillColor: colour("dot"),
    fillOpacity: 0.75,
    interactive: false,
  };
  for (const at of data.database) if (at) L.circleMarker(at, style).addTo(dots);
}

function drawMap() {
  drawn.clearLayers();
  const ids = data.queries.map((_, i) => i).filter((i) => data.queries[i].at && passes(i));
  const put = (i) => best(i) && data.photos[best(i)[0]].at;
  for (const i of ids) {
    if (put(i))
      L.polyline([data.queries[i].at, put(i)], {
        renderer: queryCanvas,
        color: colour(verdict(i)),
        weight: 1.2,
        opacity: 0.45,
        interactive: false,
      }).addTo(drawn);
  }
  // Crosses go over discs: no wrong answer hides below a right one.
  const layer = { right: 0, none: 1, wrong: 2 };
  for (const i of ids.sort((a, b) => layer[verdict(a)] - layer[verdict(b)])) {
    new Shape(data.queries[i].at, {
      renderer: queryCanvas,
      shape: verdict(i),
      radius: verdict(i) === "right" ? 5.5 : 4,
      color: colour(verdict(i)),
      halo: colour("halo"),
    })
      .on("click", () => pick(i))
      .bindTooltip(() => el("span", {}, data.queries[i].name + " – " + VERDICTS[verdict(i)]), {
        direction: "top",
      })
      .addTo(drawn);
  }
  drawChosen();
}

function drawChosen() {
  chosenLayer.clearLayers();
  const i = state.chosen,
    b = i === null ? null : best(i);
  if (i === null || !data.queries[i].at) return;
  const style = { color: colour("accent"), weight: 3, interactive: false },
    end = b && data.photos[b[0]].at;
  if (end) {
    L.polyline([data.queries[i].at, end], style).addTo(chosenLayer);
    L.circleMarker(end, { ...style, radius: 6, fillColor: colour("card"), fillOpacity: 1 }).addTo(
      chosenLayer,
    );
  }
  L.circleMarker(data.queries[i].at, { ...style, radius: 10, fill: false }).addTo(chosenLayer);
}

function popup(i) {
  const query = data.queries[i],
    said = sentence(i);
  const text = el(
    "div",
    {},
    el("p", {}, el("strong", {}, query.name)),
    el("p", {}, el("span", { class: "verdict " + said.kind }, said.words), said.rest),
  );
  if (query.thumb === null)
    text.append(el("p", { class: "note" }, "The photos of this query are not kept in this page."));
  else text.append(el("button", { type: "button", onclick: () => choose(i, "row") }, "Show its photos"));
  L.popup({ maxWidth: 260, offset: [0, -6] })
    .setLatLng(query.at)
    .setContent(text)
    .openOn(map);
}

// Phones give many photos one position: a click means all queries below the finger.
function pick(i) {
  const at = map.latLngToLayerPoint(data.queries[i].at),
    near = (j) => data.queries[j].at && at.distanceTo(map.latLngToLayerPoint(data.queries[j].at)) < 7;
  const here = data.queries.map((_, j) => j).filter((j) => passes(j) && near(j));
  if (here.length === 1) return choose(i, "row");
  const item = (j) =>
    el(
      "li",
      {},
      el(
        "button",
        { type: "button", onclick: () => choose(j, "row") },
        el("span", { class: "verdict " + verdict(j) }, SYMBOLS[verdict(j)] + " "),
        data.queries[j].name,
      ),
    );
  const list = el(
    "div",
    {},
    el("p", {}, el("strong", {}, here.length + " queries here")),
    el("ul", {}, ...here.map(item)),
  );
  L.popup({ maxWidth: 280, offset: [0, -6] })
    .setLatLng(data.queries[i].at)
    .setContent(list)
    .openOn(map);
}

// A query was pointed at: mark it in both views and go to the one asked for.
function choose(i, view) {
  state.chosen = i;
  const query = data.queries[i],
    toRow = view === "row" && query.thumb !== null;
  if (!passes(i)) {
    state.filter = "all";
    drawToolbar();
    drawMap();
  }
  drawChosen();
  if (query.thumb !== null) {
    state.page = Math.floor(listed().indexOf(i) / PER_PAGE);
    drawRows();
    history.replaceState(null, "", "#query-" + i);
  }
  if (toRow) {
    byId("query-" + i).scrollIntoView({ block: "start" });
    byId("query-" + i).focus({ preventScroll: true });
  } else if (query.at) {
    if (view === "map") {
      byId("toolbar").scrollIntoView({ block: "start" });
      map.getContainer().focus({ preventScroll: true });
      const end = best(i) && data.photos[best(i)[0]].at;
      map.fitBounds(padded(L.latLngBounds([query.at, end || query.at])), { padding: [60, 60] });
    }
    popup(i);
  }
}

function drawLegend() {
  const picture = (inner) => {
    const box = el("span");
    box.innerHTML = `<svg width="14" height="14" viewBox="-7 -7 14 14" aria-hidden="true">${inner}</svg>`;
    return box;
  };
  const entries = [
    ['<circle r="5" fill="var(--right)"/>', "right at 1"],
    [
      '<path d="M-4-4 4 4M4-4-4 4" stroke="var(--wrong)" stroke-width="2.4" stroke-linecap="round"/>',
      "wrong at 1",
    ],
    [
      '<rect x="-4" y="-4" width="8" height="8" fill="none" stroke="var(--none)" stroke-width="2"/>',
      "no true match in database",
    ],
    ['<path d="M-6 4 6-4" stroke="var(--soft)"/>', "from a query's true position to its best match"],
    ['<circle r="2.5" fill="var(--dot)"/>', "database photo"],
  ];
  byId("legend").replaceChildren(...entries.map(([inner, text]) => el("span", {}, picture(inner), text)));
}

function redraw() {
  drawToolbar();
  drawMap();
  drawRows();
}

data.methods.forEach((m, i) => byId("method").append(el("option", { value: i }, m.name)));
// The page opens on the method that is right most often.
const rights = data.methods.map((m) => data.queries.filter((q, i) => q.matched && (m.matches[i][0] || [])[3]).length);
state.method = rights.indexOf(Math.max(...rights));
byId("method").value = state.method;
byId("method").closest("label").hidden = data.methods.length < 2;
byId("method").addEventListener("change", (event) => {
  state.method = Number(event.target.value);
  map.closePopup();
  redraw();
});
byId("order").addEventListener("change", (event) => {
  Object.assign(state, { order: event.target.value, page: 0 });
  drawRows();
});
byId("toolbar").addEventListener("submit", (event) => event.preventDefault());
onSchemeChange(() => {
  drawDatabase();
  drawMap();
});
drawDatabase();
drawLegend();
redraw();
const asked = /^#query-(\d+)$/.exec(location.hash);
if (asked && Number(asked[1]) < data.queries.length)
  choose(Number(asked[1]), data.queries[Number(asked[1])].thumb === null ? "map" : "row");
