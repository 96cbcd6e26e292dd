from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from fixtures.uploads import jpeg, running
from netvlad.errors import NetvladError
from netvlad.maps.index import PlaceIndex
from netvlad.serve.client import locate_at


@pytest.fixture(scope="module")
def server(opened):
    with running(opened) as (port, _):
        yield f"http://127.0.0.1:{port}"


def test_the_command_prints_what_it_prints_of_an_index(netvlad, server, index, town, tmp_path):
    photos = [town / "3.jpg", town / "0.jpg"]
    near = netvlad("locate", *photos, "--index", index, "--top", 2)
    far = netvlad("locate", *photos, "--server", server, "--top", 2)
    assert (far.code, far.err) == (0, "")
    assert far.out.startswith(f"{photos[0]}\n  ")
    assert far.out.replace(f"{town}/", "") == near.out.replace(f"{town}/", "")
    (answer,) = json.loads(netvlad("locate", photos[0], "--server", server, "--json").out)
    want = PlaceIndex.open(index).locate(photos[0]).to_dict()
    assert answer["photo"] == str(photos[0])
    assert {name: answer[name] for name in ("lat", "lon", "radius")} == {n: want[n] for n in ("lat", "lon", "radius")}


def test_more_photos_than_a_request_takes(server, town, monkeypatch):
    monkeypatch.setattr("netvlad.serve.client.PHOTOS", 3)
    paths = [str(town / f"{i % 8}.jpg") for i in range(7)]
    assert [answer["lat"] for answer in locate_at(server, paths)] == pytest.approx([31.26 + 1e-4 * i for i in range(7)])


def test_photos_that_cannot_be_read(netvlad, server, town, tmp_path):
    (tmp_path / "broken.jpg").write_bytes(b"x")
    ran = netvlad("locate", town / "1.jpg", tmp_path / "broken.jpg", tmp_path / "none.jpg", "--server", server)
    assert ran.code == 1
    assert "31.26010" in ran.out
    assert "2 photos could not be read" in ran.err
    assert "no such file" in ran.err


def test_conditions_are_passed_on(netvlad, refused, server, town):
    ran = netvlad("locate", town / "1.jpg", "--server", server, "--near", "31.2607,34.8,5m", "--json")
    assert len(json.loads(ran.out)[0]["matches"]) == 1
    assert "after" in refused("locate", town / "1.jpg", "--server", server, "--after", "soon")
    assert "elsewhere" in refused("locate", town / "1.jpg", "--server", f"{server}/?map=elsewhere")


def test_what_does_not_go_together(netvlad, refused, server, town, index):
    ran = netvlad("locate", town / "1.jpg")
    assert ran.code == 2
    assert "--server" in ran.err
    assert "--rerank" in refused("locate", town / "1.jpg", "--server", server, "--rerank", 3)


def test_a_server_that_is_none(town):
    for address in ("127.0.0.1:8000", "ftp://a", "http://"):
        with pytest.raises(NetvladError, match="no address"):
            locate_at(address, [str(town / "1.jpg")])
    with pytest.raises(NetvladError, match="does not answer"):
        locate_at("http://127.0.0.1:9", [str(town / "1.jpg")])


class Full(BaseHTTPRequestHandler):
    """A server that is full twice, and then answers what is no answer."""

    asked = 0

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        Full.asked += 1
        self.send_response(503 if Full.asked < 3 else 200)
        self.send_header("Retry-After", "0")
        self.end_headers()
        self.wfile.write(b'{"answers": []}')

    def log_message(self, *_) -> None:
        pass


def test_a_full_server_is_asked_again(tmp_path):
    (tmp_path / "a.jpg").write_bytes(jpeg())
    with HTTPServer(("127.0.0.1", 0), Full) as full:
        threading.Thread(target=full.serve_forever, daemon=True).start()
        with pytest.raises(NetvladError, match="refuses"):
            locate_at(f"http://127.0.0.1:{full.server_port}", [str(tmp_path / "a.jpg")])
        full.shutdown()
    assert Full.asked == 3
