import json
import re
from html.parser import HTMLParser
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from netvlad.benchmarks.protocol import Protocol
from netvlad.evaluation.result import Evaluation, MethodResult
from netvlad.maps.location import locate
from netvlad.maps.match import Credit
from netvlad.places import Places
from netvlad.report.page import location_page, script_json, short_names
from netvlad.report.recall_report import write_report

# On the equator 0.0001 degrees of latitude are a(1 - e²) * pi / 180 * 0.0001 = 11.0574 m.
STEP = 11.0574
# The only addresses a page may name: what the street map button and the attributions lead to.
ADDRESSES = {
    "https://leafletjs.com",
    "https://tile.openstreetmap.org",
    "https://www.openstreetmap.org",
    "http://www.w3.org",  # the name of SVG's namespace: nothing is asked there
}


class Read(HTMLParser):
    """What a browser makes of a page: its tags, the links in them, the texts, and the data blob."""

    def __init__(self, path):
        super().__init__()
        self.html = path.read_text("utf-8")
        self.tags, self.links, self.texts, self.within = [], [], [], None
        self.blob, self.style = "", ""
        self.feed(self.html)
        self.close()
        self.data = json.loads(self.blob)
        self.text = " ".join(" ".join(self.texts).split())

    def addresses(self):
        spoken = re.sub(r"/\*.*?\*/", "", self.html, flags=re.DOTALL)  # Leaflet's comments name bug reports
        return set(re.findall(r"https?://[^\s/\"'?;]+", spoken))

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.tags.append(tag)
        self.links += [attributes[name] for name in ("src", "href") if name in attributes]
        self.within = "data" if attributes.get("id") == "data" else tag

    def handle_endtag(self, tag):
        self.within = None

    def handle_data(self, data):
        if self.within == "data":
            self.blob += data
        elif self.within == "style":
            self.style += data
        elif self.within != "script":
            self.texts.append(data)


def photo(path, colour):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((48, 64, 3), colour, np.uint8)).save(path, "JPEG")
    return str(path)


@pytest.fixture
def world(tmp_path):
    """Four database photos along a meridian, three queries: one right, one wrong, one far off."""
    database = Places.build(
        path=[photo(tmp_path / "db" / f"{i}.jpg", 40 * i) for i in range(4)],
        lat=[0.0, 0.0001, 0.0010, 0.0020],
        lon=[9.0] * 4,
        time=["2024-05-01T10:00:59", None, None, None],
    )
    queries = Places.build(
        path=[photo(tmp_path / "q" / f"{i}.jpg", 50 * i) for i in range(3)],
        lat=[0.0, 0.0010, 0.01],
        lon=[9.0] * 3,
    )
    ids = np.array([[0, 1, 2], [3, 2, -1], [0, -1, -1]])
    right = np.array([[1, 1, 0], [0, 1, 0], [0, 0, 0]], bool)
    scores = np.array([[0.9, 0.8, 0.7], [0.6, 0.5, -np.inf], [0.4, -np.inf, -np.inf]], np.float32)
    one = MethodResult("one", ids, scores, right, {1: 0.5, 5: 1.0, 10: 1.0}, {"search": 0.003}, 8)
    two = MethodResult("two", ids[:, ::-1].copy(), scores[:, ::-1], right[:, ::-1].copy(), {1: 0.0, 5: 1.0}, {})
    matched = np.array([True, True, False])
    return Evaluation(database, queries, Protocol(25.0), [one, two], matched.copy(), matched)


