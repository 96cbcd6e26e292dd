"""Requests a second and latency of `netvlad serve` at 1, 8 and 64 clients, beside the bare forward pass.

    python benchmarks/bench_serve.py --photos 10000 --seconds 30
    python benchmarks/bench_serve.py --photos 1000000 --clients 64 --seconds 600    # ten minutes at saturation
    python benchmarks/bench_serve.py --photos 1000000 --real real.npz               # vectors as those of real photos

One photo a request, 640x480; server, its workers and the clients share the cores of this machine. A client that is told
to come again waits as long as it is told. Memory is that of the server's processes without the files that they map.
real.npz: descriptors of real photos, see scale_vectors.py; without it, made-up vectors have no neighbours.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from scale_vectors import Drawn

BATCH, PORT, DRAWN = 50_000, 8217, 64


def drawn(seed: int) -> bytes:
    """A photo of 640x480, as busy as real ones."""
    rng = np.random.default_rng(seed)
    layers = [rng.integers(0, 256, (480 // s, 640 // s, 3), dtype=np.uint8) for s in (80, 20, 5)]
    scaled = [np.asarray(Image.fromarray(x).resize((640, 480), Image.Resampling.BICUBIC), np.float32) for x in layers]
    out = io.BytesIO()
    Image.fromarray(np.mean(scaled, axis=0).astype(np.uint8)).save(out, "JPEG", quality=90)
    return out.getvalue()


def build(folder: Path, photos: list[bytes], rows: int, model: str, real: Path | None) -> Path:
    """A map of the drawn photos, and of `rows` made-up vectors."""
    import netvlad
    from netvlad.maps.stamps import FileStamp
    from netvlad.places import Places

    (folder / "photos").mkdir()
    paths = [str(folder / "photos" / f"{i}.jpg") for i in range(len(photos))]
    for path, photo in zip(paths, photos, strict=True):
        Path(path).write_bytes(photo)
    rng = np.random.default_rng(0)
    as_real = Drawn(real).draw if real else None

    def vectors(first: int, n: int) -> np.ndarray:
        if as_real:
            return as_real(first, n)
        x = rng.standard_normal((n, index.dim), dtype=np.float32)
        return x / np.linalg.norm(x, axis=1, keepdims=True)

    def spots(paths: list[str]) -> Places:
        n = len(paths)
        return Places.build(path=paths, lat=rng.uniform(48, 48.3, n), lon=rng.uniform(2.2, 2.5, n))

    index = netvlad.PlaceIndex.create(folder / "made.vpr", netvlad.load(model))
    index.add(spots(paths))
    for first in range(0, rows, BATCH):
        n = min(BATCH, rows - first)
        digests = [i.to_bytes(16, "big") for i in range(first, first + n)]
        made = spots([f"/made/{i}.jpg" for i in range(first, first + n)])
        index.store.append(made, [FileStamp(0, 0)] * n, digests, vectors(first, n))
    return index.folder


def bare(folder: Path, photos: list[bytes], seconds: float) -> float:
    """Photos a second of the forward pass alone, in batches of 16, decoded before."""
    from netvlad.images import read_image
    from netvlad.maps.index import PlaceIndex

    model = PlaceIndex.open(folder).model
    images = [read_image(photo, resize=model.resize) for photo in photos[:16]]
    model.describe(images)
    done, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        model.describe(images)
        done += len(images)
    return done / (time.perf_counter() - start)


async def load(photos: list[bytes], clients: int, seconds: float, server: int) -> dict[str, Any]:
    """Ask from so many clients, each with its next photo as soon as it has an answer."""
    import httpx2

    took: list[float] = []
    bad: Counter[int] = Counter()
    until = time.perf_counter() + seconds

    async def ask(client: httpx2.AsyncClient, seed: int) -> None:
        while (start := time.perf_counter()) < until:
            seed += 1
            photo = photos[seed % len(photos)]
            answer = await client.post("/v1/locate", files={"photo": ("q.jpg", photo, "image/jpeg")})
            if answer.status_code == 200:
                took.append(time.perf_counter() - start)
                continue
            bad[answer.status_code] += 1
            await asyncio.sleep(min(float(answer.headers.get("retry-after", 0)), max(0, until - time.perf_counter())))

    limits = httpx2.Limits(max_connections=None)
    url = f"http://127.0.0.1:{PORT}"
    async with httpx2.AsyncClient(base_url=url, timeout=120, limits=limits, trust_env=False) as client:
        start = time.perf_counter()
        asking = asyncio.gather(*(ask(client, 7 * i) for i in range(clients)))
        await asyncio.sleep(seconds / 2)
        half = memory(server)
        await asking
        total = time.perf_counter() - start
    ordered = sorted(took)
    return {
        "half": half,
        "per_second": len(took) / total,
        "median": statistics.median(ordered),
        "p99": ordered[int(0.99 * (len(ordered) - 1))],
        "refused": ", ".join(f"{n} with {status}" for status, n in sorted(bad.items())) or "none",
    }


def memory(pid: int) -> float:
    """Resident MiB of a process and its children, mapped files left out."""
    pids, found = [pid], 0.0
    while pids:
        one = pids.pop()
        try:
            status = Path(f"/proc/{one}/status").read_text()
            found += int(status.partition("RssAnon:")[2].split()[0]) / 1024
            for task in Path(f"/proc/{one}/task").iterdir():
                pids += [int(child) for child in (task / "children").read_text().split()]
        except (OSError, IndexError):
            continue
    return found


def started(folder: Path) -> subprocess.Popen[bytes]:
    """A server that is ready."""
    import httpx2

    command = [sys.executable, "-m", "netvlad", "serve", str(folder), "--port", str(PORT), "--tiles", "none"]
    server = subprocess.Popen(command)
    for _ in range(1200):
        time.sleep(0.25)
        if server.poll() is not None:
            sys.exit("the server ended")
        try:
            if httpx2.get(f"http://127.0.0.1:{PORT}/readyz", trust_env=False).status_code == 200:
                return server
        except httpx2.HTTPError:
            continue
    sys.exit("the server did not start")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=int, default=10_000, help="rows of the map")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 8, 64])
    parser.add_argument("--seconds", type=float, default=20, help="of each measurement")
    parser.add_argument("--model", default="default")
    parser.add_argument("--real", type=Path, help="descriptors of real photos")
    chosen = parser.parse_args()
    photos = [drawn(i) for i in range(DRAWN)]
    with tempfile.TemporaryDirectory() as made:
        folder = build(Path(made), photos, chosen.photos, chosen.model, chosen.real)
        before = bare(folder, photos, min(20, chosen.seconds))
        print(f"{chosen.photos:,} photos, {os.cpu_count()} cores; bare forward pass {before:.1f} photos/s", flush=True)
        start = time.perf_counter()
        one = [sys.executable, "-m", "netvlad", "locate", f"{made}/photos/0.jpg", "--index", str(folder)]
        subprocess.run(one, check=True, stdout=subprocess.DEVNULL)
        print(f"a process of `netvlad locate` for one photo: {time.perf_counter() - start:.1f} s", flush=True)
        server = started(folder)
        try:
            print(f"server: {memory(server.pid):,.0f} MiB with its workers", flush=True)
            for clients in chosen.clients:
                found = asyncio.run(load(photos, clients, chosen.seconds, server.pid))
                print(
                    f"{clients:3} clients: {found['per_second']:.1f} requests/s, "
                    f"median {1e3 * found['median']:.0f} ms, 99 % {1e3 * found['p99']:.0f} ms, "
                    f"refused {found['refused']}, "
                    f"{found['half']:,.0f} MiB half way, {memory(server.pid):,.0f} MiB at the end",
                    flush=True,
                )
        finally:
            server.send_signal(signal.SIGTERM)
            server.wait(60)
        after = bare(folder, photos, min(20, chosen.seconds))
        print(f"bare forward pass afterwards {after:.1f} photos/s")


if __name__ == "__main__":
    main()
