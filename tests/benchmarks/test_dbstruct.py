from __future__ import annotations

import sys

import numpy as np
import pytest
from scipy.io import savemat

from netvlad.benchmarks.dbstruct import read_struct
from netvlad.errors import PlacesError

FIELDS = {
    "whichSet": "val",
    "dbImageFns": ["000/000001_pitch1_yaw1.jpg", "000/é.jpg", "c.jpg"],
    "utmDb": np.array([[585000.25, 585001.5, 585002.75], [4477000.5, 4477001.5, 4477002.5]]),
    "qImageFns": ["000/q1.jpg", "000/q2.jpg"],
    "utmQ": np.array([[584000.0, 584001.0], [4476000.0, 4476001.0]]),
    "numImages": 3.0,
    "numQueries": 2.0,
    "posDistThr": 25.0,
    "posDistSqThr": 625.0,
    "nonTrivPosDistSqThr": 100.0,
}


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_every_field(tmp_path, write_struct, version):
    stamps = {"dbTimeStamp": np.array([[200911.0, 201305.0, 201305.0]]), "qTimeStamp": np.array([[200911.0, 201001.0]])}
    write_struct(tmp_path / "s.mat", version, FIELDS | stamps)
    read = read_struct(tmp_path / "s.mat")
    assert (read.which, read.database, read.queries) == ("val", FIELDS["dbImageFns"], FIELDS["qImageFns"])
    # two photos: that 2 x 2 is not turned around
    np.testing.assert_array_equal(read.queries_utm, [[584000.0, 4476000.0], [584001.0, 4476001.0]])
    np.testing.assert_array_equal(read.database_utm[2], [585002.75, 4477002.5])
    assert read.database_stamps.tolist() == [200911, 201305, 201305]
    assert read.queries_stamps.tolist() == [200911, 201001]


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_one_photo_and_no_stamps(tmp_path, write_struct, version):
    database = {"dbImageFns": ["a.jpg"], "utmDb": np.array([[1.0], [2.0]])}
    one = {**database, "qImageFns": ["b.jpg"], "utmQ": np.array([[3.0], [4.0]])}
    write_struct(tmp_path / "s.mat", version, one)
    read = read_struct(tmp_path / "s.mat")
    assert (read.database, read.database_utm.tolist(), read.queries_utm.tolist()) == (["a.jpg"], [[1, 2]], [[3, 4]])
    assert (read.database_stamps, read.queries_stamps, read.which) == (None, None, "")


@pytest.mark.parametrize("version", ["5", "7.3"])
def test_what_is_wrong(tmp_path, write_struct, version):
    path = tmp_path / "s.mat"

    def refused(fields: dict) -> str:
        write_struct(path, version, fields)
        with pytest.raises(PlacesError) as error:
            read_struct(path)
        return str(error.value)

    lacking = {name: value for name, value in FIELDS.items() if name not in ("utmQ", "qImageFns")}
    assert f"{path}: dbStruct lacks qImageFns, utmQ; it has" in refused(lacking)
    assert "utmQ has 1 entries, qImageFns 2" in refused(FIELDS | {"utmQ": np.array([[1.0], [2.0]])})
    assert "utmDb is 3 x 2, not 2 x N" in refused(FIELDS | {"utmDb": FIELDS["utmDb"].T})
    assert "dbTimeStamp has 2 entries, dbImageFns 3" in refused(FIELDS | {"dbTimeStamp": np.array([[1.0, 2.0]])})


def test_other_files(tmp_path):
    savemat(tmp_path / "other.mat", {"net": 1.0})
    (tmp_path / "text.mat").write_text("no MATLAB file, but long enough to look at its head " * 10)
    (tmp_path / "empty.mat").touch()
    with pytest.raises(PlacesError, match=r"other\.mat: holds no struct dbStruct"):
        read_struct(tmp_path / "other.mat")
    for name in ("text.mat", "empty.mat", "absent.mat"):
        with pytest.raises(PlacesError, match=f"{name}: cannot be read"):
            read_struct(tmp_path / name)


def test_without_h5py(tmp_path, write_struct, monkeypatch):
    write_struct(tmp_path / "s.mat", "7.3", FIELDS)
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(PlacesError, match=r"s\.mat: is of MATLAB 7\.3, .*: pip install 'netvlad\[matlab\]'"):
        read_struct(tmp_path / "s.mat")
