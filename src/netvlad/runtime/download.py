"""Downloads: with progress, resumed after a break, checked, and whole or not there."""

from __future__ import annotations

import http.client
import os
import socket
import sys
import time
import urllib.error
import urllib.request
from http.client import HTTPResponse
from pathlib import Path
from urllib.parse import urlparse

from netvlad.errors import NetvladError
from netvlad.runtime.files import sha256
from netvlad.runtime.locks import only_writer
from netvlad.runtime.progress import progress

BLOCK = 1 << 18
TIMEOUT = 30.0  # seconds without a byte
ATTEMPTS = 5  # attempts in a row that bring no new bytes, before giving up


def cache_folder() -> Path:
    """$NETVLAD_CACHE, or else the platform's cache folder."""
    if os.environ.get("NETVLAD_CACHE"):
        return Path(os.environ["NETVLAD_CACHE"]).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "netvlad"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "netvlad" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netvlad"


def download(url: str, file: Path, *, sha256_hex: str | None = None, pause: float = 1.0) -> Path:
    """Download `url` to `file` and return `file`; does nothing if it exists.

    A partial download is kept beside it as `.part`, and this call or the next resumes it if the server still has the
    same file. The file is checked against `sha256_hex` if that is given, else against the size that the server reports.
    pause: seconds to wait after a failed attempt, longer after each one that follows.
    Raises NetvladError: no connection, no such file, repeated breaks, another checksum.
    """
    if file.is_file():
        return file
    part = file.with_name(file.name + ".part")
    with only_writer(file.parent, wait=True):
        if not file.is_file():  # another process may have downloaded it meanwhile
            _fetch(url, part, pause)
            if sha256_hex and (found := sha256(part)) != sha256_hex.lower():
                part.unlink()
                reason = f"came with SHA-256 {found}, published is {sha256_hex}; it was thrown away"
                raise NetvladError(reason, path=url)
            _mark(part).unlink(missing_ok=True)
            os.replace(part, file)
    return file


def _fetch(url: str, part: Path, pause: float) -> None:
    """Complete `part`, resuming after each break as long as attempts bring new bytes."""
    failures = 0
    while True:
        before = _size(part)
        try:
            if _go_on(url, part):
                return
            reason = f"broke off after {_size(part)} bytes"
        except urllib.error.HTTPError as e:
            if e.code == 416:  # no such range: the file has changed, so start over
                part.unlink(missing_ok=True)
                reason = "the server has another file now"
            elif e.code < 500:
                raise NetvladError(f"the server says {e.code} {e.reason}", path=url) from e
            else:
                reason = f"the server says {e.code} {e.reason}"
        except (OSError, http.client.HTTPException) as e:  # URLError, an OSError, wraps what failed
            reason = str(e.reason if isinstance(e, urllib.error.URLError) else e) or type(e).__name__
        failures = 0 if _size(part) > before else failures + 1
        if failures >= ATTEMPTS or (failures and _offline(url)):
            raise NetvladError(f"{reason}; the next attempt goes on from byte {_size(part)}", path=url)
        time.sleep(pause * failures)


def _go_on(url: str, part: Path) -> bool:
    """Fetch what `part` lacks; True if it is whole then. `If-Range` keeps two versions of a file apart."""
    have, mark = _size(part), _mark(part)
    known = mark.read_text() if mark.is_file() else ""
    headers = {"User-Agent": "netvlad", "Accept-Encoding": "identity"}
    if have and known:
        headers |= {"Range": f"bytes={have}-", "If-Range": known}
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=TIMEOUT) as answer:
        whole, start = _extent(answer)
        if start != have:  # the server sends the whole file: it cannot resume, or has another one
            start = 0
        _mark(part).write_text(_identity(answer))
        done, total = 0, whole - start if whole is not None else 0
        with open(part, "ab" if start else "wb") as file, progress(_name(url), _mb(total), "MB") as advance:
            while block := answer.read(BLOCK):
                file.write(block)
                advance(_mb(done + len(block)) - _mb(done))
                done += len(block)
    return whole is None or _size(part) == whole


def _extent(answer: HTTPResponse) -> tuple[int | None, int]:
    """Size of the whole file, None if unknown, and the position of the response's first byte in it."""
    span = answer.headers.get("Content-Range", "")  # bytes 100-999/1000
    if answer.status == 206 and "/" in span:
        first, _, whole = span.removeprefix("bytes ").partition("/")
        return int(whole) if whole.isdigit() else None, int(first.partition("-")[0])
    length = answer.headers.get("Content-Length")
    return int(length) if length else None, 0


def _identity(answer: HTTPResponse) -> str:
    """The value for `If-Range`: a strong ETag, or the date of the last change."""
    etag = answer.headers.get("ETag", "")
    return etag if etag and not etag.startswith("W/") else answer.headers.get("Last-Modified", "")


def _mark(part: Path) -> Path:
    return part.with_name(part.name + ".etag")


def _size(part: Path) -> int:
    return part.stat().st_size if part.is_file() else 0


def _mb(n: int) -> int:
    return n // 1_000_000


def _name(url: str) -> str:
    return url.rpartition("/")[2] or url


def _offline(url: str) -> bool:
    """Whether the server's name does not resolve, so that waiting is of no use."""
    if urllib.request.getproxies():
        return False
    try:
        socket.getaddrinfo(urlparse(url).hostname, None)
    except OSError:
        return True
    return False
