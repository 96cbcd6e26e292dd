"""Make the package data of the default model from a town's fixed cameras.

netvlad town cameras out/cameras
python tools/default_model.py out/cameras/places.csv src/netvlad/describe/packaged
"""

from __future__ import annotations

import argparse
from pathlib import Path

from netvlad import read_places
from netvlad.describe.default import LOCAL, POOLING
from netvlad.describe.fixed_cameras import fit_local
from netvlad.describe.names import DEFAULT_BACKBONE as BACKBONE
from netvlad.describe.wccn import WCCN
from netvlad.pretrained.zoo import load
from netvlad.runtime.artifacts import write_in_place


def main() -> None:
    """Fit the normalisation of local descriptors, and write it with its card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cameras", type=Path, help="table with the columns path and place, a camera in place")
    parser.add_argument("out", type=Path)
    given = parser.parse_args()
    places = read_places(given.cameras)
    model = load(f"{BACKBONE}-{POOLING}")
    local = fit_local(model, places.path.tolist(), places.place.tolist()).local  # type: ignore[arg-type]
    assert isinstance(local, WCCN)
    facts = {
        "architecture": {"trunk": BACKBONE, "within": len(local.gains)},
        "fitted_on": {
            "photos": len(places),
            "cameras": len(set(places.place.tolist())),
            "source": "fixed cameras of a drawn town in every light, weather and season (netvlad town cameras)",
        },
        "weights": model.provenance,  # type: ignore[attr-defined]
        "licence": "MIT",
    }
    arrays = {key: tensor.numpy() for key, tensor in local.state_dict().items()}
    print(f"wrote {write_in_place(given.out, arrays, kind=LOCAL, facts=facts)}")


if __name__ == "__main__":
    main()
