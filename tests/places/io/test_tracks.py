"""Photos without a position, beside the track of a logger."""

from __future__ import annotations

import pytest

from netvlad.errors import PlacesError
from netvlad.places import read_places
from netvlad.places.io.tracks import parse_offset, read_tracks

NAMED = ' xmlns="http://www.topografix.com/GPX/1/1"'
POINTS = [("48.0", "2.0", "2024-03-12T13:00:00Z"), ("48.002", "2.004", "2024-03-12T13:02:00.000Z")]


def gpx(path, points=POINTS, space=NAMED):
    lines = [f'<trkpt lat="{lat}" lon="{lon}"><ele>9</ele><time>{time}</time></trkpt>' for lat, lon, time in points]
    path.write_text(f"<gpx{space}><trk><trkseg>{''.join(lines)}</trkseg></trk></gpx>")
    return path


@pytest.fixture
def camera(photo, tmp_path):
    """Writes a photo of a wall clock, by its minutes and seconds after 14:00 on the 12th of March."""
    (tmp_path / "photos").mkdir()

    def write(name: str, clock: str, **offset):
        return photo(
            tmp_path / "photos" / name,
            exif={0x9003: f"2024:03:12 14:{clock}", **({0x9011: "+01:00"} if offset else {})},
        )

    return write


@pytest.mark.parametrize("space", [NAMED, ""])
def test_between_two_points_on_the_cameras_clock(camera, tmp_path, space):
    camera("a.jpg", "00:30")
    camera("b.jpg", "02:00")
    places = read_places(tmp_path / "photos", gpx=[gpx(tmp_path / "t.gpx", space=space)], clock_offset="+01:00:00")
    assert places.lat.tolist() == pytest.approx([48.0005, 48.002])
    assert places.lon.tolist() == pytest.approx([2.001, 2.004])
    assert places.is_utc.all()
    assert str(places.time[0]) == "2024-03-12T13:00:30"


def test_photos_without_a_point_are_told_with_the_reason(camera, photo, campus_gps, tmp_path):
    paths = [camera("a.jpg", "01:00", offset=True), camera("b.jpg", "01:00"), camera("c.jpg", "02:01", offset=True)]
    paths += [photo(tmp_path / "photos" / "d.jpg"), photo(tmp_path / "photos" / "e.jpg", campus_gps)]
    places = read_places(tmp_path / "photos", gpx=[gpx(tmp_path / "t.gpx")])
    assert places.path.tolist() == [str(paths[0]), str(paths[4])]
    assert places.lat[1] == pytest.approx(31.2619667, abs=1e-6)  # has its own
    reasons = {skipped.source[-5:]: skipped.reason for skipped in places.skipped}
    assert "--clock-offset" in reasons["b.jpg"]
    assert "13:02:01 UTC" in reasons["c.jpg"]
    assert "no time" in reasons["d.jpg"]


def test_nothing_is_known_between_points_far_apart(camera, tmp_path):
    path = camera("a.jpg", "01:00")
    track = gpx(tmp_path / "t.gpx")
    for gap, found in ((2, True), (1.9, False)):
        if found:
            assert len(read_places(path, gpx=[track], clock_offset="+01:00", gpx_gap=gap)) == 1
        else:
            with pytest.raises(PlacesError, match=r"1\.9 minutes"):
                read_places(path, gpx=[track], clock_offset="+01:00", gpx_gap=gap)


def test_a_camera_without_a_fix_is_looked_up(photo, tmp_path):
    gps = {1: "N", 2: [(0, 1)] * 3, 3: "E", 4: [(0, 1)] * 3}
    path = photo(tmp_path / "a.jpg", gps, {0x9003: "2024:03:12 13:00:00", 0x9011: "+00:00"})
    assert read_places(path, gpx=[gpx(tmp_path / "t.gpx")]).lat[0] == 48


def test_over_the_antimeridian_out_of_order_and_of_several_files(tmp_path):
    later = ("0", "-179.9", "2024-03-12T13:02:00Z")
    sea = gpx(tmp_path / "sea.gpx", [later, ("0", "179.9", "2024-03-12T13:00:00Z"), ("0", "", "x"), later])
    tracks = read_tracks(
        [gpx(tmp_path / "t.gpx", [("5", "5", "2024-03-12T12:00:00Z"), ("6", "6", "2024-03-12T14:00:00Z")]), sea]
    )
    seconds = 1710248400.0
    assert tracks.at(seconds + 60) == pytest.approx((0, -180))
    assert tracks.at(seconds + 90) == pytest.approx((0, -179.95))
    assert tracks.at(seconds - 1) is None


@pytest.mark.parametrize("text", ["", "<gpx>", "<gpx/>", "path,lat,lon\n", "<gpx><trkpt lat='1' lon='2'/></gpx>"])
def test_what_is_no_track(camera, tmp_path, text):
    (tmp_path / "t.gpx").write_text(text)
    with pytest.raises(PlacesError, match=r"t\.gpx"):
        read_places(camera("a.jpg", "01:00"), gpx=[tmp_path / "t.gpx"])


@pytest.mark.parametrize(("text", "seconds"), [("+01:00:00", 3600), ("-05:30", -19800), ("00:00:07", 7)])
def test_clock_offsets(text, seconds):
    assert parse_offset(text).total_seconds() == seconds


def test_what_is_no_offset_no_gap_and_no_folder_of_photos(tmp_path):
    track = gpx(tmp_path / "t.gpx")
    for wrong in ("1h", "+25:00", "+01:00:99"):
        with pytest.raises(PlacesError, match="offset"):
            read_tracks([track], wrong)
    with pytest.raises(PlacesError, match="gap"):
        read_tracks([track], gap=0)
    (tmp_path / "places.csv").write_text("path,lat,lon\na.jpg,1,2\n")
    with pytest.raises(PlacesError, match="table"):
        read_places(tmp_path, gpx=[track])
