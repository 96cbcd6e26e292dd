// The page: photos in, answers out.
import { $, sureness } from "./dom.js";
import { showDetail } from "./detail.js";
import { csv, geojson, gpx, save, sidecars } from "./files.js";
import { PlaceMap } from "./map.js";
import { Problem, call, get } from "./server.js";
import { showWhy } from "./why.js";
import { Table } from "./table.js";

const AT_ONCE = 4; // requests; the server puts their photos into one forward pass
const TRIES = 8;

let place = null, // the PlaceMap
  index = null,
  config = null,
  current = null;
const photos = [];
const table = new Table({ choose, check });

class Photo {
  constructor(file) {
    this.file = file;
    this.name = file.name || "photo";
    this.url = URL.createObjectURL(file);
    this.state = "waiting"; // then asking, answered or failed
    this.checked = ""; // accepted, rejected or corrected
    this.answer = this.moved = this.reason = this.map = null;
  }

  place() {
    return this.moved ?? (this.answer && this.map === place.facts.name ? place.at(this.answer) : null);
  }

  // As files have it. A place that is not in the map is none, unless somebody said so.
  get row() {
    const answer = this.answer,
      known = this.moved || (answer && (answer.in_map !== false || this.checked === "accepted"));
    const [lat, lon] = this.moved ?? (known ? [answer.lat, answer.lon] : [null, null]);
    return {
      name: this.name,
      lat: lat === null ? null : Number(lat.toFixed(7)),
      lon: lon === null ? null : Number(lon.toFixed(7)),
      radius: answer?.radius ?? null,
      confidence: answer?.confidence ?? null,
      verdict: answer ? sureness(answer)[0] : (this.reason ?? ""),
      checked: this.checked,
      map: this.map,
      match: answer?.matches[0]?.path ?? "",
    };
  }
}

async function open() {
  [index, config] = await Promise.all([get("v1/index"), get("page/config.json")]);
  const link = new URLSearchParams(location.hash.slice(1));
  for (const facts of index.maps) $("map-name").add(new Option(facts.name, facts.name));
  $("map-choice").hidden = index.maps.length < 2;
  $("map-name").addEventListener("change", () => openMap($("map-name").value));
  openMap(index.maps.some((facts) => facts.name === link.get("map")) ? link.get("map") : index.maps[0].name);
  follow(link);
}

function openMap(name) {
  $("map-name").value = name;
  const facts = index.maps.find((one) => one.name === name);
  place?.map.remove();
  place = new PlaceMap(facts, config.tiles, moved);
  const unsure = facts.calibrated ? "" : " How sure answers are is unknown: the map has too few photos to tell.";
  $("about").textContent = `Matched against ${facts.photos.toLocaleString()} photos of ${facts.name}.${unsure}`;
  choose(photos.findLast((photo) => photo.map === name) ?? null);
}

// A permalink: #map=NAME&lat=..&lon=..&radius=..
function follow(link) {
  const numbers = ["lat", "lon", "radius"].map((name) => parseFloat(link.get(name)));
  if (!numbers.slice(0, 2).every(Number.isFinite) || !place.facts.geodetic) return;
  const at = [numbers[0], numbers[1]];
  place.show({ fixed: true, place: () => at, answer: null, radius: numbers[2] || 25 });
}

// -- asking --------------------------------------------------------------------------------------------------

function take(files) {
  const images = [...files].filter((file) => file.type.startsWith("image/") || /\.(hei[cf]|avif|tiff?)$/i.test(file.name) || !file.type);
  if (!images.length) {
    say(files.length ? "These are no photos." : "");
    return;
  }
  if (!place) {
    say("The map is being opened …");
    opening.then(() => place && take(images));
    return;
  }
  const added = images.map((file) => new Photo(file));
  photos.push(...added);
  table.show(photos);
  if (!current || current.state !== "asking") choose(added[0]);
  work();
}

let working = 0;
function work() {
  while (working < AT_ONCE) {
    const photo = photos.find((one) => one.state === "waiting");
    if (!photo) break;
    working++;
    photo.state = "asking";
    ask(photo).finally(() => {
      working--;
      table.update(photo);
      if (photo === current) choose(photo);
      progress();
      work();
    });
  }
  progress();
}

