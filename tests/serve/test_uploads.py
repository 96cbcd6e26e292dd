from __future__ import annotations

import tempfile

import anyio
import pytest

from fixtures.uploads import jpeg, sent
from netvlad.serve.problems import Refusal
from netvlad.serve.settings import Settings
from netvlad.serve.uploads import announced, read_uploads

SETTINGS = Settings(body=10_000)
BOUNDARY = b"--x\r\n"
PART = b'Content-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'


class Body:
    """A request whose body is `chunks`; counts how many are asked for."""

    def __init__(self, *chunks: bytes, **headers: str) -> None:
        from fastapi import Request

        self.chunks, self.read = chunks, 0
        kind = {"content-type": "multipart/form-data; boundary=x"}
        raw = [(k.replace("_", "-").encode(), v.encode()) for k, v in (kind | headers).items()]
        self.request = Request({"type": "http", "method": "POST", "headers": raw}, self)

    async def __call__(self):
        self.read += 1
        if self.read > len(self.chunks):
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": self.chunks[self.read - 1], "more_body": self.read < len(self.chunks)}


def test_the_limit_is_kept_while_reading():
    body = Body(BOUNDARY + PART, *[b"x" * 1000] * 1000)
    with pytest.raises(Refusal) as refused:
        anyio.run(read_uploads, body.request, SETTINGS)
    assert refused.value.status == 413
    assert body.read < 15


def test_an_announced_size_is_refused_before_reading():
    with pytest.raises(Refusal) as refused:
        announced(Body(content_length="10001").request, SETTINGS)
    assert refused.value.status == 413
    with pytest.raises(Refusal):
        announced(Body(content_length="-1").request, SETTINGS)
    assert announced(Body(content_length="9").request, SETTINGS) == 9
    assert announced(Body().request, SETTINGS) == 10_000


def test_a_body_that_ends_early():
    with pytest.raises(Refusal) as refused:
        anyio.run(read_uploads, Body(BOUNDARY + PART).request, SETTINGS)
    assert refused.value.status in (400, 422)


def test_nothing_is_written_to_the_disk(client, town, tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))  # a temporary file cannot be made
    photo = (town / "0.jpg").read_bytes() + bytes(500_000)  # JPEG ignores what follows
    assert client.post("/v1/locate", files=sent(photo)).status_code == 200


def test_names_are_cut_and_stay_text(client, town):
    photo = (town / "0.jpg").read_bytes()
    for name in ("<img src=x onerror=alert(1)>.jpg", "=cmd|' /C calc'!A0.jpg", "../../etc/passwd", "é" * 500):
        (answer,) = client.post("/v1/locate", files=sent(photo, name=name)).json()["answers"]
        assert answer["photo"] == name[:200]


def test_a_photo_above_the_limit_of_the_server(client):
    response = client.post("/v1/locate", files=sent(jpeg() + bytes(1 << 20)))
    assert response.status_code == 413
    assert "MB" in response.json()["detail"]
