"""Damaged uploads, bodies that stop, many connections: each photo is located or refused with a reason, nothing else.

A silent difference is: an answer to an undamaged photo other than before the attack. To send one server more:

    NETVLAD_SOAK_UPLOADS=10000 NETVLAD_SOAK_CONNECTIONS=1000 make soak ARGS='--replay serving:1'
"""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from soak import maps
from soak.image_damage import damage_image
from soak.image_seeds import write_seeds
from soak.mutate import Rng, damage
from soak.tries import Area, Done, Fault, check_message

UPLOADS = int(os.environ.get("NETVLAD_SOAK_UPLOADS", "200"))
CROWD = int(os.environ.get("NETVLAD_SOAK_CONNECTIONS", "150"))
HALVES = 20
GROWTH = 700 << 20  # bytes that the server may hold beyond what it held at first
HEAD = b'--x\r\nContent-Disposition: form-data; name="photo"; filename="a.jpg"\r\n\r\n'
FORM = {"Content-Type": "multipart/form-data; boundary=x"}


def prepare(base: Path) -> None:
    maps.prepare(base)
    write_seeds(base / "images")


def attempt(base: Path, here: Path, rng: Rng) -> Done:
    seeds = {path.name: path.read_bytes() for path in sorted((base / "images").iterdir())}
    known = (base / "photos-map" / "005_0.jpg").read_bytes()
    bodies = []
    for i in range(UPLOADS):
        _, photo, _ = damage_image(seeds, rng)
        body = HEAD + photo + b"\r\n--x--\r\n"
        bodies.append(damage(body, rng, [body])[0] if i % 8 == 0 else body)  # of some, the form itself
    with _server(base / "map.vpr", here) as (server, port):
        held = _held(server.pid)
        before = _post(port, HEAD + known + b"\r\n--x--\r\n")
        halves = [_half(port, bodies[i]) for i in range(HALVES)]
        with ThreadPoolExecutor(6) as threads:
            ended = list(threads.map(lambda body: _judged(port, body, here), bodies))
        crowd = [socket.create_connection(("127.0.0.1", port), 10) for _ in range(CROWD)]
        after = _post(port, HEAD + known + b"\r\n--x--\r\n")
        for connection in halves + crowd:
            connection.close()
        if after != before or before[0] != 200:
            raise Fault("silent difference", f"{before}\n{after}")
        if (more := _held(server.pid) - held) > GROWTH:
            raise Fault("memory", f"{more / 2**20:.0f} MiB more are held")
    return Done(f"{ended.count(200)} located, {len(ended) - ended.count(200)} refused", len(ended))


@contextmanager
def _server(folder: Path, here: Path) -> Any:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = [
        sys.executable,
        "-m",
        "netvlad",
        "serve",
        str(folder),
        "--port",
        str(port),
        "--workers",
        "2",
        "--tiles",
        "none",
    ]
    with open(here / "server.txt", "wb") as said:
        server = subprocess.Popen(words, stdout=said, stderr=said)
        try:
            for _ in range(600):
                time.sleep(0.1)
                if server.poll() is not None:
                    raise Fault("crash", (here / "server.txt").read_text("utf-8", "replace"))
                try:
                    if _get(port, "/readyz") == 200:
                        break
                except OSError:
                    continue
            yield server, port
            server.send_signal(signal.SIGTERM)
            code = server.wait(45)
        finally:
            if server.poll() is None:
                server.kill()
    told = (here / "server.txt").read_text("utf-8", "replace")
    if code or "Traceback" in told:
        raise Fault("traceback" if "Traceback" in told else "crash", f"exit code {code}\n{told}")


def _get(port: int, path: str) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connection.request("GET", path)
    return connection.getresponse().status


def _post(port: int, body: bytes) -> tuple[int, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.request("POST", "/v1/locate?top=3", body, FORM)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def _judged(port: int, body: bytes, here: Path) -> int:
    """The status of an answer to a damaged upload. Raises Fault for one that a request cannot cause."""
    status, answer = _post(port, body)
    if status == 200:
        if any(("lat" in found) == ("error" in found) for found in answer["answers"]):
            raise Fault("unnamed", str(answer)[:2000])
        return status
    if status not in (400, 413, 415, 422):
        (here / "body").write_bytes(body)
        raise Fault("refused", f"HTTP {status}: {str(answer)[:2000]}")
    check_message(answer["detail"])
    return status


def _half(port: int, body: bytes) -> socket.socket:
    """A connection whose body stops half way."""
    connection = socket.create_connection(("127.0.0.1", port), 10)
    head = f"POST /v1/locate HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: {FORM['Content-Type']}\r\n"
    connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[: len(body) // 2])
    return connection


def _held(pid: int) -> int:
    """Resident bytes of a process."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def _missing() -> str:
    if not Path("/proc/self/statm").exists():
        return "needs /proc, as Linux has it"
    return "" if find_spec("uvicorn") else "needs pip install 'netvlad[serve]'"


AREA = Area("serving", 0.1, prepare, attempt, seconds=1.2 * UPLOADS, needs=_missing)
