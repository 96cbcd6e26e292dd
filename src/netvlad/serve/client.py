"""Asks a server where photos were taken."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from netvlad.errors import ImageError, NetvladError, first_line
from netvlad.images.opening import read_file
from netvlad.runtime.progress import progress

PHOTOS, BYTES = 8, 48 << 20  # of a request, within what a server takes by default
TRIES, SECONDS = 10, 120.0
LONGEST_WAIT = 60.0


def locate_at(
    server: str, photos: Sequence[str], *, token: str = "", **conditions: str | int | None
) -> list[dict[str, Any]]:
    """The answer for each of `photos` (paths) as JSON, in order; {"photo", "error"} for one that cannot be read.

    server: its address, with ?map=NAME for another map than its first. conditions: top, near, bbox, after and before,
    as the service takes them; None for those that are not asked for. While the server is full it is asked again. Raises
    NetvladError where it does not answer or refuses.
    """
    import httpx2

    address = urlsplit(server)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise NetvladError("is no address of a server: http://127.0.0.1:8000 would be", path=server)
    url = f"{address.scheme}://{address.netloc}{address.path.rstrip('/')}/v1/locate"
    asked = {name: value for name, value in conditions.items() if value is not None} | dict(parse_qsl(address.query))
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    answers: dict[str, dict[str, Any]] = {}
    with (
        httpx2.Client(headers=headers, params=asked, timeout=SECONDS) as client,
        progress("asking", len(photos)) as done,
    ):
        for chunk in _chunks(photos, answers):
            for path, answer in zip(chunk, _ask(client, url, chunk), strict=True):
                answers[path] = {**answer, "photo": path}
            done(len(chunk))
    return [answers[path] for path in photos]


def _chunks(photos: Sequence[str], unreadable: dict[str, dict[str, Any]]) -> Iterator[dict[str, bytes]]:
    """Path -> content of photos that are sent together; those that cannot be read get an answer."""
    chunk: dict[str, bytes] = {}
    for path in photos:
        try:
            data = read_file(path, BYTES)
        except (ImageError, OSError, ValueError) as e:
            missing = "no such file" if isinstance(e, FileNotFoundError) else first_line(e)
            unreadable[path] = {"photo": path, "error": e.reason if isinstance(e, ImageError) else missing}
            continue
        if chunk and (len(chunk) == PHOTOS or sum(map(len, chunk.values())) + len(data) > BYTES):
            yield chunk
            chunk = {}
        chunk[path] = data
    if chunk:
        yield chunk


def _ask(client: Any, url: str, photos: dict[str, bytes]) -> list[dict[str, Any]]:
    import httpx2

    files = [("photo", (os.path.basename(path), data)) for path, data in photos.items()]
    for attempt in range(TRIES):
        try:
            response = client.post(url, files=files)
        except (httpx2.HTTPError, OSError) as e:
            raise NetvladError(f"does not answer ({first_line(e)})", path=url) from e
        if response.status_code != 503 or attempt == TRIES - 1:
            break
        time.sleep(min(LONGEST_WAIT, float(response.headers.get("retry-after", 1))))
    try:
        found = response.json()
    except ValueError:
        raise NetvladError(f"answers as no server of netvlad does (HTTP {response.status_code})", path=url) from None
    answers = found.get("answers") if isinstance(found, dict) else None
    if response.status_code in (200, 422) and isinstance(answers, list) and len(answers) == len(photos):
        return answers
    detail = found.get("detail", "") if isinstance(found, dict) else ""
    raise NetvladError(f"refuses (HTTP {response.status_code}): {detail}", path=url)
