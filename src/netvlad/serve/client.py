"""Asks a server where photos were taken."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from netvlad.errors import ImageError, NetvladError, first_line
from netvlad.images.opening import check_regular
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


def _chunks(photos: Sequence[str], unreadable: dict[str, dict[str, Any]]) -> Iterator[list[str]]:
    """Photos that are sent together; those that are no files get an answer."""
    chunk: list[str] = []
    size = 0
    for path in photos:
        try:
            check_regular(path, BYTES)
            more = os.stat(path).st_size
        except (ImageError, OSError, ValueError) as e:
            missing = "no such file" if isinstance(e, FileNotFoundError) else first_line(e)
            unreadable[path] = {"photo": path, "error": e.reason if isinstance(e, ImageError) else missing}
            continue
        if chunk and (len(chunk) == PHOTOS or size + more > BYTES):
            yield chunk
            chunk, size = [], 0
        chunk, size = [*chunk, path], size + more
    if chunk:
        yield chunk


def _ask(client: Any, url: str, paths: list[str]) -> list[dict[str, Any]]:
    import httpx2

    for attempt in range(TRIES):
        try:
            with ExitStack() as opened:
                files = [("photo", (os.path.basename(p), opened.enter_context(open(p, "rb")))) for p in paths]
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
    if response.status_code in (200, 422) and isinstance(answers, list) and len(answers) == len(paths):
        return answers
    detail = found.get("detail", "") if isinstance(found, dict) else ""
    raise NetvladError(f"refuses (HTTP {response.status_code}): {detail}", path=url)
