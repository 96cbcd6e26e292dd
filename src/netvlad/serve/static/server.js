// Asks the server this page came from. The token, where there is one, stays in this tab.
const base = new URL(".", location.href);
const KEY = "netvlad-token";
let asking = null;

export class Problem extends Error {
  constructor(status, detail, retryAfter) {
    super(detail);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

export async function call(path, options = {}) {
  for (;;) {
    const token = sessionStorage.getItem(KEY);
    const headers = token ? { Authorization: "Bearer " + token } : {};
    let response;
    try {
      response = await fetch(new URL(path, base), { ...options, headers });
    } catch {
      throw new Problem(0, "The server does not answer.", 3);
    }
    if (response.status === 401) {
      if (sessionStorage.getItem(KEY) === token) await askForToken();
      continue;
    }
    if (response.ok) return response;
    let detail = response.statusText;
    try {
      detail = (await response.json()).detail;
    } catch {
      // an answer of something between this page and the server
    }
    throw new Problem(response.status, detail, Number(response.headers.get("Retry-After")) || null);
  }
}

export const get = async (path) => (await call(path)).json();

function askForToken() {
  asking ??= new Promise((resolve) => {
    const dialog = document.getElementById("token-asked"),
      input = document.getElementById("token");
    input.value = "";
    dialog.addEventListener(
      "close",
      () => {
        sessionStorage.setItem(KEY, input.value.trim());
        asking = null;
        resolve();
      },
      { once: true },
    );
    dialog.showModal();
  });
  return asking;
}

// Images are fetched, as an <img> cannot show the token. What was fetched last is kept.
const images = new Map();
export function photo(map, id, longest) {
  const path = `v1/photos/${id}/thumbnail?` + new URLSearchParams({ map, longest });
  if (!images.has(path)) {
    images.set(
      path,
      call(path)
        .then((response) => response.blob())
        .then((blob) => URL.createObjectURL(blob)),
    );
    images.get(path).catch(() => images.delete(path));
    if (images.size > 400) {
      const [oldest, url] = images.entries().next().value;
      images.delete(oldest);
      url.then(URL.revokeObjectURL, () => {});
    }
  }
  return images.get(path);
}
