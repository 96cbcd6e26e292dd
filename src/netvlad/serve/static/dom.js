// Text always arrives as text nodes: a file name is never read as HTML.
export const $ = (id) => document.getElementById(id);

export function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (value !== null && value !== false) node.setAttribute(key, value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined));
  return node;
}

export const metres = (m) =>
  m < 9.95 ? m.toFixed(1) + "\u00a0m" : m < 10000 ? Math.round(m) + "\u00a0m" : (m / 1000).toFixed(1) + "\u00a0km";

export const colour = (name) =>
  getComputedStyle(document.documentElement)
    .getPropertyValue("--" + name)
    .trim();

// How sure an answer is, in words and as one of three classes.
export function sureness(answer) {
  if (answer.verdict === "absent") return ["not in this map", "bad"];
  if (answer.lat === null && answer.easting === null && !answer.place) return [answer.words, "doubt"];
  const where = answer.lat === null && answer.easting === null ? answer.place : `within ${metres(answer.radius)}`;
  return answer.verdict === "probable" ? [`probably ${where}`, "good"] : ["a guess", "doubt"];
}

export const percent = (share) => (share === null ? "" : Math.round(100 * share) + "\u00a0%");

export const time = (text) => (text ? text.replace("T", " ").slice(0, 16) : null);
