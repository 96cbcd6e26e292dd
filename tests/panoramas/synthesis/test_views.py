from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from netvlad.errors import NetvladError, PlacesError
from netvlad.panoramas.synthesis import jobs
from netvlad.panoramas.synthesis.views import Settings, synthesise
from netvlad.places import read_places

SMALL = Settings(reach=5.5, headings=4, width=40, height=30)


@pytest.fixture
def street(folder, corner):
    """Three panoramas of one date, 7 m apart."""
    return folder(corner, [(-7, 0), (0, 0), (7, 0)], split="database", panorama=["a", "b", "c"])


def files(out: Path) -> dict[str, bytes]:
    return {str(f.relative_to(out)): f.read_bytes() for f in sorted(out.rglob("*")) if f.is_file()}


def test_views_and_their_table(street, tmp_path):
    out = tmp_path / "virtual"
    done = synthesise(street, out, SMALL, workers=0)
    # the street is free from y = -5 to 5, the grid's lines are 0, 5 and 10 north of it
    east, north = done.places.easting - 500_000, done.places.northing - 3_459_810
    assert set(zip(east, north, strict=True)) == {(x, y) for x in (-10, -5, 0, 5, 10) for y in (-5, 0, 5)} - {
        p for p in [(-10, -5), (-10, 5), (10, -5), (10, 5)] if np.hypot(3, 5) > 5.5
    }
    assert done.positions == len(set(zip(east, north, strict=True)))
    assert done.made == len(done.places)
    assert done.made + done.skipped == 4 * done.positions
    assert done.unusable == {}
    table = read_places(out / "places.parquet")
    assert table.path.tolist() == done.places.path.tolist()
    assert set(table.heading) <= {0, 90, 180, 270}
    assert set(table.split) == {"database"}
    assert (table.time == np.datetime64("2025-05-05T12:00:00")).all()
    assert len(set(table.panorama)) == done.positions
    holes = []
    for path, name in zip(table.path, table.panorama, strict=True):
        assert Path(path).parent == out / "photos" / name
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) in {("WEBP", "RGBA", (40, 30)), ("WEBP", "RGB", (40, 30))}
            alpha = np.asarray(image.convert("RGBA"))[..., 3]
        assert set(np.unique(alpha)) <= {0, 255}
        holes.append((alpha == 0).mean())
    assert max(holes) <= 0.5
    assert done.holes == pytest.approx(np.mean(holes), abs=1e-4)
    assert 0 < done.holes < 0.3


def test_a_view_shows_what_is_there(street, corner, tmp_path):
    done = synthesise(street, tmp_path / "v", SMALL, workers=0)
    from netvlad.panoramas.camera import Camera

    errors = []
    for i in range(len(done.places)):
        at = done.places.easting[i] - 500_000, done.places.northing[i] - 3_459_810, 2.5
        with Image.open(done.places.path[i]) as image:
            photo = np.asarray(image.convert("RGBA")).astype(float)
        true = corner.colours(at, Camera(done.places.heading[i], 12, 0, 60, 40, 30).rays())
        errors.append(np.abs(photo[..., :3] - true)[photo[..., 3] > 0])
    assert np.median(np.concatenate(errors)) < 4  # grey levels: WebP, and a panorama of 512 pixels
    assert np.mean(np.concatenate(errors)) < 10