def test_the_data_of_an_evaluation_worked_out_by_hand(world, tmp_path):
    data = Read(write_report(world, tmp_path / "out")).data
    assert data["geodetic"] is True
    assert data["right"] == "within 25 m"
    assert data["database"] == [[0.0, 9.0], [0.0001, 9.0], [0.001, 9.0], [0.002, 9.0]]
    assert [q["at"] for q in data["queries"]] == [[0.0, 9.0], [0.001, 9.0], [0.01, 9.0]]
    assert [q["matched"] for q in data["queries"]] == [True, True, False]
    assert [q["name"] for q in data["queries"]] == ["0.jpg", "1.jpg", "2.jpg"]
    assert data["photos"]["0"]["time"] == "2024-05-01 10:00"
    assert data["photos"]["1"]["time"] is None
    one, two = data["methods"]
    assert (one["name"], one["depth"]) == ("one", 3)
    assert one["first"] == [1, 2, 0]
    assert two["first"] == [2, 2, 0]
    rows = [[(row, right) for row, _, _, right in matches] for matches in one["matches"]]
    assert rows == [[(0, 1), (1, 1), (2, 0)], [(3, 0), (2, 1)], [(0, 0)]]
    away = [[metres for _, metres, _, _ in matches] for matches in one["matches"]]
    assert away[0] == pytest.approx([0, STEP, 10 * STEP], abs=0.02)
    assert away[1] == pytest.approx([10 * STEP, 0], abs=0.02)
    assert away[2] == pytest.approx([100 * STEP], abs=0.02)
    assert [score for _, _, score, _ in one["matches"][0]] == pytest.approx([0.9, 0.8, 0.7])
    # -1 stands for no match wherever it stands in the list
    assert [[row for row, *_ in matches] for matches in two["matches"]] == [[2, 1, 0], [2, 3], [0]]


def test_each_photo_is_embedded_once_and_small(world, tmp_path):
    wide = np.zeros((300, 900, 3), np.uint8)
    Image.fromarray(wide).save(world.queries.path[0], "JPEG")
    data = Read(write_report(world, tmp_path / "out")).data
    assert len(data["thumbs"]) == 3 + 4
    assert data["thumbs"][data["queries"][0]["thumb"]]["ratio"] == pytest.approx(3, rel=0.02)
    assert data["thumbs"][data["queries"][1]["thumb"]]["ratio"] == pytest.approx(4 / 3, rel=0.01)
    assert all(thumb["src"].startswith("data:image/jpeg;base64,") for thumb in data["thumbs"])


def test_only_the_chosen_queries_have_photos_but_all_are_on_the_map(world, tmp_path):
    data = Read(write_report(world, tmp_path / "out", max_queries=1)).data
    shown = [q for q in data["queries"] if q["thumb"] is not None]
    assert len(shown) == 1
    assert len(data["queries"]) == 3
    assert [len(matches) for matches in data["methods"][0]["matches"]].count(1) >= 2
    embedded = {shown[0]["thumb"]} | {p["thumb"] for p in data["photos"].values() if p["thumb"] is not None}
    assert embedded == set(range(len(data["thumbs"])))
    q = data["queries"].index(shown[0])
    its_matches = {str(row) for method in data["methods"] for row, *_ in method["matches"][q]}
    assert {row for row, p in data["photos"].items() if p["thumb"] is not None} == its_matches
    assert len(data["photos"]) > len(its_matches)  # the others' best matches are on the map all the same


def test_the_page_asks_nothing_outside(world, tmp_path):
    read = Read(write_report(world, tmp_path / "out"))
    assert all(link.startswith(("data:", "#")) for link in read.links)
    assert read.addresses() <= ADDRESSES
    assert "leaflet-container" in read.style
    assert not re.search(r"url\(|@import", read.style)
    assert "default-src 'none'" in read.html


def test_a_photo_that_is_gone_or_broken_becomes_a_frame_with_the_reason(world, tmp_path):
    (tmp_path / "q" / "0.jpg").unlink()
    (tmp_path / "db" / "1.jpg").write_bytes(b"no photo")
    data = Read(write_report(world, tmp_path / "out")).data
    assert data["thumbs"][data["queries"][0]["thumb"]] == {"error": "no such file"}
    broken = data["thumbs"][data["photos"]["1"]["thumb"]]
    assert set(broken) == {"error"}
    assert "image" in broken["error"]


