from __future__ import annotations

import numpy as np
import pytest

from netvlad.benchmarks import benchmark
from netvlad.benchmarks.dbstruct import read_struct
from netvlad.errors import PlacesError
from netvlad.places import radius_neighbors

DATABASE = [f"000/00082{i}_pitch{p}_yaw1.jpg" for i in (8, 9) for p in (1, 2)]
QUERIES = ["000/000546_pitch1_yaw1.jpg", "000/000547_pitch1_yaw1.jpg"]


@pytest.fixture
def tree(tmp_path, touch, write_struct):
    """make(version, struct, images, queries): the authors' files, two panoramas 100 m apart, a query at each."""

    def make(version="5", struct="datasets/pitts30k_test.mat", images="images/", queries="queries_real/", which="test"):
        touch(tmp_path, *(images + name for name in DATABASE), *(queries + name for name in QUERIES))
        fields = {
            "whichSet": which,
            "dbImageFns": DATABASE,
            "utmDb": np.array([[585000.0, 585000.0, 585100.0, 585100.0], [4477000.0] * 4]),
            "qImageFns": QUERIES,
            "utmQ": np.array([[585010.0, 585130.0], [4477000.0] * 2]),
        }
        write_struct(tmp_path / struct, version, fields)
        return tmp_path

    return make


@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"version": "7.3"},
        {"struct": "pitts30k_test.mat", "images": "", "queries": "queries/"},  # the archives as they unpack
        {"which": ""},
        {
            "struct": "raw/pitts30k_test.mat",  # OpenIBL
            "images": "raw/Pittsburgh/images/",
            "queries": "raw/Pittsburgh/queries/",
        },
    ],
)
def test_the_authors_layout(tree, layout):
    root = tree(**layout)
    split = benchmark("pitts30k-test").read(root)
    images = layout.get("images", "images/")
    assert split.database.path.tolist() == [str(root / (images + name)) for name in DATABASE]
    assert split.queries.path[1] == str(root / (layout.get("queries", "queries_real/") + QUERIES[1]))
    assert split.database.panorama.tolist() == ["000828", "000828", "000829", "000829"]
    assert split.database.utm.tolist() == [32617] * 4
    assert split.database.lat[0] == pytest.approx(40.44, abs=0.01)  # downtown Pittsburgh
    assert split.database.lon[0] == pytest.approx(-80.0, abs=0.01)
    near = radius_neighbors(split.queries, split.database, 25.0)
    assert [near.of(i)[0].tolist() for i in range(2)] == [[0, 1], []]
    assert split.positives is split.condition is None


def test_check_tells_all_that_is_absent_at_once(tree):
    root = tree()
    published = ["4 database photos are listed where the published set has 10000"]
    published.append("2 query photos are listed where the published set has 6816")
    assert benchmark("pitts30k-test").check(root) == published
    for name in (DATABASE[1], DATABASE[3]):
        (root / "images" / name).unlink()
    (root / "queries_real" / QUERIES[0]).unlink()
    absent = [
        f"2 of 4 database photos are absent in {root}: images/{DATABASE[1]}, images/{DATABASE[3]}",
        f"1 of 2 query photos are absent in {root}: queries_real/{QUERIES[0]}",
    ]
    assert benchmark("pitts30k-test").check(root) == absent + published
    with pytest.raises(PlacesError) as error:
        benchmark("pitts30k-test").read(root)
    assert str(error.value) == "pitts30k-test: " + "; ".join(absent)


def test_the_authors_own_list(protocols, tmp_path, touch):
    (tmp_path / "pitts30k_test.mat").symlink_to(protocols / "dbstruct" / "pitts30k_test.mat")
    struct = read_struct(tmp_path / "pitts30k_test.mat")
    touch(tmp_path, *(f"images/{name}" for name in struct.database[:20]), f"queries_real/{struct.queries[0]}")
    photos, queries = benchmark("pitts30k-test").check(tmp_path)  # and no word of other counts
    assert photos.startswith("9980 of 10000 database photos are absent")
    assert queries.startswith("6815 of 6816 query photos are absent")


def test_files_that_are_not_there(tree, tmp_path):
    name = "pitts30k_val.mat"
    root = tree()
    (line,) = benchmark("pitts30k-val").check(root)
    assert line == f"{root}: holds neither datasets/{name} nor {name} nor raw/{name} nor images/val"
    (root / "datasets" / "pitts30k_test.mat").rename(root / name)
    (line,) = benchmark("pitts30k-val").check(root)
    assert line == f"{root / name}: is the split 'test'; its name says 'val'"
    (line,) = benchmark("pitts30k-val").check(root / "nowhere")
    assert line.startswith(f"{root / 'nowhere'}: is no folder; the layout of pitts30k-val is:\nROOT/\n")


def test_the_downloaders_layout(tmp_path, touch):
    name = "@0585000.00@4477000.00@17@T@040.43872@-079.99750@000828@00@@@@@@pitch1_yaw1@.jpg"
    touch(tmp_path, f"images/test/database/{name}", f"images/test/queries/{name.replace('828', '546')}")
    split = benchmark("pitts30k-test").read(tmp_path)
    assert (split.database.panorama[0], split.database.utm[0], split.database.easting[0]) == ("000828", 32617, 585000)


def test_real_positions_give_the_positives_of_the_plane(protocols, tmp_path, touch, write_struct):
    """Our metres run over the ellipsoid, the authors' on UTM: the true matches within 25 m are the same."""
    truth = np.load(protocols / "pitts30k_test.npz")
    listed = [(protocols / f"pitts30k_imageNames_{part}.txt").read_text().split() for part in ("index", "query")]
    database = [name.removeprefix("./Pittsburgh250k/") for name in listed[0]]
    queries = [name.removeprefix("./Pittsburgh250k/queries_real/") for name in listed[1]]
    fields = {"dbImageFns": database, "utmDb": truth["utmDb"].T, "qImageFns": queries, "utmQ": truth["utmQ"].T}
    write_struct(tmp_path / "pitts30k_test.mat", "5", fields)
    touch(tmp_path, database[0], f"queries_real/{queries[0]}")
    known = benchmark("pitts30k-test")
    split = known.reader(tmp_path)
    assert (len(split.database), len(split.queries)) == (known.database, known.queries)
    assert np.unique(split.database.panorama, return_counts=True)[1].max() == 24
    near = radius_neighbors(split.queries, split.database, float(truth["posDistThr"]))
    wanted = {}  # cut-outs of a panorama share their position
    for i, place in enumerate(map(tuple, truth["utmQ"])):
        if place not in wanted:
            squared = ((truth["utmDb"] - place) ** 2).sum(axis=1)
            wanted[place] = np.flatnonzero(squared <= truth["posDistThr"] ** 2)
        assert np.array_equal(np.sort(near.of(i)[0]), wanted[place]), i
    assert len(wanted) == 284