def test_the_same_whatever_the_workers_and_however_often(street, tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    first = synthesise(street, one, SMALL, workers=0)
    synthesise(street, two, SMALL, workers=2)
    before = files(one)
    assert before == files(two)
    again = synthesise(street, one, SMALL, workers=0)
    assert (again.made, again.skipped, again.holes) == (0, first.skipped, first.holes)
    assert files(one) == before


@pytest.mark.parametrize("after", [1, 17])
def test_a_killed_run_goes_on(street, tmp_path, monkeypatch, after):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    done = synthesise(street, whole, SMALL, workers=0)
    write, written = jobs._write, []

    def dying(path, photo):
        written.append(path)
        if len(written) > after:
            raise KeyboardInterrupt
        write(path, photo)

    with monkeypatch.context() as patch:
        patch.setattr(jobs, "_write", dying)
        with pytest.raises(KeyboardInterrupt):
            synthesise(street, killed, SMALL, workers=0)
    left = {f: f.stat().st_mtime_ns for f in (killed / "photos").rglob("*.webp")}
    assert len(left) == after
    assert not (killed / "places.parquet").exists()
    log = killed / "views.csv"
    log.write_text(log.read_text() + "photos/cut off")
    rest = synthesise(street, killed, SMALL, workers=0)
    assert rest.made == done.made - after
    assert {f: f.stat().st_mtime_ns for f in left} == left  # not made again
    log.write_text(log.read_text().replace("photos/cut off\n", ""))
    assert files(killed) == files(whole)


def test_a_view_that_was_deleted_is_made_again_and_a_rejected_one_not(street, tmp_path, monkeypatch):
    strict = Settings(reach=5.5, headings=4, width=40, height=30, max_holes=0.05, sources=1)
    done = synthesise(street, tmp_path / "v", strict, workers=0)
    assert 0 < done.skipped < 4 * done.positions
    assert done.holes <= 0.05
    Path(done.places.path[0]).unlink()
    again = synthesise(street, tmp_path / "v", strict, workers=0)
    assert (again.made, again.skipped, len(again.places)) == (1, done.skipped, len(done.places))
    monkeypatch.setattr(jobs, "render", None)  # nothing is left to cast
    assert synthesise(street, tmp_path / "v", strict, workers=0).made == 0


def test_another_date_at_the_same_place(folder, corner, tmp_path):
    times = ["2024-05-05T12:00:00", "2025-01-01T20:00:00"]
    panoramas = folder(corner, [(0, 0), (1, 0)], time=times)
    latest = synthesise(panoramas, tmp_path / "latest", SMALL, workers=0).places
    assert set(latest.time[np.abs(latest.easting - 500_000) < 5]) == {np.datetime64(times[1])}
    both = synthesise(panoramas, tmp_path / "all", Settings(**{**vars(SMALL), "dates": "all"}), workers=0).places
    at = (both.easting == 500_000) & (both.northing == 3_459_810)
    assert sorted(set(both.time[at].astype(str))) == times
    assert len(set(both.panorama[at])) == 2


def test_one_panorama_and_no_grid_point_in_reach(folder, corner, tmp_path):
    panoramas = folder(corner, [(2.5, 2.5)])
    assert synthesise(panoramas, tmp_path / "a", SMALL).positions >= 4
    near = Settings(**{**vars(SMALL), "reach": 1.0})
    with pytest.raises(PlacesError, match="no position within 1 m of the panoramas is free"):
        synthesise(panoramas, tmp_path / "b", near)


def test_without_depth(folder, corner, tmp_path):
    panoramas = folder(corner, [(0, 0), (7, 0)], depth=False)
    expected = tmp_path / "town" / "depth" / "0.png"
    with pytest.raises(PlacesError, match="no panorama of 2 can be used") as e:
        synthesise(panoramas, tmp_path / "v", SMALL)
    assert f"no depth at {expected}" in str(e.value)
    assert "monocular" in str(e.value)
    with pytest.raises(PlacesError, match="no panorama of 0"):
        synthesise(panoramas[[]], tmp_path / "v", SMALL)


def test_what_cannot_be_used_is_told_and_the_rest_is_cast(folder, corner, tmp_path):
    panoramas = folder(corner, [(0, 0), (6, 0), (12, 0), (60, 0), (66, 0)], heading=[0, np.nan, 10, 20, 30])
    depth, photos = tmp_path / "town" / "depth", tmp_path / "town" / "panoramas"
    Image.fromarray(np.ones((50, 60), np.uint16)).save(depth / "2.png")
    Image.new("RGB", (60, 50)).save(photos / "3.png")  # of the wrong proportions
    (photos / "4.png").write_bytes(b"no photo")
    done = synthesise(panoramas, tmp_path / "v", SMALL, workers=0)
    assert done.unusable == {
        str(photos / "1.png"): "its heading is unknown",
        str(photos / "2.png"): f"{depth / '2.png'}: 60x50 is no panorama, which is twice as wide as high",
        str(photos / "3.png"): "60x50 is no panorama, which is twice as wide as high",
        str(photos / "4.png"): "is not an image in a format Pillow can read",
    }
    assert set(np.abs(done.places.easting - 500_000)) <= {0, 5}
    with pytest.raises(PlacesError, match=r"none of the views of \d+ positions has at most 50% holes"):
        synthesise(panoramas[[4]], tmp_path / "w", SMALL, workers=0)


def test_other_settings_want_another_folder(street, tmp_path):
    synthesise(street, tmp_path / "v", SMALL, workers=0)
    assert json.loads((tmp_path / "v" / "views.json").read_text())["width"] == 40
    with pytest.raises(NetvladError, match="was made with width 40, not 80: choose another folder"):
        synthesise(street, tmp_path / "v", Settings(**{**vars(SMALL), "width": 80}))
