from __future__ import annotations

import json
import re

from netvlad.errors import NetvladError
from netvlad.maps.track import Tracker
from netvlad.sequences.evidence import Evidence


def test_frames_in_order_have_a_track(netvlad, refused, index, town, tmp_path):
    given = ["--index", index, "--gpx", tmp_path / "t.gpx", "--sequence", "5", "--json"]
    ran = netvlad("locate", town, *given)
    assert ran.code == 0
    track = json.loads(ran.out)
    assert [one["t"] for one in track] == sorted(one["t"] for one in track)
    assert (tmp_path / "t.gpx").read_text().count("<trkpt") == sum(not one["lost"] for one in track)
    assert "--index" in refused("locate", town, "--sequence", "auto")


def test_a_track_has_times_and_goes_on_where_it_was_stopped(netvlad, index, town, tmp_path, monkeypatch):
    photos = sorted(town.rglob("*.jpg"))[:4]
    (tmp_path / "list.txt").write_text("\n".join(f"{1305031910.5 + i} {photo}" for i, photo in enumerate(photos)))
    given = ["locate", tmp_path / "list.txt", "--index", index, "--gpx", tmp_path / "t.gpx"]
    monkeypatch.setattr("netvlad.maps.track.DRIVE", Evidence(1e4, 0.0))  # made-up weights are never sure otherwise
    whole = Tracker.finish
    monkeypatch.setattr(Tracker, "finish", _stopped)
    assert netvlad(*given).code == 1
    monkeypatch.setattr(Tracker, "finish", whole)
    again = netvlad(*given)
    assert again.code == 0
    assert "4 frames are described" in again.err
    times = re.findall("<time>(.*?)</time>", (tmp_path / "t.gpx").read_text())
    assert times
    assert set(times) <= {f"2011-05-10T12:51:{50 + i}.500000Z" for i in range(4)}
    assert not (tmp_path / "t.gpx.kept").exists()


def test_what_a_track_does_not_do_is_refused_and_not_left_out_silently(refused, town, index, tmp_path):
    given = ["locate", town, "--index", index, "--sequence", "1"]
    for name, value in (("--out", [tmp_path / "a.csv"]), ("--near", ["31.26,34.8,1km"]), ("--min-confidence", [0])):
        assert name in refused(*given, name, *value)
    assert not (tmp_path / "a.csv").exists()


def _stopped(self):
    raise NetvladError("stopped")
