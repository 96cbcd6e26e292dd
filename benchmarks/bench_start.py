"""How long a person waits: `netvlad --help`, and `netvlad locate` of one photo in a fresh process."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import netvlad
from common import campus


def seconds(*arguments: str, rounds: int = 5) -> float:
    command = [sys.executable, "-m", "netvlad.cli.main", *arguments]
    times = []
    for _ in range(rounds + 1):
        start = time.perf_counter()
        subprocess.run(command, check=True, capture_output=True)
        times.append(time.perf_counter() - start)
    return statistics.median(times[1:])


def main() -> None:
    places = netvlad.read_places(campus() / "east_day.csv")
    with tempfile.TemporaryDirectory() as folder:
        index = netvlad.PlaceIndex.create(Path(folder) / "x.vpr", netvlad.load("resnet18-netvlad"))
        index.add(places)
        print(f"netvlad --help                        {seconds('--help'):5.2f} s")
        import_torch = [sys.executable, "-c", "import torch, timm"]
        start = time.perf_counter()
        subprocess.run(import_torch, check=True)
        print(f"import torch, timm (for comparison)   {time.perf_counter() - start:5.2f} s")
        located = seconds("locate", places.path[0], "--index", str(index.folder))
        print(f"netvlad locate, one photo             {located:5.2f} s")


if __name__ == "__main__":
    main()
