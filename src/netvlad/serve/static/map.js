// The map: streets from the photos' own positions, tiles where there are any, the answer and its matches.
import { $, colour, el, metres } from "./dom.js";
import { get } from "./server.js";

const NUMBERED = 20; // matches with a number of their own; further ones are dots on a canvas
const MOST = 3000; // positions that are drawn at once

export class PlaceMap {
  constructor(facts, tiles, moved) {
    this.facts = facts;
    this.moved = moved;
    this.map = L.map($("map"), {
      crs: facts.geodetic ? L.CRS.EPSG3857 : L.CRS.Simple,
      minZoom: facts.geodetic ? 2 : -8,
      maxZoom: facts.geodetic ? 22 : 6,
      zoomSnap: 0.5,
      preferCanvas: true,
      attributionControl: false,
      zoomAnimation: !matchMedia("(prefers-reduced-motion: reduce)").matches,
    });
    L.control
      .attribution({ prefix: '<a href="https://leafletjs.com">Leaflet</a>' })
      .addTo(this.map);
    L.control.scale({ imperial: false }).addTo(this.map);
    this.map.createPane("streets").classList.add("streets");
    this.streets = L.layerGroup().addTo(this.map);
    this.others = L.layerGroup().addTo(this.map);
    this.answer = L.layerGroup().addTo(this.map);
    this.canvas = L.canvas({ pane: "streets", padding: 0.3 });
    this.map.getPane("streets").style.zIndex = 350;
    this.seeAll();
    this.map.on("moveend", () => this.drawStreets());
    this.drawStreets();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.drawStreets(true);
      this.redraw?.();
    });
    if (facts.geodetic && tiles.url) this.addTiles(tiles);
  }

  seeAll() {
    const box = this.facts.bounds;
    if (!box) this.map.setView([0, 0], 2, { animate: false });
    else
      this.map.fitBounds([[box[1], box[0]], [box[3], box[2]]], {
        padding: [25, 25],
        maxZoom: this.facts.geodetic ? 19 : 4,
        animate: false,
      });
  }

  addTiles(tiles) {
    const layer = L.tileLayer(tiles.url, {
      attribution: tiles.credit,
      maxNativeZoom: tiles.largest,
      maxZoom: 22,
    });
    let loaded = 0,
      failed = 0;
    layer.on("tileload", () => {
      loaded++;
      $("map-note").textContent = "";
    });
    layer.on("tileerror", () => {
      failed++;
      if (failed >= 3 && !loaded) {
        $("map-note").textContent =
          "The street map does not load (no network, or its server refuses). Streets are drawn from the map's own photos.";
        layer.remove();
      }
    });
    layer.addTo(this.map);
  }

  bbox() {
    const b = this.map.getBounds();
    return [b.getWest(), b.getSouth(), b.getEast(), b.getNorth()].map((x) => x.toFixed(7)).join(",");
  }

  async drawStreets(again = false) {
    const box = this.map.getBounds();
    const inside = this.drawn && this.drawn.box.contains(box) && (this.drawn.whole || this.drawn.zoom >= this.map.getZoom());
    if (!inside) {
      const wide = box.pad(0.5),
        corners = [wide.getWest(), wide.getSouth(), wide.getEast(), wide.getNorth()];
      if (this.facts.geodetic && corners[2] - corners[0] > 360) [corners[0], corners[2]] = [-180, 180];
      const clipped = this.facts.geodetic
        ? [corners[0], Math.max(-90, corners[1]), corners[2], Math.min(90, corners[3])]
        : corners;
      const asked = (this.asked = (this.asked ?? 0) + 1);
      let found;
      try {
        found = await get(
          "v1/index/streets?" + new URLSearchParams({ map: this.facts.name, bbox: clipped.join(","), most: MOST }),
        );
      } catch {
        return; // the next move asks again
      }
      if (asked !== this.asked) return; // it has moved on meanwhile
      this.drawn = { box: wide, zoom: this.map.getZoom(), whole: found.points.length === found.total, ...found };
    } else if (!again) return;
    this.streets.clearLayers();
    const { points, lines } = this.drawn,
      shared = { renderer: this.canvas, pane: "streets", interactive: false };
    L.polyline(
      lines.map(([a, b]) => [points[a], points[b]]),
      { ...shared, color: colour("street"), weight: 4, opacity: 0.55 },
    ).addTo(this.streets);
    for (const point of points)
      L.circleMarker(point, { ...shared, radius: 2, stroke: false, fillColor: colour("dot"), fillOpacity: 0.9 }).addTo(
        this.streets,
      );
  }

  at(thing) {
    const pair = this.facts.geodetic ? [thing.lat, thing.lon] : [thing.northing, thing.easting];
    return pair.every(Number.isFinite) ? pair : null;
  }

  // A photo's answer: its circle, its pin (which can be moved), and its matches.
  show(photo, { fit = true } = {}) {
    this.redraw = () => this.show(photo, { fit: false });
    this.answer.clearLayers();
    const place = photo.place(),
      answered = photo.answer,
      away = answered?.in_map === false && !photo.moved;
    const spots = (answered?.matches ?? []).map((match) => this.at(match)),
      points = spots.filter(Boolean);
    this.mark(spots);
    if (place) {
      const r = answered?.radius ?? photo.radius;
      if (r && !photo.moved)
        L.circle(place, {
          radius: r,
          color: colour(away ? "soft" : "accent"),
          weight: 2,
          fillOpacity: 0.12,
          interactive: false,
          dashArray: away ? "6 5" : null,
        }).addTo(this.answer);
      this.pin(photo, place, away);
      points.unshift(place);
    }
    if (fit && points.length) this.look(points, answered?.radius ?? photo.radius ?? 25);
  }

  look(points, radius) {
    const bounds = L.latLngBounds(points.slice(0, 1));
    const unit = this.facts.geodetic ? 1 / 111195 : 1,
      east = this.facts.geodetic ? unit / Math.max(0.01, Math.cos((points[0][0] * Math.PI) / 180)) : 1;
    for (const sign of [-2, 2])
      bounds.extend([points[0][0] + sign * radius * unit, points[0][1] + sign * radius * east]);
    for (const point of points.slice(1, 6)) // matches nearby, not those at the other end of the town
      if (Math.abs(point[0] - points[0][0]) < 20 * radius * unit && Math.abs(point[1] - points[0][1]) < 20 * radius * east)
        bounds.extend(point);
    this.map.fitBounds(bounds, { padding: [30, 40], maxZoom: this.facts.geodetic ? 19 : 4, animate: false });
  }

  // Matches of one position share a number: "1, 2, 5".
  mark(spots) {
    const groups = new Map();
    spots.forEach((at, rank) => {
      if (!at) return;
      if (rank >= NUMBERED)
        L.circleMarker(at, { radius: 4, color: colour("accent"), weight: 2, fillOpacity: 0.4, interactive: false }).addTo(this.answer);
      else groups.set(String(at), [...(groups.get(String(at)) ?? []), rank]);
    });
    for (const ranks of groups.values()) {
      const label = ranks.map((rank) => rank + 1).join(", "),
        width = 15 + 7 * label.length;
      const icon = L.divIcon({ className: "number", html: el("span", {}, label), iconSize: [width, 22], iconAnchor: [width / 2, -3] });
      L.marker(spots[ranks[0]], { icon, title: "Match " + label, alt: "Match " + label, keyboard: false, zIndexOffset: -100 * ranks[0] })
        .on("click", () => $("matches").children[ranks[0] + 1]?.scrollIntoView({ block: "nearest" }))
        .addTo(this.answer);
    }
  }

  pin(photo, place, away) {
    const shape = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    shape.setAttribute("viewBox", "0 0 32 32");
    for (const [name, attributes] of [
      ["path", { d: "M16 32C8 21 5 17 5 12a11 11 0 0 1 22 0c0 5-3 9-11 20z" }],
      ["circle", { cx: 16, cy: 12, r: 4.5 }],
    ]) {
      const part = document.createElementNS("http://www.w3.org/2000/svg", name);
      for (const [key, value] of Object.entries(attributes)) part.setAttribute(key, value);
      shape.append(part);
    }
    const state = photo.moved ? "moved" : away ? "away" : "";
    const icon = L.divIcon({ className: ("pin " + state).trim(), html: shape, iconSize: [32, 32], iconAnchor: [16, 32] });
    const words = photo.fixed ? "The linked place" : "Where the photo was taken; arrow keys move the pin by a metre, with shift by ten";
    const marker = L.marker(place, { icon, draggable: !photo.fixed, alt: words, title: words, zIndexOffset: 1000 });
    marker.on("dragend", () => this.moved(photo, [marker.getLatLng().lat, marker.getLatLng().lng]));
    marker.addTo(this.answer);
    const node = marker.getElement();
    node.setAttribute("aria-label", words);
    node.addEventListener("keydown", (event) => {
      const step = { ArrowUp: [1, 0], ArrowDown: [-1, 0], ArrowLeft: [0, -1], ArrowRight: [0, 1] }[event.key];
      if (!step || photo.fixed) return;
      event.preventDefault();
      event.stopPropagation();
      const m = event.shiftKey ? 10 : 1,
        unit = this.facts.geodetic ? 1 / 111195 : 1,
        east = this.facts.geodetic ? unit / Math.max(0.01, Math.cos((place[0] * Math.PI) / 180)) : 1;
      this.moved(photo, [place[0] + step[0] * m * unit, place[1] + step[1] * m * east]);
      this.answer.eachLayer((layer) => layer.options.draggable && layer.getElement().focus());
    });
  }

  // The other photos of the batch, as dots.
  showOthers(photos, choose) {
    this.others.clearLayers();
    for (const photo of photos) {
      const at = photo.place();
      if (at)
        L.circleMarker(at, { radius: 6, color: colour("paper"), weight: 2, fillColor: colour("good"), fillOpacity: 1 })
          .bindTooltip(el("span", {}, photo.name))
          .on("click", () => choose(photo))
          .addTo(this.others);
    }
  }
}

export const apart = (a, b, geodetic) => metres(geodetic ? L.latLng(a).distanceTo(b) : Math.hypot(a[0] - b[0], a[1] - b[1]));
