"""The service behind a real socket: slow senders, many connections, the end."""

from __future__ import annotations

import json
import signal
import socket
import time
from urllib.request import urlopen

import pytest

from fixtures.uploads import jpeg, running
from netvlad.serve.run import run


@pytest.fixture(scope="module")
def port(opened):
    with running(opened, deadline=1.0) as (number, _):
        yield number


def form(photo: bytes) -> bytes:
    head = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'
    return head + photo + b"\r\n--x--\r\n"


def post(body: bytes, length: int | None = None) -> bytes:
    head = "POST /v1/locate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: multipart/form-data; boundary=x\r\n"
    return f"{head}Content-Length: {len(body) if length is None else length}\r\n\r\n".encode() + body


def received(connection: socket.socket) -> tuple[int, dict]:
    """Status and body of one answer."""
    data = b""
    while b"\r\n\r\n" not in data:
        part = connection.recv(65536)
        if not part:
            raise ConnectionError("closed without an answer")
        data += part
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))[15:])
    while len(body) < length:
        body += connection.recv(65536)
    return int(head.split()[1]), json.loads(body)


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=10)


def test_a_body_that_stops_half_way_is_refused_at_the_deadline(port):
    body = form(jpeg())
    with connect(port) as half:
        half.sendall(post(body[:-200], len(body)))
        start = time.monotonic()
        status, problem = received(half)
    assert status == 504
    assert "sending" in problem["detail"]
    assert 0.5 < time.monotonic() - start < 5


def test_who_leaves_half_way_holds_nothing(port):
    for _ in range(20):  # more than the queue takes
        with connect(port) as gone:
            gone.sendall(post(b"--x\r\n", 1000))
    time.sleep(0.2)
    with connect(port) as next_one:
        next_one.sendall(post(form(jpeg())))
        assert received(next_one)[0] == 200


def test_a_large_body_is_refused_with_words(port):
    with connect(port) as large:
        large.sendall(post(form(bytes(3 << 20))))
        status, problem = received(large)
    assert status == 413
    assert "MB" in problem["detail"]


def test_a_head_that_does_not_end_is_given_up(opened, monkeypatch):
    monkeypatch.setattr("netvlad.serve.run.HEADERS", 0.3)
    with running(opened) as (number, _), connect(number) as silent, connect(number) as half, connect(number) as second:
        half.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0")
        second.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        assert received(second)[0] == 200
        second.sendall(b"GET /healthz HTTP/1.1\r\nX: ")
        for connection in (silent, half, second):
            assert connection.recv(100) == b""  # closed


def test_many_connections_at_once(port):
    """Each is answered, or refused with a time to come again; the server goes on."""
    many = [connect(port) for _ in range(100)]
    try:
        for connection in many:
            connection.sendall(post(form(jpeg())))
        statuses = [received(connection)[0] for connection in many]
    finally:
        for connection in many:
            connection.close()
    assert set(statuses) <= {200, 503}
    assert statuses.count(200) >= 8
    assert urlopen(f"http://127.0.0.1:{port}/healthz").status == 200


def test_what_was_taken_is_finished_at_the_end(opened, monkeypatch):
    model = opened["town"].model
    describe = type(model).describe

    def slowly(self, images):
        time.sleep(0.6)
        return describe(self, images)

    monkeypatch.setattr(type(model), "describe", slowly)
    with running(opened) as (number, server), connect(number) as asked:
        asked.sendall(post(form(jpeg())))
        time.sleep(0.2)
        server.should_exit = True
        assert received(asked)[0] == 200
        with pytest.raises(OSError):
            received(connect(number))


def test_an_orderly_end_is_no_interruption(monkeypatch):
    before = signal.getsignal(signal.SIGTERM)

    def ends(self) -> None:
        signal.raise_signal(signal.SIGINT)  # as uvicorn does

    monkeypatch.setattr("uvicorn.Server.run", ends)
    run(None, "127.0.0.1", 8000, grace=1)
    assert signal.getsignal(signal.SIGTERM) is before
