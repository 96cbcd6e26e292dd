// One photo's answer: words, a number, the place to copy and to open elsewhere, the matches beside the query.
import { $, el, metres, percent, sureness, time } from "./dom.js";
import { apart } from "./map.js";
import { photo as fetched } from "./server.js";

let shown = null; // the photo whose matches are on the page: they stay when only its pin moves

export function showDetail(photo, place, link) {
  $("detail").hidden = !photo;
  if (!photo) {
    shown = null;
    return;
  }
  const answer = photo.answer;
  $("judge").hidden = $("sure").hidden = $("evidence").hidden = $("why").hidden = !answer;
  if (!answer) {
    $("words").textContent = photo.state === "failed" ? "No answer" : "Looking …";
    $("words").className = photo.state === "failed" ? "bad" : "";
    $("more").textContent = `${photo.name}: ${photo.reason ?? "is being matched"}`;
    $("where").replaceChildren();
    $("matches").replaceChildren(...(photo.state === "failed" ? [] : [queryCard(photo)]));
    shown = null;
    return;
  }
  const [words, kind] = sureness(answer);
  $("words").textContent = photo.moved ? "Where you put it" : words[0].toUpperCase() + words.slice(1);
  $("words").className = photo.moved ? "good" : kind;
  $("more").textContent = photo.moved
    ? `${apart(photo.moved, place.at(answer) ?? photo.moved, place.facts.geodetic)} from the answer of the map`
    : answer.more;
  $("sure").hidden = answer.confidence === null;
  $("confidence").value = answer.confidence ?? 0;
  $("percent").textContent = `${percent(answer.confidence)} sure that it is within ${metres(answer.radius)}` +
    (answer.absent === null ? "" : `, ${percent(answer.absent)} that the place is not in this map`);
  $("accept").setAttribute("aria-pressed", photo.checked === "accepted");
  $("reject").setAttribute("aria-pressed", photo.checked === "rejected");
  $("restore").hidden = !photo.moved;
  where(photo, place, link);
  if (shown !== photo) {
    shown = photo;
    $("matches").replaceChildren(queryCard(photo), ...answer.matches.map((match, rank) => matchCard(match, rank, answer, place)));
  }
}

function where(photo, place, link) {
  const at = photo.place();
  if (!at) {
    $("where").replaceChildren(photo.answer.place ?? "");
    return;
  }
  const geodetic = place.facts.geodetic,
    text = at.map((x) => x.toFixed(geodetic ? 6 : 1)).join(", ");
  const copy = (label, content) => {
    const button = el("button", { type: "button", onclick: async () => {
      try {
        await navigator.clipboard.writeText(content);
        button.textContent = "Copied";
      } catch {
        button.textContent = "Copying is not allowed here";
      }
      setTimeout(() => (button.textContent = label), 1500);
    } }, label);
    return button;
  };
  const links = geodetic
    ? [
        el("a", { href: `https://www.openstreetmap.org/?mlat=${at[0].toFixed(6)}&mlon=${at[1].toFixed(6)}#map=19/${at[0].toFixed(6)}/${at[1].toFixed(6)}`, target: "_blank", rel: "noopener noreferrer" }, "OpenStreetMap"),
        el("a", { href: `geo:${at[0].toFixed(6)},${at[1].toFixed(6)}` }, "geo: link"),
        copy("Copy a link to this place", link(photo)),
      ]
    : [];
  $("where").replaceChildren(el("code", {}, geodetic ? text : "northing, easting: " + text), copy("Copy", text), ...links);
}

function queryCard(photo) {
  return card("query", photo.name, async () => photo.url, async () => photo.url, "Your photo", [photo.name]);
}

function matchCard(match, rank, answer, place) {
  const at = place.at(match),
    here = place.at(answer);
  const lines = [
    at && here && rank ? apart(at, here, place.facts.geodetic) + " from the answer" : null,
    time(match.time),
    match.heading === null ? null : `looking ${Math.round(match.heading)}°`,
    match.inliers === null ? null : `${match.inliers} features agree`,
    `descriptor distance ${match.distance.toFixed(3)}`,
    match.path,
    match.credit ? `by ${match.credit.credit || "nobody named"}, ${match.credit.licence}, ${match.credit.link}` : null,
  ];
  const of = (longest) => () => fetched(place.facts.name, match.id, longest);
  return card("match", `Match ${rank + 1}: ${match.path}`, of(320), of(1600), `Match ${rank + 1}`, lines);
}

function card(kind, alt, small, large, head, lines) {
  const image = el("img", { alt });
  const button = el("button", { class: "photo", type: "button", "aria-label": `Enlarge ${alt}`, onclick: () => enlarge(alt, large) }, image);
  const missing = (why) => button.replaceChildren(el("span", { class: "missing" }, why));
  image.onerror = () => missing("This browser does not show photos of this kind.");
  small().then((url) => (image.src = url), (error) => missing(error.message));
  const texts = lines.filter(Boolean).map((line) => el("span", { class: "line", title: line }, line));
  return el("li", { class: kind }, button, el("strong", {}, head), ...texts);
}

async function enlarge(alt, large) {
  $("large-name").textContent = alt;
  $("large-photo").alt = alt;
  $("large-photo").removeAttribute("src");
  $("large").showModal();
  try {
    $("large-photo").src = await large();
  } catch (error) {
    $("large-name").textContent = error.message;
  }
}
