// The table of all photos: a row each, updated alone, so that a thousand stay quick.
import { $, el, percent, sureness } from "./dom.js";

export class Table {
  constructor({ choose }) {
    this.choose = choose;
    this.rows = new Map();
  }

  show(photos) {
    $("batch").hidden = !photos.length;
    for (const photo of photos)
      if (!this.rows.has(photo)) {
        const row = el("tr", {});
        this.rows.set(photo, row);
        $("rows").append(row);
        this.update(photo);
      }
  }

  update(photo) {
    const row = this.rows.get(photo),
      focused = row.contains(document.activeElement);
    const image = el("img", { src: photo.url, alt: "", loading: "lazy", onerror: (event) => event.target.remove() });
    const pick = el("button", { class: "pick", type: "button", title: photo.name, onclick: () => this.choose(photo) }, image, el("span", {}, photo.name));
    const [words, kind] = this.words(photo);
    row.replaceChildren(
      el("td", {}, pick),
      el("td", { class: kind }, words),
      el("td", {}, photo.answer ? percent(photo.answer.confidence) : ""),
      el("td", {}, photo.checked),
    );
    if (focused) pick.focus();
  }

  words(photo) {
    if (photo.state === "answered") return sureness(photo.answer);
    if (photo.state === "failed") return [photo.reason, "bad"];
    return [photo.state + " …", ""];
  }

  select(photo) {
    for (const [other, row] of this.rows) row.setAttribute("aria-selected", other === photo);
    const row = this.rows.get(photo);
    if (!row) return;
    const box = $("scroll"),
      top = row.offsetTop - box.clientHeight / 2;
    if (row.offsetTop < box.scrollTop || row.offsetTop + row.clientHeight > box.scrollTop + box.clientHeight) box.scrollTop = top;
  }
}