async function ask(photo) {
  const conditions = asked(),
    form = new FormData();
  form.append("photo", photo.file, photo.name);
  photo.map = place.facts.name;
  for (let tries = 1; ; tries++)
    try {
      const response = await call("v1/locate?" + conditions, { method: "POST", body: form });
      photo.answer = (await response.json()).answers[0];
      photo.state = "answered";
      return;
    } catch (error) {
      const again = error instanceof Problem && [0, 503].includes(error.status) && tries < TRIES;
      if (!again) {
        photo.state = "failed";
        photo.reason = error.message.replace("no photo could be read: " + photo.name + " ", "cannot be read: it ");
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 1000 * (error.retryAfter ?? 2)));
    }
}

function asked() {
  const conditions = { map: place.facts.name, top: Math.min(100, Math.max(1, Number($("top").value) || 5)) };
  if ($("inside").checked) conditions.bbox = place.bbox();
  for (const name of ["after", "before"]) if ($(name).value) conditions[name] = $(name).value;
  return new URLSearchParams(conditions);
}

function progress() {
  const left = photos.filter((photo) => ["waiting", "asking"].includes(photo.state)).length,
    failed = photos.filter((photo) => photo.state === "failed").length;
  const done = photos.length - left;
  say(
    left
      ? `${done} of ${photos.length} photos answered …`
      : photos.length
        ? `${photos.length} photo${photos.length > 1 ? "s" : ""} answered${failed ? `, ${failed} of them not` : ""}.`
        : "",
  );
}

const say = (text) => ($("status").textContent = text);

// -- looking and checking ----------------------------------------------------------------------------------------

function choose(photo) {
  current = photo;
  if (photo?.map && photo.map !== place.facts.name) return openMap(photo.map);
  table.select(photo);
  place.showOthers(
    photos.filter((one) => one !== photo && one.state === "answered" && one.map === place.facts.name && one.checked !== "rejected"),
    choose,
  );
  if (photo) place.show(photo);
  else place.answer.clearLayers();
  showDetail(photo, place, link);
}

function moved(photo, at) {
  photo.moved = at;
  photo.checked = "corrected";
  table.update(photo);
  place.show(photo, { fit: false });
  showDetail(photo, place, link);
}

function check(photo, checked) {
  if (!photo || photo.state !== "answered") return;
  photo.checked = photo.checked === checked ? (photo.moved ? "corrected" : "") : checked;
  table.update(photo);
  showDetail(photo, place, link);
}

function link(photo) {
  const [lat, lon] = photo.place(),
    parts = { map: place.facts.name, lat: lat.toFixed(6), lon: lon.toFixed(6), radius: photo.answer.radius };
  return `${location.origin}${location.pathname}#${new URLSearchParams(parts)}`;
}

function download(kind) {
  const rows = photos.map((photo) => photo.row);
  if (kind === "csv") save("places.csv", "\ufeff" + csv(rows), "text/csv");
  if (kind === "geojson") save("places.geojson", geojson(rows), "application/geo+json");
  if (kind === "gpx") save("places.gpx", gpx(rows), "application/gpx+xml");
  if (kind === "xmp") save("sidecars.zip", sidecars(rows), "application/zip");
}

// -- what people do ------------------------------------------------------------------------------------------------

$("files").addEventListener("change", () => {
  take($("files").files);
  $("files").value = "";
});
document.addEventListener("dragover", (event) => {
  event.preventDefault();
  document.body.classList.add("dragging");
});
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  take(event.dataTransfer.files);
});
document.addEventListener("paste", (event) => {
  if (event.clipboardData.files.length) take(event.clipboardData.files);
});
document.addEventListener("keydown", (event) => {
  const typing = event.target.closest("input, select, textarea, dialog, #map");
  if (typing || event.ctrlKey || event.metaKey || event.altKey || !current) return;
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  if (step && photos.length > 1) {
    event.preventDefault();
    choose(photos[Math.min(photos.length - 1, Math.max(0, photos.indexOf(current) + step))]);
  }
  if (event.key === "a") check(current, "accepted");
  if (event.key === "r") check(current, "rejected");
});
$("accept").addEventListener("click", () => check(current, "accepted"));
$("reject").addEventListener("click", () => check(current, "rejected"));
$("restore").addEventListener("click", () => {
  current.moved = null;
  current.checked = "";
  table.update(current);
  choose(current);
});
$("why").addEventListener("click", () => showWhy(current, asked()));
for (const button of document.querySelectorAll("[data-kind]"))
  button.addEventListener("click", () => download(button.dataset.kind));
addEventListener("hashchange", () => follow(new URLSearchParams(location.hash.slice(1))));

const opening = open().catch((error) => {
  $("about").textContent = "The map cannot be opened: " + error.message;
});