def test_names_cannot_break_out(world, tmp_path):
    nasty = "</script><script>alert(1)</script>\u2028\"'&$x${y} é 街.jpg"
    database = Places.build(
        path=[photo(tmp_path / "db" / nasty, 9), *world.database.path[1:]],
        lat=world.database.lat,
        lon=world.database.lon,
    )
    tag = '<img src="http://evil.example/x">&amp;</script>'
    method = SimpleNamespace(**{**vars(world.methods[0]), "name": tag})
    unreadable = {f"/data/{nasty}": tag, "/data/b\udcff.jpg": "is empty"}
    nasty_world = Evaluation(
        database,
        world.queries,
        world.protocol,
        [method],
        world.judged,
        world.matched,
        unreadable,
        config={"note": tag},
    )
    read = Read(write_report(nasty_world, tmp_path / "out"))
    plain = Read(write_report(world, tmp_path / "plain"))
    assert read.tags.count("script") == plain.tags.count("script")
    assert read.tags.count("img") == plain.tags.count("img") == 1  # the curve
    assert read.data["photos"]["0"]["name"] == nasty
    assert read.data["methods"][0]["name"] == tag
    assert tag in read.text  # shown as it is called
    assert "\u2028" not in read.blob


def test_script_json_is_plain_ascii_and_reads_back():
    value = {"</script><!--": ["\u2028\u2029 é & <b>", 1.5, None]}
    text = script_json(value)
    assert json.loads(text) == value
    assert text.isascii()
    assert not set("<>&") & set(text)


def test_planar_places_are_drawn_in_metres(tmp_path):
    places = Places.build(
        path=[photo(tmp_path / f"{i}.jpg", 9) for i in range(2)],
        easting=[500000.0, 500030.0],
        northing=[10.0, 50.0],
    )
    ids = np.array([[1, 0], [1, 0]])
    right = np.array([[False, True], [True, False]])
    method = MethodResult("m", ids, np.ones((2, 2), np.float32), right, {1: 0.5, 2: 1.0}, {})
    both = np.ones(2, bool)
    read = Read(write_report(Evaluation(places, places, Protocol(), [method], both, both), tmp_path / "out"))
    assert read.data["geodetic"] is False
    assert read.data["database"] == [[10.0, 500000.0], [50.0, 500030.0]]
    assert [m[1] for m in read.data["methods"][0]["matches"][0]] == [50.0, 0.0]  # 30, 40, 50
    assert len(read.data["thumbs"]) == 2  # the same photos are queries and database


def test_short_names_hide_whose_disk_it_was():
    assert short_names(["/home/me/db/a/1.jpg", "/home/me/db/b/1.jpg"]) == ["a/1.jpg", "b/1.jpg"]
    assert short_names(["/home/me/1.jpg"]) == ["1.jpg"]
    assert short_names(["/home/me/1.jpg", "2.jpg"]) == ["1.jpg", "2.jpg"]
    assert short_names([]) == []


def answer(tmp_path, **changes):
    near = dict(
        credit=Credit("CC-BY-4.0", "Ada", "page 7"),
        easting=500000.0,
        northing=0.0,
        time=None,
        heading=np.nan,
        inliers=None,
    )
    matches = [
        SimpleNamespace(path=photo(tmp_path / "db" / "a.jpg", 1), lat=0.0001, lon=9.0, distance=0.5, score=0.9, **near),
        SimpleNamespace(
            path=photo(tmp_path / "db" / "b.jpg", 2),
            lat=0.001,
            lon=9.0,
            distance=0.8,
            score=None,
            **{**near, "time": np.datetime64("2024-01-02T03:04:05"), "heading": np.float32(135)},
        ),
    ]
    fields = dict(
        query=photo(tmp_path / "q" / "where <b>?.jpg", 3),
        matches=matches,
        lat=0.0,
        lon=9.0,
        easting=500000.0,
        northing=0.0,
        radius=25.0,
        confidence=0.834,
        in_map=True,
        from_gps=None,
        place="",
        uncalibrated="",
        verdict="probable",
    )
    return SimpleNamespace(**{**fields, **changes})


