"""Index photos whose places are known, then locate a photo taken nearby."""

import tempfile
from pathlib import Path

import netvlad
from netvlad.town.build import build_town

with tempfile.TemporaryDirectory() as folder:
    town = build_town(Path("out/examples/town"), size="tiny")  # drawn once, then reused
    database = netvlad.read_places(town / "test" / "database")
    queries = netvlad.read_places(town / "test" / "queries")

    model = netvlad.load("densevlad", clusters=16, resize=96)  # needs no weights; "resnet18-netvlad" is better
    index = netvlad.PlaceIndex.create(Path(folder) / "town.vpr", model)
    index.add(database)  # fits the cluster centres first

    where = index.locate(queries.path[0])
    print(f"{where.lat:.5f} {where.lon:.5f} within {where.radius:.0f} m, confidence {where.confidence:.2f}")
    for match in list(where)[:3]:
        print(f"  {Path(match.path).name} at distance {match.distance:.2f}")
