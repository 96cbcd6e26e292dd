"""Seconds of a core and memory for a hundred thousand pictures: boxes, answers as JSON, thinning, and their table.

    python benchmarks/bench_imagery.py [--pictures 100000]

The service is a stand-in within the process, with the fields of a Panoramax server and answers of a thousand, so that
what is measured is this program and no network.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
from pathlib import Path

import numpy as np

from common import peak_mib
from netvlad.imagery.area import Area, Box
from netvlad.imagery.fetched import read_fetched, write_fetched
from netvlad.imagery.fetching import find
from netvlad.imagery.panoramax import Panoramax
from netvlad.imagery.web import Web
from netvlad.maps.where import Where

WEST, SOUTH, EAST, NORTH = 2.30, 48.83, 2.38, 48.89  # about 6 km x 6 km


class Made(Panoramax):
    """A service of pictures along streets: runs of a car at 3 m, each with its own day."""

    def __init__(self, web: Web, pictures: int) -> None:
        super().__init__(web)
        rng = np.random.default_rng(0)
        runs = pictures // 500
        start, turn = rng.uniform((WEST, SOUTH), (EAST, NORTH), (runs, 2)), rng.uniform(0, 2 * np.pi, runs)
        along = np.arange(500)[:, None, None] * np.stack([np.sin(turn) / 73_000, np.cos(turn) / 111_200], 1) * 3
        self.at, self.asked = np.clip(start + along, (WEST, SOUTH), (EAST, NORTH)).reshape(-1, 2), 0
        self.day = np.tile(np.datetime64("2015-01-01") + rng.integers(0, 3000, runs), 500)

    def ask(self, box: Box) -> list[dict]:
        self.asked += 1
        inside = (self.at >= (box[0], box[1])).all(axis=1) & (self.at <= (box[2], box[3])).all(axis=1)
        return json.loads(json.dumps([self._item(int(row)) for row in np.flatnonzero(inside)[: self.most]]))

    def _item(self, row: int) -> dict:
        facts = {
            "datetime": f"{self.day[row]}T10:00:00+00:00",
            "license": "CC-BY-SA-4.0",
            "view:azimuth": row % 360,
            "pers:interior_orientation": {"field_of_view": 360},
            "geovisio:producer": f"person {row % 50}",
        }
        address = f"{self.web.service}/api/pictures/{row}/sd.jpg"
        spot = {"type": "Point", "coordinates": self.at[row].tolist()}
        return {"id": f"{row:08d}", "geometry": spot, "properties": facts, "assets": {"sd": {"href": address}}}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=100_000)
    given = parser.parse_args()
    area = Area(Where(bbox=(WEST, SOUTH, EAST, NORTH)))
    with tempfile.TemporaryDirectory() as folder, Web("http://127.0.0.1:9") as web:
        service = Made(web, given.pictures)
        web.size = lambda url: 400_000
        before, start = peak_mib(), time.process_time()
        found = find(service, area, Path(folder))
        seconds = time.process_time() - start
        print(f"{len(found.pictures)} pictures and {found.thinned} alike in {service.asked} answers: {seconds:.1f} s")
        start = time.process_time()
        write_fetched(Path(folder), found.pictures)
        print(f"table and CREDITS written: {time.process_time() - start:.1f} s")
        start = time.process_time()
        assert len(read_fetched(Path(folder))) == len(found.pictures)
        print(f"table read: {time.process_time() - start:.1f} s; memory of all that: {peak_mib() - before:.0f} MiB")


if __name__ == "__main__":
    main()
