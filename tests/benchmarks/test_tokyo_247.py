from __future__ import annotations

import numpy as np
import pytest

from netvlad.benchmarks import benchmark
from netvlad.benchmarks.tokyo_247 import CUT_OUTS, _places
from netvlad.errors import PlacesError
from netvlad.places import radius_neighbors

PANORAMAS = ["03814/381418.23_3946450.43/Ro5QyM_8S1ZnuWoqXIYs1A", "03815/381500.00_3946450.43/aaaaaaaaaaaaaaaaaaaaaa"]
DATABASE = [f"{name}_012_{30 * i}.jpg" for name in PANORAMAS for i in range(CUT_OUTS)]
QUERIES = [f"{number:05d}.jpg" for number in range(10, 15)]


@pytest.fixture
def tree(tmp_path, touch, write_struct):
    def make(images="images/", suffix=".png", queries="query/", database=DATABASE):
        touch(tmp_path, *(images + name[:-4] + suffix for name in database), *(queries + name for name in QUERIES))
        easting = np.repeat([381418.23, 381500.0], CUT_OUTS)[: len(database)]
        fields = {
            "dbImageFns": database,
            "utmDb": np.stack([easting, np.full(len(database), 3946450.43)]),
            "qImageFns": QUERIES,
            "utmQ": np.array([[381420.0] * 5, [3946450.0] * 5]),
        }
        write_struct(tmp_path / "datasets" / "tokyo247.mat", "5", fields)
        return tmp_path

    return make


@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"images": "", "suffix": ".jpg"},
        {"images": "tokyo247/", "queries": "247query_subset_v2/"},
        {"images": "database_gsv_vga/", "queries": "247query_v3/"},
        {"images": "raw/tokyo247/images/", "queries": "raw/tokyo247/query/"},  # OpenIBL
    ],
)
def test_the_authors_layout(tree, layout):
    root = tree(**layout)
    split = benchmark("tokyo247").read(root)
    first = layout.get("images", "images/") + DATABASE[0][:-4] + layout.get("suffix", ".png")
    assert split.database.path[0] == str(root / first)
    assert split.database.panorama.tolist() == ["00000"] * 12 + ["00001"] * 12
    assert split.condition.tolist() == ["day", "sunset", "night", "day", "sunset"]
    assert split.database.lat[0] == pytest.approx(35.6544, abs=1e-3)
    assert split.database.lon[0] == pytest.approx(139.69, abs=1e-2)
    assert np.diff(radius_neighbors(split.queries, split.database, 25.0).offsets).tolist() == [12] * 5


def test_cut_outs_that_are_missing_from_the_struct(tree):
    (line,) = benchmark("tokyo247").check(tree(database=DATABASE[:-1]))
    assert "23 database photos are no multiple of 12 cut-outs" in line


def test_photos_elsewhere(tree):
    root = tree(queries="elsewhere/")
    (line,) = benchmark("tokyo247").check(root)
    assert line.startswith("none of the 5 query photos is there: 00010.jpg was looked for in ")
    for folder in ("query", "247query_subset_v2", "247query_v3"):
        assert str(root / folder) in line


def test_the_downloaders_layout(tmp_path, touch):
    def name(panorama: str) -> str:
        return f"@0381904.46@3946329.36@54@S@035.65375@0139.69540@{panorama}@@@@@@@@.jpg"

    touch(tmp_path, f"images/test/database/{name('Ro5QyM_8S1ZnuWoqXIYs1A')}")
    touch(tmp_path, *(f"images/test/queries/{name(f'{n:05d}.jpg')}" for n in (399, 400, 401)))
    split = benchmark("tokyo247").read(tmp_path)
    assert split.condition.tolist() == ["night", "day", "sunset"]
    assert split.database.panorama.tolist() == ["Ro5QyM_8S1ZnuWoqXIYs1A"]
    touch(tmp_path, f"images/test/queries/{name('')}")
    with pytest.raises(PlacesError, match=r"1 queries .* do not state their number"):
        benchmark("tokyo247").read(tmp_path)


def test_real_positions_give_the_positives_of_the_plane(protocols):
    truth = np.load(protocols / "tokyo247.npz")
    queries, database = truth["utmQ"], truth["utmDb"]
    known = benchmark("tokyo247")
    assert (len(database), len(queries)) == (known.database, known.queries)
    asked = _places([f"/q/{i}.jpg" for i in range(len(queries))], queries)
    near = radius_neighbors(
        asked, _places([f"/d/{i}.jpg" for i in range(len(database))], database), float(truth["posDistThr"])
    )
    for i, place in enumerate(queries):
        wanted = np.flatnonzero(((database - place) ** 2).sum(axis=1) <= truth["posDistThr"] ** 2)
        np.testing.assert_array_equal(np.sort(near.of(i)[0]), wanted)
    cut_outs = database.reshape(-1, CUT_OUTS, 2)
    assert (cut_outs == cut_outs[:, :1]).all()  # twelve in a row are of one panorama


def test_real_query_numbers_tell_the_same_condition_as_their_order(protocols):
    names = (protocols / "tokyo247_imageNames_query.txt").read_text().split()
    numbers = np.array([int(name.rpartition("/")[2].removesuffix(".jpg")) for name in names])
    np.testing.assert_array_equal(numbers % 3, np.arange(1, len(names) + 1) % 3)
