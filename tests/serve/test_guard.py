"""The security checklist of docs/serve.md, as far as it is about who asks."""

from __future__ import annotations

import hmac
import itertools
import time

import pytest

from fixtures.uploads import jpeg, sent
from netvlad.serve.guard import Guard

TOKEN = "a-token-of-some-length"


def test_other_names_of_this_machine_are_refused(client):
    for host in ("attacker.example", "127.0.0.1.attacker.example", "192.168.1.5:8000", ""):
        response = client.get("/v1/index", headers={"host": host})
        assert response.status_code == 421, host
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000"):
        assert client.get("/v1/index", headers={"host": host}).status_code == 200, host


def test_pages_of_other_sites_are_refused(client):
    for headers in (
        {"origin": "https://attacker.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"sec-fetch-site": "cross-site"},
    ):
        assert client.post("/v1/locate", files=sent(jpeg()), headers=headers).status_code == 403
    own = {"origin": "http://127.0.0.1", "sec-fetch-site": "same-origin"}
    answered = client.post("/v1/locate", files=sent(jpeg()), headers=own)
    assert answered.status_code == 200
    assert not [name for name in answered.headers if name.startswith("access-control")]
    assert client.options("/v1/locate", headers={"origin": "https://a.example"}).status_code == 403


def test_without_the_token_only_the_page_and_health_are_there(service):
    running = service(token=TOKEN)
    for path in ("/", "/page/leaflet.js", "/page/config.json", "/healthz", "/readyz"):
        assert running.get(path).status_code == 200, path
    for path in ("/v1/index", "/metrics", "/openapi.json", "/v1/photos/0000000000000000/thumbnail", "/none"):
        response = running.get(path)
        assert response.status_code == 401, path
        assert response.headers["www-authenticate"] == "Bearer"
    for given in ("", "Bearer", "Bearer x", f"Basic {TOKEN}", f"Bearer {TOKEN}x", "Bearer é"):
        assert running.get("/v1/index", headers={"authorization": given.encode()}).status_code == 401, given
    assert running.get("/v1/index", headers={"authorization": f"Bearer {TOKEN}"}).status_code == 200
    elsewhere = {"authorization": f"Bearer {TOKEN}", "host": "photos.example"}
    assert running.get("/v1/index", headers=elsewhere).status_code == 200


def test_the_token_is_compared_in_constant_time(service, monkeypatch):
    compared = []
    real = hmac.compare_digest
    monkeypatch.setattr("netvlad.serve.guard.hmac.compare_digest", lambda a, b: compared.append(a) or real(a, b))
    service(token=TOKEN).get("/v1/index", headers={"authorization": "Bearer nearly"})
    assert compared == [b"nearly"]


def test_what_browsers_are_told(client):
    for path in ("/", "/v1/index", "/none", "/page/app.js"):
        headers = client.get(path).headers
        policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
        assert policy["default-src"] == "'none'"
        assert policy["script-src"] == policy["connect-src"] == "'self'"
        assert policy["frame-ancestors"] == policy["base-uri"] == "'none'"
        assert headers["x-content-type-options"] == "nosniff"
        assert "unsafe" not in headers["content-security-policy"]


def test_the_policy_names_the_tiles_and_nothing_else(service):
    assert (
        "img-src 'self' blob: data: https://tile.openstreetmap.org;"
        in (service(tiles="osm").get("/").headers["content-security-policy"])
    )


class Endless:
    """A body that never ends."""

    def __init__(self) -> None:
        self.received = 0

    async def __call__(self):
        import anyio

        self.received += 1
        await anyio.sleep(0.001)
        return {"type": "http.request", "body": b"x" * 1000, "more_body": True}


def test_the_rest_of_a_refused_body_is_read_for_a_while_only(monkeypatch):
    import anyio

    monkeypatch.setattr("netvlad.serve.guard.DISCARDING", 0.1)
    messages, body, start = [], Endless(), time.monotonic()

    async def send(message) -> None:
        messages.append(message)

    scope = {"type": "http", "path": "/v1/locate", "method": "POST", "headers": [(b"host", b"attacker.example")]}
    anyio.run(Guard(None, "", "", lambda route, status: None), scope, body, send)
    assert time.monotonic() - start < 2
    assert body.received > 1
    assert [m["status"] for m in messages if m["type"] == "http.response.start"] == [421]


@pytest.mark.parametrize(
    ("path", "method"), [*itertools.product(["/v1/locate", "/v1/index"], ["PUT", "DELETE", "TRACE"])]
)
def test_other_methods(client, path, method):
    assert client.request(method, path).status_code == 405