def test_the_page_of_located_photos(tmp_path):
    second = answer(tmp_path, in_map=False, verdict="absent", query=str(tmp_path / "gone.jpg"), matches=[])
    read = Read(location_page([answer(tmp_path), second], tmp_path / "page.html"))
    assert "probably within 25 m of 0.00000, 9.00000, confidence 0.83" in read.text
    assert "probably not in this map" in read.text
    assert "where <b>?.jpg" in read.text
    assert "b" not in read.tags
    first, gone = read.data["answers"]
    assert (first["at"], first["radius"], first["away"]) == ([0.0, 9.0], 25.0, False)
    assert [match["metres"] for match in first["matches"]] == pytest.approx([STEP, 10 * STEP], abs=0.02)
    assert [match["distance"] for match in first["matches"]] == [0.5, 0.8]
    assert [match["score"] for match in first["matches"]] == [0.9, None]
    assert [match["heading"] for match in first["matches"]] == [None, 135.0]
    assert first["matches"][0]["credit"] == "by Ada, CC-BY-4.0, page 7"
    assert [match["time"] for match in first["matches"]] == [None, "2024-01-02 03:04"]
    assert [match["name"] for match in first["matches"]] == ["a.jpg", "b.jpg"]
    assert gone["away"] is True
    assert read.data["thumbs"][gone["thumb"]] == {"error": "no such file"}
    assert all(link.startswith(("data:", "#")) for link in read.links)
    assert read.addresses() <= ADDRESSES


def test_planar_answers(tmp_path):
    planar = answer(tmp_path, lat=np.nan, lon=np.nan, easting=3.0, northing=4.0)
    for match in planar.matches:
        match.lat = match.lon = np.nan
        match.easting, match.northing = 0.0, 0.0
    read = Read(location_page([planar], tmp_path / "page.html"))
    assert read.data["geodetic"] is False
    assert read.data["answers"][0]["at"] == [4.0, 3.0]
    assert [match["metres"] for match in read.data["answers"][0]["matches"]] == [5.0, 5.0]


def test_no_answer_at_all(tmp_path):
    nan = np.nan
    nothing = answer(tmp_path, matches=[], lat=nan, lon=nan, easting=nan, northing=nan, radius=nan, in_map=None)
    read = Read(location_page([nothing], tmp_path / "page.html"))
    assert "no match was found" in read.text
    assert read.data["answers"][0]["at"] is None


def test_an_answer_that_is_a_label(tmp_path):
    places = Places.build(
        path=[tmp_path / "a.jpg", tmp_path / "b.jpg"], place=["the gate", ""], lat=[np.nan, 1], lon=[np.nan, 2]
    )
    read = Read(location_page([locate("q.jpg", places, np.array([0.1, 0.2]), 25.0, None, 2)], tmp_path / "page.html"))
    assert "place the gate" in read.text
    assert [match["at"] for match in read.data["answers"][0]["matches"]] == [None, [1.0, 2.0]]


def test_the_streets_of_the_database_around_the_answers(tmp_path):
    located = answer(tmp_path)
    lat, lon = located.lat, located.lon
    along = Places.build(
        path=[f"{i}.jpg" for i in range(12)], lat=[*(lat + 1e-4 * i for i in range(11)), lat + 1], lon=[lon] * 12
    )
    streets = Read(location_page([located], tmp_path / "page.html", along)).data["streets"]
    assert streets["points"] == [[pytest.approx(lat + 1e-4 * i, abs=1e-6), lon] for i in range(11)]
    assert streets["lines"] == [[i, i + 1] for i in range(10)]
    assert Read(location_page([located], tmp_path / "page.html")).data["streets"] == {"points": [], "lines": []}


def test_an_evaluation_has_the_streets_of_its_database(world, tmp_path):
    streets = Read(write_report(world, tmp_path / "out")).data["streets"]
    assert len(streets["points"]) == 4
    assert [0, 1] in streets["lines"]
