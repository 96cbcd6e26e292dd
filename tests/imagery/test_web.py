from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from netvlad.errors import NetvladError
from netvlad.imagery import web as module
from netvlad.imagery.web import Gone, Web, refuse_private


@pytest.fixture
def web(panoramax):
    panoramax.add("a")
    with Web(panoramax.url, pause=0.01) as opened:
        yield opened


def address(server, name="a"):
    return f"{server.url}/api/pictures/{name}/sd.jpg"


@pytest.mark.parametrize("fault", [503, 429, "cut", "short"])
def test_a_fault_that_passes_costs_no_picture(panoramax, web, tmp_path, fault):
    panoramax.faults["/api/pictures"] = [fault, fault]
    web.fetch(address(panoramax), tmp_path / "a.jpg")
    assert (tmp_path / "a.jpg").read_bytes() == panoramax.files["a"]


@pytest.mark.parametrize("fault", [503, "cut", "short"])
def test_a_fault_that_stays_leaves_no_file(panoramax, web, tmp_path, fault):
    panoramax.faults["/api/pictures"] = [fault] * 20
    web.pause = 0.0
    with pytest.raises(NetvladError):
        web.fetch(address(panoramax), tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())


def test_the_wait_that_a_server_asks_for_is_kept_by_all(panoramax, web, tmp_path):
    panoramax.faults["/api/pictures"] = [(429, {"Retry-After": "1"})]
    start = time.monotonic()
    web.fetch(address(panoramax), tmp_path / "a.jpg")
    assert time.monotonic() - start >= 1


def test_a_slow_answer_is_asked_for_again(panoramax, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "TIMEOUT", 0.1)
    panoramax.add("a")
    panoramax.faults["/api/pictures"] = ["slow"]
    with Web(panoramax.url, pause=0.01) as web:
        web.fetch(address(panoramax), tmp_path / "a.jpg")
    assert panoramax.fetched["a"] == 2


def test_what_is_gone_is_told_apart_and_not_asked_again(panoramax, web, tmp_path):
    with pytest.raises(Gone):
        web.fetch(address(panoramax, "b"), tmp_path / "b.jpg")
    assert len(panoramax.asked) == 1


def test_no_more_than_two_requests_are_in_flight(panoramax, web, tmp_path):
    panoramax.faults["/api/pictures"] = ["slow"] * 4
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda i: web.fetch(address(panoramax), tmp_path / f"{i}.jpg"), range(4)))
    assert panoramax.most_flying == 2


def test_requests_say_who_asks(panoramax, web, tmp_path):
    web.fetch(address(panoramax), tmp_path / "a.jpg")
    assert panoramax.asked[0][2]["User-Agent"].startswith("netvlad/")


@pytest.mark.parametrize(
    "url",
    ["http://127.0.0.1:1/x", "http://10.1.2.3/x", "http://169.254.169.254/latest", "http://[::1]/x"]
    + ["file:///etc/passwd", "http://localhost:22/", "ftp://example.org/x"],
)
def test_private_addresses_are_refused(panoramax, web, tmp_path, url):
    with pytest.raises(NetvladError):
        refuse_private(url)
    panoramax.faults["/api/pictures"] = [(302, {"Location": url})]
    with pytest.raises(NetvladError):
        web.fetch(address(panoramax), tmp_path / "a.jpg")
    assert not list(tmp_path.iterdir())


def test_redirects_within_the_service_are_followed_but_not_for_ever(panoramax, web, tmp_path):
    panoramax.add("b")
    panoramax.faults["/api/pictures/a"] = [(302, {"Location": "/api/pictures/b/sd.jpg"})]
    web.fetch(address(panoramax), tmp_path / "a.jpg")
    assert panoramax.fetched["b"] == 1
    panoramax.faults["/api/pictures"] = [(302, {"Location": "/api/pictures/b/sd.jpg"})] * 20
    with pytest.raises(NetvladError):
        web.fetch(address(panoramax), tmp_path / "c.jpg")


def test_a_state_that_is_known_is_not_fetched(panoramax, web, tmp_path):
    panoramax.names = True
    known = web.fetch(address(panoramax), tmp_path / "a.jpg")
    (tmp_path / "a.jpg").unlink()
    assert known
    assert web.fetch(address(panoramax), tmp_path / "a.jpg", known=known) is None
    assert not list(tmp_path.iterdir())
    assert web.fetch(address(panoramax), tmp_path / "a.jpg", known='"other"') == known


def test_headers_go_to_the_service_alone(panoramax):
    asked = []

    class Client:
        def stream(self, method, url, *, content, headers):
            asked.append((url, headers))
            raise NetvladError("enough")

    with Web(panoramax.url, headers={"Authorization": "secret"}) as web:
        web._client.close()
        web._client = Client()
        web._client.close = lambda: None
        for url in (f"{panoramax.url}/x", "http://93.184.215.14/x"):
            with pytest.raises(NetvladError):
                web.ask(url)
    assert [("Authorization" in headers) for _, headers in asked] == [True, False]


def test_answers_and_files_have_limits(panoramax, web, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "FILE", 100)
    monkeypatch.setattr(module, "ANSWER", 10)
    with pytest.raises(NetvladError):
        web.fetch(address(panoramax), tmp_path / "a.jpg")
    with pytest.raises(NetvladError):
        web.ask(f"{panoramax.url}/api/search", {})
    assert not list(tmp_path.iterdir())


def test_the_size_is_stated_without_a_fetch(panoramax, web):
    assert web.size(address(panoramax)) == len(panoramax.files["a"])
    assert web.size(address(panoramax, "none")) == 0
    assert not panoramax.fetched


@pytest.mark.parametrize("service", ["panoramax.xyz", "ftp://panoramax.xyz", "http://"])
def test_an_address_that_is_none_is_refused(service):
    with pytest.raises(NetvladError):
        Web(service)
