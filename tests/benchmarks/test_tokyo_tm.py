from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from netvlad.benchmarks import benchmark
from netvlad.benchmarks.tokyo_tm import dates_of
from netvlad.errors import PlacesError
from netvlad.places import dates


@pytest.mark.parametrize(
    ("stamps", "days"),
    [
        ([200911, 201305], ["2009-11-01", "2013-05-01"]),
        ([20091104, 20130531], ["2009-11-04", "2013-05-31"]),
        ([d.toordinal() + 366 for d in (date(2009, 11, 4), date(2013, 5, 1))], ["2009-11-04", "2013-05-01"]),  # datenum
    ],
)
def test_stamps(stamps, days):
    read = dates_of(np.array(stamps, np.float64), "s.mat")
    assert read.astype("datetime64[D]").astype(str).tolist() == days
    assert set((read - read.astype("datetime64[D]")).astype(int)) == {12 * 3600}


@pytest.mark.parametrize("stamps", [[1.0, 2.0], [200911.0, 20091104.0], [np.nan], [2009.75], [-1.0]])
def test_stamps_of_no_known_unit(stamps):
    with pytest.raises(PlacesError, match=r"s\.mat: time stamps .* are neither months"):
        dates_of(np.array(stamps), "s.mat")
    with pytest.raises(PlacesError, match="no date"):
        dates_of(np.array([200913.0]), "s.mat")


def test_read(tmp_path, touch, write_struct):
    names = ["a/1.jpg", "a/2.jpg", "b/3.jpg"]
    touch(tmp_path, *(f"images/{name[:-4]}.png" for name in names))
    fields = {
        "dbImageFns": names,
        "utmDb": np.array([[381418.0, 381418.0, 381518.0], [3946450.0] * 3]),
        "qImageFns": names[:1],
        "utmQ": np.array([[381418.0], [3946450.0]]),
    }
    write_struct(tmp_path / "datasets/tokyoTM_val.mat", "7.3", fields)
    (line,) = benchmark("tokyo-tm-val").check(tmp_path)
    assert line.endswith("tokyoTM_val.mat: dbStruct lacks the time stamps, by which a query's own date is left out")
    stamped = {"dbTimeStamp": np.array([[200911.0, 201305.0, 201305.0]]), "qTimeStamp": np.array([[200911.0]])}
    write_struct(tmp_path / "datasets/tokyoTM_val.mat", "7.3", fields | stamped)
    split = benchmark("tokyo-tm-val").read(tmp_path)
    assert benchmark("tokyo-tm-val").check(tmp_path) == [
        "3 database photos are listed where the published set has 49056",
        "1 query photos are listed where the published set has 7186",
    ]
    assert split.queries.path[0] == split.database.path[0] == str(tmp_path / "images/a/1.png")
    assert (dates(split.database) != dates(split.queries)[0]).tolist() == [False, True, True]
    assert benchmark("tokyo-tm-val").protocol.other_dates
