"""Polite requests: few at a time, repeated when a server is busy, and never into a private network."""

from __future__ import annotations

import email.utils
import ipaddress
import json
import socket
import threading
import time
import urllib.request
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from netvlad import __version__
from netvlad.errors import ImageError, NetvladError, first_line
from netvlad.runtime.files import atomic

if TYPE_CHECKING:
    import httpx2

AGENT = f"netvlad/{__version__} (visual place recognition; keeps pictures under their licence)"
AT_ONCE = 2  # requests in flight
TRIES = 6
HOPS = 5  # redirects that are followed
TIMEOUT = 60.0  # seconds without a byte
LONGEST_WAIT = 120.0  # seconds, whatever a server asks for
UNCHANGED = 304
BUSY = (429, 500, 502, 503, 504)
ANSWER = 128 << 20  # bytes of JSON
FILE = 100 << 20  # bytes of a picture


class Refused(NetvladError):
    """The server does not give that. status: of its answer; said: the beginning of it."""

    def __init__(self, status: int, said: str, path: str) -> None:
        super().__init__(f"the server says {status}: {said}", path=path)
        self.status, self.said = status, said


class Gone(Refused):
    """The server has no such thing any more."""


class _Again(Exception):
    """A failure that may pass. wait: seconds that the server asks for, None for none."""

    def __init__(self, reason: str, wait: float | None = None) -> None:
        super().__init__(reason)
        self.wait = wait


class _Unchanged(Exception):
    """The server says that the state which is known is still that of a picture."""


