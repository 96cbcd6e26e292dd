from __future__ import annotations

import hashlib
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from netvlad.errors import NetvladError
from netvlad.runtime import download as module
from netvlad.runtime.download import cache_folder, download

DATA = np.random.default_rng(0).bytes(700_001)
DIGEST = hashlib.sha256(DATA).hexdigest()


class Server(ThreadingHTTPServer):
    """Serves `data` under any path; breaks: of each answer, after how many bytes the connection is cut."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.data, self.etag, self.ranges, self.status = DATA, '"a"', True, 200
        self.breaks: list[int] = []
        self.asked: list[str | None] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/model.pth"


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *args):
        pass

    def do_GET(self):
        server, span = self.server, self.headers.get("Range")
        server.asked.append(span)
        if server.status != 200:
            self.send_error(server.status)
            return
        start = 0
        if span and server.ranges and self.headers.get("If-Range") in (None, server.etag):
            start = int(span.removeprefix("bytes=").rstrip("-"))
            if start >= len(server.data):
                self.send_error(416)
                return
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(server.data) - 1}/{len(server.data)}")
        else:
            self.send_response(200)
        body = server.data[start:]
        self.send_header("Content-Length", str(len(body)))
        if server.etag:
            self.send_header("ETag", server.etag)
        self.end_headers()
        self.wfile.write(body[: server.breaks.pop(0)] if server.breaks else body)
        self.close_connection = True


@pytest.fixture
def server():
    server = Server()
    threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def fetch(server, tmp_path):
    def run(**options) -> Path:
        return download(server.url, tmp_path / "cache" / "model.pth", pause=0, **options)

    return run


def left(file: Path) -> list[str]:
    return sorted(f.name for f in file.parent.iterdir() if f.name != ".lock")


@pytest.mark.parametrize("checksum", [None, DIGEST, DIGEST.upper()])
def test_a_file_comes_once(server, fetch, checksum):
    file = fetch(sha256_hex=checksum)
    assert file.read_bytes() == DATA
    assert left(file) == ["model.pth"]
    fetch(sha256_hex=checksum)
    assert server.asked == [None]


def test_what_broke_off_goes_on_where_it_stopped(server, fetch):
    server.breaks = [300_000, 0, 100_000]
    assert fetch(sha256_hex=DIGEST).read_bytes() == DATA
    assert server.asked == [None, "bytes=300000-", "bytes=300000-", "bytes=400000-"]


def test_another_call_goes_on(server, fetch, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    server.breaks = [300_000, 0]
    with pytest.raises(NetvladError, match=r"model\.pth: broke off after 300000 bytes; the next attempt goes on from"):
        fetch()
    part = tmp_path / "cache" / "model.pth.part"
    assert part.read_bytes() == DATA[:300_000]
    assert not part.with_name("model.pth").exists()
    assert fetch().read_bytes() == DATA
    assert server.asked[-1] == "bytes=300000-"
    assert left(part) == ["model.pth"]


def test_another_file_is_not_glued_to_the_first(server, fetch, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    server.breaks = [300_000, 0]
    with pytest.raises(NetvladError):
        fetch()
    server.data, server.etag = DATA[::-1], '"b"'
    assert fetch().read_bytes() == DATA[::-1]


@pytest.mark.parametrize(("etag", "ranges"), [("", True), ('W/"weak"', True), ('"a"', False)])
def test_a_server_that_cannot_resume_is_asked_for_all(server, fetch, etag, ranges):
    server.etag, server.ranges, server.breaks = etag, ranges, [300_000, 500_000]
    assert fetch(sha256_hex=DIGEST).read_bytes() == DATA


def test_a_part_longer_than_the_file_now(server, fetch, monkeypatch):
    monkeypatch.setattr(module, "ATTEMPTS", 1)
    server.breaks = [300_000, 0]
    with pytest.raises(NetvladError):
        fetch()
    monkeypatch.setattr(module, "ATTEMPTS", 3)
    server.data = DATA[:1000]  # under the same mark, which a server should not do
    assert fetch().read_bytes() == DATA[:1000]


def test_a_wrong_checksum_leaves_nothing(server, fetch, tmp_path):
    with pytest.raises(NetvladError) as error:
        fetch(sha256_hex="0" * 64)
    assert f"came with SHA-256 {DIGEST}, published is {'0' * 64}" in str(error.value)
    assert not (tmp_path / "cache" / "model.pth").exists()
    assert not (tmp_path / "cache" / "model.pth.part").exists()


@pytest.mark.parametrize(("status", "attempts"), [(404, 1), (403, 1), (503, module.ATTEMPTS)])
def test_a_server_that_has_no_such_file(server, fetch, status, attempts):
    server.status = status
    with pytest.raises(NetvladError, match=rf"model\.pth: the server says {status} "):
        fetch()
    assert len(server.asked) == attempts


def test_no_connection(tmp_path):
    with socket.socket() as free:  # a port where nobody listens
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/a"
        with pytest.raises(NetvladError, match=r"/a: .*refused.*; the next attempt goes on from byte 0"):
            download(url, tmp_path / "a", pause=0)


def test_a_name_that_does_not_resolve_is_asked_once(tmp_path, monkeypatch):
    asked = []

    def nothing(*args, **options):
        asked.append(args)
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nothing)
    monkeypatch.setattr("urllib.request.getproxies", dict)
    with pytest.raises(NetvladError, match="Name or service not known"):
        download("http://nowhere.invalid/a", tmp_path / "a", pause=0)
    assert len(asked) == 2  # by the request, and by the question whether another would help


def test_several_that_want_one_file(server, tmp_path):
    file = tmp_path / "model.pth"
    threads = [threading.Thread(target=download, args=(server.url, file)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert file.read_bytes() == DATA
    assert len(server.asked) == 1


def test_progress_in_megabytes(server, fetch, monkeypatch):
    from contextlib import contextmanager

    seen = []

    @contextmanager
    def progress(what, total, unit):
        seen.append((what, total, unit))
        yield seen.append

    monkeypatch.setattr(module, "progress", progress)
    server.data = bytes(3_500_000)
    fetch()
    assert seen[0] == ("model.pth", 3, "MB")
    assert sum(seen[1:]) == 3


@pytest.mark.parametrize(
    ("platform", "variables", "folder"),
    [
        ("linux", {"NETVLAD_CACHE": "/data/cache"}, "/data/cache"),
        ("darwin", {"NETVLAD_CACHE": "~/cache"}, "/home/me/cache"),
        ("linux", {"XDG_CACHE_HOME": "/xdg"}, "/xdg/netvlad"),
        ("linux", {}, "/home/me/.cache/netvlad"),
        ("darwin", {}, "/home/me/Library/Caches/netvlad"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local/netvlad/cache"),
    ],
)
def test_where_the_cache_is(monkeypatch, platform, variables, folder):
    for name in ("NETVLAD_CACHE", "XDG_CACHE_HOME", "LOCALAPPDATA"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert cache_folder() == Path(folder)
