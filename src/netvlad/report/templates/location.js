// The page of `netvlad locate`: for each photo its answer as a circle on a map, and the matches it rests on.
function drawMatches(section, answer) {
  const cards = answer.matches.map((match, rank) =>
    photoCard(
      "match",
      match.thumb,
      `Match ${rank + 1}: ${match.name}`,
      String(rank + 1),
      match.metres === null ? "Match " + (rank + 1) : metres(match.metres) + " from the answer",
      [
        match.score === null ? null : "score " + match.score.toFixed(3),
        match.distance === null ? null : "descriptor distance " + match.distance.toFixed(3),
        match.heading === null ? null : "looking " + Math.round(match.heading) + "°",
        match.time,
        match.name,
        match.credit,
      ],
    ),
  );
  section.querySelector(".query").append(frame(answer.thumb, "The photo " + answer.name));
  section.querySelector(".strip").append(...cards);
  if (data.geodetic && answer.at) section.querySelector(".answer").before(linksOut(answer.at));
  section.querySelector(".evidence").hidden = !cards.length;
  section.querySelector(".map").hidden = !cards.length;
}

// Matches that would hide each other at this zoom share one marker: "1, 2, 5".
function numbered(map, answer) {
  const groups = [];
  answer.matches.forEach((match, rank) => {
    if (!match.at) return;
    const pixel = map.latLngToLayerPoint(match.at),
      group = groups.find((g) => Math.abs(g.pixel.x - pixel.x) < 24 && Math.abs(g.pixel.y - pixel.y) < 20);
    if (group) group.ranks.push(rank);
    else groups.push({ at: match.at, pixel, ranks: [rank] });
  });
  return groups;
}

function drawAnswer(section, answer) {
  const points = [...answer.matches.map((match) => match.at), answer.at].filter(Boolean);
  if (!points.length) return;
  const bounds = L.latLngBounds(points);
  if (answer.at && answer.radius) grown(bounds, L.latLng(answer.at), answer.radius);
  const map = placeMap(section.querySelector(".map"), bounds),
    circle = L.layerGroup().addTo(map),
    markers = L.layerGroup().addTo(map);
  const cards = [...section.querySelectorAll(".strip > li")];
  function drawCircle() {
    circle.clearLayers();
    if (!answer.at) return;
    const style = {
      color: colour("accent"),
      weight: 2,
      fillOpacity: 0.12,
      interactive: false,
      dashArray: answer.away ? "6 5" : null,
    };
    if (answer.radius) L.circle(answer.at, { ...style, radius: answer.radius }).addTo(circle);
    L.circleMarker(answer.at, { ...style, radius: 4, fillOpacity: 1, dashArray: null }).addTo(circle);
  }
  function drawNumbers() {
    markers.clearLayers();
    for (const { at, ranks } of numbered(map, answer)) {
      const label = ranks.map((rank) => rank + 1).join(", "),
        width = 16 + 7 * label.length;
      const icon = L.divIcon({ className: "number", html: label, iconSize: [width, 24] });
      L.marker(at, { icon, title: "Match " + label, alt: "Match " + label, zIndexOffset: -100 * ranks[0] })
        .addTo(markers)
        .on("click", () => {
          cards.forEach((card, rank) => card.classList.toggle("chosen", ranks.includes(rank)));
          cards[ranks[0]].scrollIntoView({ block: "nearest" });
        });
    }
  }
  drawCircle();
  drawNumbers();
  map.on("zoomend", drawNumbers);
  onSchemeChange(drawCircle);
}

// A map costs memory: each is made when it is about to be seen.
const watcher = new IntersectionObserver(
  (entries) => {
    for (const entry of entries.filter((e) => e.isIntersecting)) {
      watcher.unobserve(entry.target);
      drawAnswer(entry.target, data.answers[Number(entry.target.dataset.answer)]);
    }
  },
  { rootMargin: "400px" },
);
for (const section of document.querySelectorAll("[data-answer]")) {
  drawMatches(section, data.answers[Number(section.dataset.answer)]);
  watcher.observe(section);
}
