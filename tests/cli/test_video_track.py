from __future__ import annotations

import json


def test_frames_in_order_have_a_track(netvlad, refused, index, town, tmp_path):
    given = ["--index", index, "--gpx", tmp_path / "t.gpx", "--sequence", "5", "--json"]
    ran = netvlad("locate", town, *given)
    assert ran.code == 0
    track = json.loads(ran.out)
    assert [one["t"] for one in track] == sorted(one["t"] for one in track)
    assert (tmp_path / "t.gpx").read_text().count("<trkpt") == sum(not one["lost"] for one in track)
    assert "--index" in refused("locate", town, "--sequence", "auto")


def test_what_a_track_does_not_do_is_refused_and_not_left_out_silently(refused, town, index, tmp_path):
    given = ["locate", town, "--index", index, "--sequence", "1"]
    for name, value in (("--out", [tmp_path / "a.csv"]), ("--near", ["31.26,34.8,1km"]), ("--min-confidence", [0])):
        assert name in refused(*given, name, *value)
    assert not (tmp_path / "a.csv").exists()