class Web:
    """Requests to one service, from several threads.

    service: its address; its host may be private, any other that it names or redirects to may not. pause: seconds
    before the first repetition, twice as long before each that follows. headers: sent to that host alone.
    """

    def __init__(self, service: str, *, pause: float = 1.0, headers: Mapping[str, str] | None = None) -> None:
        try:
            import httpx2
        except ImportError as e:
            raise NetvladError("fetching street imagery needs httpx2: pip install 'netvlad[imagery]'") from e
        if urlsplit(service).scheme not in ("http", "https") or not urlsplit(service).hostname:
            raise NetvladError("is no address of a service: https://api.panoramax.xyz would be", path=service)
        self.service, self.pause, self.headers = service.rstrip("/"), pause, dict(headers or {})
        self._busy_until = 0.0
        self._slots = threading.Semaphore(AT_ONCE)
        self._client = httpx2.Client(headers={"User-Agent": AGENT}, timeout=TIMEOUT)

    def __enter__(self) -> Web:
        return self

    def __exit__(self, *_: object) -> None:
        self._client.close()

    def ask(self, url: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """The JSON object that a server answers; `body` is posted.

        Raises NetvladError where it refuses, keeps being busy, or sends something else or more than `ANSWER` bytes.
        """

        def once() -> dict[str, Any]:
            with self._open(url, body) as answer:
                text = b"".join(_bounded(answer, ANSWER, url))
            try:
                found = json.loads(text)
            except (ValueError, RecursionError):
                raise _Again("sent something that is no JSON") from None
            if not isinstance(found, dict):
                raise NetvladError("sent JSON that is no object, as another kind of server does", path=url)
            return found

        return dict(self._patiently(once, url))

    def fetch(self, url: str, file: Path, *, known: str = "") -> str | None:
        """Fetch a picture, whole or not at all; returns the server's name for this state of it (ETag), "" for none.

        known: that of a state that is at hand; None is returned where it is still the state. Raises Gone, Refused, and
        NetvladError for what is too large, cannot be decoded, or breaks off each time.
        """

        def once() -> str | None:
            from netvlad.images.read import read_image

            with atomic(file) as temporary:
                with self._open(url, known=known) as answer, open(temporary, "wb") as opened:
                    if answer.status_code == UNCHANGED:
                        raise _Unchanged
                    for block in _bounded(answer, FILE, url):
                        opened.write(block)
                    name = str(answer.headers.get("etag", ""))
                try:
                    read_image(temporary, resize=256)
                except ImageError as e:
                    raise _Again(f"sent a picture that cannot be read: {e.reason}") from None
            return name

        try:
            found: str | None = self._patiently(once, url)
        except _Unchanged:
            return None
        return found

    def size(self, url: str) -> int:
        """Bytes of a file as the server states them, 0 where it does not."""

        def once() -> int:
            with self._open(url, method="HEAD") as answer:
                stated = answer.headers.get("content-length", "")
            return int(stated) if stated.isdigit() else 0

        try:
            return int(self._patiently(once, url))
        except NetvladError:  # some servers refuse HEAD
            return 0

    def _patiently(self, once: Any, url: str) -> Any:
        import httpx2

        for attempt in range(TRIES):
            self._wait()
            try:
                with self._slots:
                    return once()
            except httpx2.HTTPError as e:
                failure = _Again(first_line(e))
            except _Again as e:
                failure = e
            wait = self.pause * 2**attempt if failure.wait is None else failure.wait
            self._busy_until = time.monotonic() + min(wait, LONGEST_WAIT)
        raise NetvladError(f"failed {TRIES} times, last: {failure}; run the same command again later", path=url)

    def _wait(self) -> None:
        """Wait until the server may be asked again; what it told one thread holds for all."""
        while (left := self._busy_until - time.monotonic()) > 0:
            time.sleep(left)

    @contextmanager
    def _open(
        self, url: str, body: Mapping[str, Any] | None = None, method: str = "GET", known: str = ""
    ) -> Iterator[httpx2.Response]:
        """The answer behind at most `HOPS` redirects, each of whose addresses is checked."""
        content = None if body is None else json.dumps(body).encode()
        method = method if body is None else "POST"
        kind = {} if body is None else {"Content-Type": "application/json"}  # exactly so, without a charset
        kind |= {"If-None-Match": known} if known else {}
        for _ in range(HOPS + 1):
            own = _origin(url) == _origin(self.service)
            if not own:
                refuse_private(url)
            headers = {**kind, **(self.headers if own else {})}
            with self._client.stream(method, url, content=content, headers=headers) as answer:
                unchanged = known and answer.status_code == UNCHANGED
                if unchanged or not answer.is_redirect:
                    if not unchanged:
                        _refuse(answer, url, hidden=self.headers.values())
                    yield answer
                    return
                url = urljoin(url, answer.headers.get("location", ""))
        raise NetvladError(f"redirects more than {HOPS} times", path=url)


def refuse_private(url: str) -> None:
    """Raise NetvladError for an address that is no web address, or within this machine or a private network."""
    address = urlsplit(url)
    if address.scheme not in ("http", "https") or not address.hostname:
        raise NetvladError("is no web address, and the server leads there", path=url)
    try:
        found = {str(info[4][0]) for info in socket.getaddrinfo(address.hostname, None)}
    except OSError as e:
        if urllib.request.getproxies():  # which looks names up itself
            return
        raise _Again(f"the name {address.hostname} is not found ({e})") from None
    for ip in found:
        if not ipaddress.ip_address(ip.partition("%")[0]).is_global:
            raise NetvladError(f"leads to {ip}, which is no public address: refused", path=url)


def _origin(url: str) -> tuple[str, str | None, int | None]:
    address = urlsplit(url)
    return address.scheme, address.hostname, address.port


def _refuse(answer: httpx2.Response, url: str, hidden: Iterable[str]) -> None:
    """Raise for a status other than success. hidden: what is not to be told, though the server repeats it."""
    status = answer.status_code
    if status == 200:
        return
    if status in BUSY:
        raise _Again(f"the server says {status}", _retry_after(answer.headers.get("retry-after", "")))
    said = b"".join(_bounded(answer, ANSWER, url)).decode("utf-8", "replace")
    for secret in (word for value in hidden for word in value.split()):
        said = said.replace(secret, "...")
    if status in (404, 410):
        raise Gone(status, "there is no such thing", url)
    raise Refused(status, said[:300], url)


def _retry_after(text: str) -> float | None:
    """Seconds, from a number of them or a date; None for neither."""
    if text.strip().isdigit():
        return float(text)
    try:
        return max(0.0, email.utils.parsedate_to_datetime(text).timestamp() - time.time())
    except (TypeError, ValueError):
        return None


def _bounded(answer: httpx2.Response, most: int, url: str) -> Iterator[bytes]:
    """The blocks of an answer. Raises NetvladError once there are more than `most` bytes."""
    size = 0
    for block in answer.iter_bytes(1 << 16):
        size += len(block)
        if size > most:
            raise NetvladError(f"sends more than {most / 1e6:,.0f} MB", path=url)
        yield block
