// The page of an evaluation is one state and two views of it. Here: the state, and the rows of photos.
const PER_PAGE = 20;
const VERDICTS = { right: "right at 1", wrong: "wrong at 1", none: "no true match in database" };
const SYMBOLS = { right: "✓", wrong: "✗", none: "□" };
const state = { method: 0, filter: "all", order: "list", page: 0, chosen: null };
const byId = (id) => document.getElementById(id);
const method = () => data.methods[state.method];

// A match is [database row, metres from the query's true position, score, right (1 or 0)].
const best = (i) => method().matches[i][0] || null;
const verdict = (i) => (!data.queries[i].matched ? "none" : best(i) && best(i)[3] ? "right" : "wrong");
const passes = (i) => state.filter === "all" || verdict(i) === state.filter;

function listed() {
  const rows = data.queries.map((_, i) => i).filter((i) => data.queries[i].thumb !== null && passes(i));
  const key = {
    error: (i) => (best(i) ? best(i)[1] : Infinity),
    score: (i) => (best(i) ? best(i)[2] : -Infinity),
  }[state.order];
  return key ? rows.sort((a, b) => key(b) - key(a) || a - b) : rows;
}

function sentence(i) {
  const first = method().first[i],
    b = best(i),
    kind = verdict(i);
  const words = {
    right: "Right",
    wrong: "Wrong",
    none: "No match that is " + data.right + " in the database",
  }[kind];
  const where = b ? ": best match " + metres(b[1]) + " away" : ": nothing was found";
  const rank =
    kind !== "wrong"
      ? ""
      : first
        ? ", first right one at rank " + first
        : ", no right one among the best " + method().depth;
  return { kind, words: SYMBOLS[kind] + " " + words, rest: where + rank };
}

function row(i) {
  const query = data.queries[i],
    said = sentence(i);
  const cards = [
    photoCard("query", query.thumb, "Query " + query.name, null, "Query", [query.time, query.name]),
  ];
  method().matches[i].forEach(([id, off, score, right], rank) => {
    const match = data.photos[id],
      kind = right ? "right" : "wrong";
    cards.push(
      photoCard(
        kind,
        match.thumb,
        `Match ${rank + 1}, ${kind}: ${match.name}`,
        `${rank + 1} ${SYMBOLS[kind]}`,
        `${SYMBOLS[kind]} ${metres(off)}`,
        ["score " + (score === null ? "unknown" : score.toFixed(3)), match.time, match.name],
      ),
    );
  });
  return el(
    "article",
    {
      class: "row" + (i === state.chosen ? " chosen" : ""),
      id: "query-" + i,
      tabindex: "-1",
      "aria-label": "Query " + query.name,
    },
    el(
      "header",
      {},
      el("h3", {}, query.name),
      el("p", {}, el("span", { class: "verdict " + said.kind }, said.words), said.rest),
      el("button", { type: "button", onclick: () => choose(i, "map") }, "Show on map"),
    ),
    el("ol", { class: "strip" }, ...cards),
  );
}

function drawRows() {
  const rows = listed(),
    pages = Math.max(1, Math.ceil(rows.length / PER_PAGE));
  state.page = Math.min(state.page, pages - 1);
  const from = state.page * PER_PAGE,
    shown = rows.slice(from, from + PER_PAGE);
  byId("rows").replaceChildren(...shown.map(row));
  const asked = data.queries.filter((_, i) => passes(i)).length;
  const text = rows.length
    ? `${from + 1}–${from + shown.length} of ${rows.length}` +
      (rows.length < asked ? ` with photos (${asked} on the map)` : "")
    : asked
      ? `${asked} on the map, none of them with photos`
      : "no such query";
  for (const pager of document.querySelectorAll(".pager")) {
    const turn = (by, label) =>
      el(
        "button",
        {
          type: "button",
          disabled: state.page + by < 0 || state.page + by >= pages ? "" : null,
          onclick() {
            state.page += by;
            drawRows();
            byId("photos").scrollIntoView();
            byId("photos").focus({ preventScroll: true });
          },
        },
        label,
      );
    pager.replaceChildren(turn(-1, "Previous"), el("span", {}, text), turn(1, "Next"));
  }
  byId("announce").textContent = text;
}

function drawToolbar() {
  const count = { all: data.queries.length, right: 0, wrong: 0, none: 0 };
  data.queries.forEach((_, i) => count[verdict(i)]++);
  byId("filter").replaceChildren(
    ...Object.entries({ all: "all", ...VERDICTS }).map(([key, label]) =>
      el(
        "button",
        {
          type: "button",
          "data-filter": key,
          "aria-pressed": state.filter === key,
          onclick() {
            Object.assign(state, { filter: key, page: 0 });
            redraw();
            byId("filter").querySelector(`[data-filter=${key}]`).focus();
          },
        },
        (SYMBOLS[key] ? SYMBOLS[key] + " " : "") + label + " (" + count[key] + ")",
      ),
    ),
  );
}
