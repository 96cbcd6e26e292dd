from __future__ import annotations

import numpy as np
import pytest
from scipy.io import savemat

from netvlad.benchmarks import benchmark

IMAGES, QUERIES = ["ox_1", "ox_2", "ox_3", "ox_4", "ox_5"], ["all_souls_1", "new_1"]
GROUND = [  # counted from 1, as MATLAB does
    {"bbx": [[1.5, 2.5, 30.0, 40.0]], "easy": [[1, 3]], "hard": [[2]], "junk": [[5]]},
    {"bbx": [[0.0, 0.0, 9.0, 9.0]], "easy": [], "hard": [[4, 2]], "junk": []},
]


@pytest.fixture
def tree(tmp_path, touch):
    def make(ground=GROUND):
        touch(tmp_path, *(f"jpg/{stem}.jpg" for stem in IMAGES + QUERIES))
        kind = [(name, object) for name in ("bbx", "easy", "hard", "junk")]
        gnd = np.empty((1, len(ground)), kind)
        for i, entry in enumerate(ground):
            gnd[0, i] = tuple(np.array(entry[name] or np.zeros((0, 0)), np.float64) for name, _ in kind)
        lists = {"imlist": np.array(IMAGES, object)[:, None], "qimlist": np.array(QUERIES, object)[None]}
        savemat(tmp_path / "gnd_roxford5k.mat", {**lists, "gnd": gnd})
        return tmp_path

    return make


@pytest.mark.parametrize(
    ("protocol", "positives", "junk"),
    [
        ("easy", [[0, 2], []], [[1, 4], [1, 3]]),
        ("medium", [[0, 1, 2], [1, 3]], [[4], []]),
        ("hard", [[1], [1, 3]], [[0, 2, 4], []]),
    ],
)
def test_three_protocols(tree, protocol, positives, junk):
    root = tree()
    known = benchmark(f"roxford5k-{protocol}")
    split = known.read(root)
    assert [rows.tolist() for rows in split.positives] == positives
    assert [rows.tolist() for rows in split.junk] == junk
    assert split.roi.tolist() == [[1.5, 2.5, 30, 40], [0, 0, 9, 9]]
    assert split.names.tolist() == QUERIES
    assert split.queries.path[1] == str(root / "jpg" / "new_1.jpg")
    assert split.database.path[4] == str(root / "jpg" / "ox_5.jpg")
    assert (known.kind, known.protocol.unmatched) == ("map", "drop")


def test_a_pickle_is_not_loaded(tmp_path):
    (tmp_path / "gnd_roxford5k.pkl").write_bytes(b"cos\nsystem\n(S'touch owned'\ntR.")
    (line,) = benchmark("roxford5k-hard").check(tmp_path)
    assert line == (
        f"{tmp_path / 'gnd_roxford5k.mat'}: is not there; gnd_roxford5k.pkl is there, but a pickle can run anything "
        "and is not loaded: it is at http://cmp.felk.cvut.cz/revisitop/data/datasets/roxford5k/gnd_roxford5k.mat"
    )
    assert not (tmp_path / "owned").exists()


def test_what_is_wrong(tree):
    root = tree([{**GROUND[0], "easy": [[1, 6]]}, GROUND[1]])
    (line,) = benchmark("roxford5k-easy").check(root)
    assert line == "ground truth names photo 6 of 5, counted from 1"
    root = tree(GROUND[:1])
    (line,) = benchmark("roxford5k-easy").check(root)
    assert line.endswith("ground truth of 1 queries, but 2 names")
    savemat(root / "gnd_roxford5k.mat", {"imlist": 1.0})
    (line,) = benchmark("roxford5k-easy").check(root)
    assert "cannot be read as the published ground truth" in line
    (root / "gnd_roxford5k.mat").write_text("nothing")
    (line,) = benchmark("roxford5k-easy").check(root)
    assert "cannot be read as the published ground truth" in line


def test_photos_that_are_absent(tree):
    root = tree()
    (root / "jpg" / "new_1.jpg").unlink()
    lines = benchmark("roxford5k-easy").check(root)
    assert lines[0] == f"1 of 2 query photos are absent in {root}: jpg/new_1.jpg"
