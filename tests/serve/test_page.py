"""The page in a real browser."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import shutil
import zipfile
from xml.etree import ElementTree

import numpy as np
import pytest

from fixtures.uploads import jpeg, running
from netvlad.export.found.xml_files import NAMESPACE

sync_api = pytest.importorskip("playwright.sync_api")
expect = sync_api.expect
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
TOKEN = "a-token-of-some-length"


@pytest.fixture(scope="module")
def browser():
    path = os.environ.get("NETVLAD_BROWSER") or next(filter(None, map(shutil.which, BROWSERS)), None)
    if path is None:
        pytest.skip("needs a Chromium: apt-get install chromium, or set NETVLAD_BROWSER to one")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def maps(index, tmp_path_factory):
    """Two maps, one sure of its answers and one that takes everything for absent."""
    from netvlad.maps.index import PlaceIndex
    from netvlad.runtime.files import write_sealed
    from netvlad.serve.served_map import open_maps

    folder, folders = tmp_path_factory.mktemp("served"), []
    for name, probabilities in (("here", (0.9, 0.06, 0.04)), ("away", (0.1, 0.1, 0.8))):
        folders.append(shutil.copytree(index, folder / f"{name}.vpr"))
        rows = PlaceIndex.open(folders[-1]).store.fingerprint(8).hex()
        learnt = {"weights": [[float(np.log(p)), 0.0, 0.0, 0.0] for p in probabilities], "centre": [0.0] * 3}
        learnt |= {"scale": [1.0] * 3, "labels": False, "how": "by hand", "asked": 8}
        learnt |= {"format": 2, "photos": 8, "rows": rows}
        write_sealed(folders[-1] / "calibration.json", learnt)
    return open_maps(folders)


@pytest.fixture(scope="module")
def address(maps):
    from netvlad.explanation.explain import explain

    with running(maps, lambda *photos: explain(*photos).to_dict(), queue=64) as (port, _):
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def page(browser, address):
    """page(**options) -> the opened page; what the console says of errors fails the test."""
    opened, complaints = [], []

    def open_page(url: str = address, **options):
        context = browser.new_context(accept_downloads=True, **options)
        opened.append(context)
        new = context.new_page()
        new.set_default_timeout(15_000)
        new.on("pageerror", lambda error: complaints.append(str(error)))
        new.on("console", lambda m: complaints.append(m.text) if "Content Security" in m.text else None)
        new.goto(url)
        return new

    yield open_page
    for context in opened:
        context.close()
    assert not complaints


def give(page, *files) -> None:
    """Put photos in: paths, or (name, bytes)."""
    read = [file if isinstance(file, tuple) else (file.name, file.read_bytes()) for file in files]
    page.set_input_files("#files", [{"name": n, "mimeType": "image/jpeg", "buffer": photo} for n, photo in read])
    expect(page.locator("#status")).to_contain_text(re.compile(r"answered[.,]"), timeout=30_000)


def saved(page, kind: str) -> bytes:
    with page.expect_download() as download:
        page.click(f"[data-kind={kind}]")
    with open(download.value.path(), "rb") as file:
        return file.read()


DROP = """([selector, bytes]) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], "dropped.jpg", { type: "image/jpeg" }));
  const options = { dataTransfer: data, bubbles: true, cancelable: true };
  for (const kind of ["dragover", "drop"])
    document.querySelector(selector).dispatchEvent(new DragEvent(kind, options));
}"""
PASTE = """(bytes) => {
  const data = new DataTransfer();
  data.items.add(new File([new Uint8Array(bytes)], "image.png", { type: "image/jpeg" }));
  document.dispatchEvent(new ClipboardEvent("paste", { clipboardData: data, bubbles: true }));
}"""


def test_a_photo_is_dropped_and_answered(page, town):
    shown = page()
    expect(shown.locator("#about")).to_contain_text("8 photos of here")
    shown.evaluate(DROP, ["#drop", list((town / "3.jpg").read_bytes())])
    expect(shown.locator("#words")).to_contain_text("Probably within 25")
    expect(shown.locator("#percent")).to_contain_text("90")
    expect(shown.locator("#where code")).to_have_text("31.260300, 34.800000")
    expect(shown.locator(".query")).to_contain_text("dropped.jpg")
    expect(shown.locator("#matches .match")).to_have_count(5)
    expect(shown.locator("#matches .match").first).to_contain_text("2025-12-22 10:00")
    links = shown.locator("#where a").evaluate_all("links => links.map((a) => a.href)")
    assert links[0].startswith("https://www.openstreetmap.org/?mlat=31.260300&mlon=34.800000")
    assert links[1] == "geo:31.260300,34.800000"
    expect(shown.locator("#matches img[src]")).to_have_count(6)  # they are fetched one by one
    seen = "images => Promise.all(images.map((image) => image.decode().then(() => image.naturalWidth)))"
    assert shown.locator("#matches img").evaluate_all(seen) == [64] * 6
    shown.locator("#matches .match button").nth(1).click()
    expect(shown.locator("#large img")).to_be_visible()
    shown.keyboard.press("Escape")
    expect(shown.locator("#large")).not_to_be_visible()


def test_a_photo_is_pasted(page, town):
    shown = page()
    expect(shown.locator("#about")).to_contain_text("8 photos")
    shown.evaluate(PASTE, list((town / "5.jpg").read_bytes()))
    expect(shown.locator("#where code")).to_have_text("31.260500, 34.800000")


def test_not_in_this_map(page, town, address):
    shown = page(address + "#map=away")
    expect(shown.locator("#about")).to_contain_text("photos of away")
    give(shown, town / "3.jpg")
    expect(shown.locator("#words")).to_have_text("Not in this map")
    expect(shown.locator(".pin.away")).to_have_count(1)
    (row,) = csv.DictReader(io.StringIO(saved(shown, "csv").decode("utf-8-sig")))
    assert (row["lat"], row["verdict"]) == ("", "not in this map")
    assert json.loads(saved(shown, "geojson"))["features"] == []
    shown.click("#accept")
    assert len(json.loads(saved(shown, "geojson"))["features"]) == 1


def test_a_broken_photo_says_why_and_others_are_answered(page, town):
    shown = page()
    give(shown, ("broken.jpg", b"no photo"), town / "1.jpg")
    expect(shown.locator("#rows tr").first).to_contain_text("not an image")
    expect(shown.locator("#words")).to_have_text("No answer")
    shown.click("#rows tr:nth-child(2) button")
    expect(shown.locator("#where code")).to_have_text("31.260100, 34.800000")


def test_a_marker_is_dragged_and_files_have_its_place(page, town):
    shown = page()
    give(shown, town / "3.jpg", town / "4.jpg")
    box = shown.locator(".pin").bounding_box()
    x, y = box["x"] + 16, box["y"] + 16
    shown.mouse.move(x, y)
    shown.mouse.down()
    shown.mouse.move(x + 30, y, steps=4)
    shown.mouse.up()
    expect(shown.locator("#words")).to_have_text("Where you put it")
    first, second = json.loads(saved(shown, "geojson"))["features"]
    assert first["properties"]["checked"] == "corrected"
    lon, lat = first["geometry"]["coordinates"]
    assert lat == pytest.approx(31.2603, abs=1e-6)
    assert 34.80001 < lon < 34.801
    assert second["geometry"]["coordinates"] == [34.8, 31.2604]
    shown.click("#restore")
    expect(shown.locator("#where code")).to_have_text("31.260300, 34.800000")


def test_all_by_the_keyboard(page, town):
    shown = page()
    expect(shown.locator("#about")).to_contain_text("8 photos")
    shown.keyboard.press("Tab")
    assert shown.evaluate("document.activeElement.id") == "files"
    give(shown, town / "2.jpg", town / "6.jpg")
    shown.locator("#scroll").focus()
    shown.keyboard.press("ArrowDown")
    expect(shown.locator("#where code")).to_have_text("31.260600, 34.800000")
    shown.keyboard.press("r")
    expect(shown.locator("#rows tr").nth(1)).to_contain_text("rejected")
    shown.keyboard.press("ArrowUp")
    shown.keyboard.press("a")
    expect(shown.locator("#rows tr").first).to_contain_text("accepted")
    shown.locator(".pin").focus()
    shown.keyboard.press("ArrowUp")
    shown.keyboard.press("Shift+ArrowUp")
    expect(shown.locator("#rows tr").first).to_contain_text("corrected")
    assert float(shown.locator("#where code").inner_text().split(",")[0]) == pytest.approx(
        31.2602 + 11 / 111195, abs=2e-6
    )
    assert len(json.loads(saved(shown, "geojson"))["features"]) == 1  # the rejected one is left out


def test_photos_given_while_the_map_is_opened_wait_for_it(page, town, address):
    shown, held = page("about:blank"), []
    shown.route("**/v1/index", lambda route: held.append(route))
    shown.goto(address)
    shown.set_input_files("#files", [town / "1.jpg"])
    expect(shown.locator("#status")).to_contain_text("being opened")
    held[0].continue_()
    expect(shown.locator("#status")).to_contain_text("1 photo answered", timeout=30_000)


def test_names_cannot_inject(page, town):
    photo = (town / "1.jpg").read_bytes()
    names = ["=cmd|' !A0.jpg", '<img src=x onerror="document.title=1">.jpg', 'a"b,c.jpg', "<img src=x>.jpg"]
    shown = page()
    give(shown, *[(name, photo) for name in names])
    assert shown.title() == "Where was this photo taken?"
    expect(shown.locator("#rows")).to_contain_text("<img src=x>.jpg")
    rows = list(csv.DictReader(io.StringIO(saved(shown, "csv").decode("utf-8-sig"))))
    assert [row["photo"] for row in rows] == ["'" + names[0], *names[1:]]
    assert rows[0]["lat"] == "31.2601"
    points = ElementTree.fromstring(saved(shown, "gpx")).findall("{*}wpt")
    assert [point.find("{*}name").text for point in points] == names
    with zipfile.ZipFile(io.BytesIO(saved(shown, "xmp"))) as archive:
        assert archive.testzip() is None
        inside = archive.namelist()
        text = archive.read(inside[2]).decode()
    assert len(inside) == len(set(inside)) == 4
    assert not [name for name in inside if re.search(r'[<>"|*]|^/|\.\.', name)]
    assert 'exif:GPSLatitude="31,15.606000N"' in text
    assert 'exif:GPSLongitude="34,48.000000E"' in text
    (described,) = ElementTree.fromstring(text).iter("{http://www.w3.org/1999/02/22-rdf-syntax-ns#}Description")
    assert described.get(f"{{{NAMESPACE}}}match").endswith(".jpg")


def test_a_permalink(page, town, address):
    shown = page(permissions=["clipboard-read", "clipboard-write"])
    give(shown, town / "3.jpg")
    shown.get_by_role("button", name="Copy a link").click()
    expect(shown.get_by_role("button", name="Copied")).to_be_visible()
    link = shown.evaluate("navigator.clipboard.readText()")
    assert link.startswith(address + "#map=here&lat=31.260300&lon=34.800000")
    again = page(link)
    expect(again.locator(".pin")).to_have_count(1)
    expect(again.locator("#detail")).not_to_be_visible()


def test_a_token_is_asked_for(page, maps):
    with running(maps, token=TOKEN) as (port, _):
        shown = page(f"http://127.0.0.1:{port}/")
        for given in ("wrong", TOKEN):
            expect(shown.locator("#token-asked")).to_be_visible()
            shown.fill("#token", given)
            shown.locator("#token-asked button").click()
        expect(shown.locator("#about")).to_contain_text("8 photos of here")
        assert TOKEN not in shown.url


def test_tiles_that_do_not_load_are_noticed(page, maps):
    with running(maps, tiles="http://127.0.0.1:9/{z}/{x}/{y}.png") as (port, _):
        shown = page(f"http://127.0.0.1:{port}/")
        expect(shown.locator("#map-note")).to_contain_text("does not load")


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"color_scheme": "dark"},
        {"viewport": {"width": 360, "height": 740}, "has_touch": True, "is_mobile": True},
    ],
    ids=["desk", "dark", "phone"],
)
def test_it_is_accessible_and_fits(page, town, options):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright")
    shown = page(**options)
    give(shown, town / "3.jpg", ("broken.jpg", b"x"), town / "5.jpg")
    shown.click("#options summary")
    expect(shown.locator("#matches .match")).to_have_count(5)
    found = axe.Axe().run(shown)
    assert found.violations_count == 0, found.generate_report()
    assert shown.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_a_thousand_matches_stay_few_elements(page, town):
    shown = page()
    give(shown, town / "3.jpg")
    shown.evaluate(
        """async () => {
          const { PlaceMap } = await import("./page/map.js");
          const index = await (await fetch("v1/index")).json();
          document.getElementById("map").replaceWith(Object.assign(document.createElement("div"), { id: "map" }));
          const map = new PlaceMap(index.maps[0], { url: "" }, () => {});
          const matches = Array.from({ length: 1000 }, (_, i) => ({ lat: 31.26 + 1e-6 * i, lon: 34.8 }));
          const answer = { ...matches[0], radius: 25, in_map: true, matches };
          map.show({ place: () => [31.26, 34.8], answer });
          window.markers = document.querySelectorAll("#map .leaflet-marker-icon").length;
        }"""
    )
    assert shown.evaluate("window.markers") == 21  # 20 numbers and the pin; the others are on a canvas


def test_photos_of_fifty(page, town):
    shown = page()
    photos = [(f"{i}.jpg", (town / f"{i % 8}.jpg").read_bytes()) for i in range(49)] + [("grey.jpg", jpeg())]
    give(shown, *photos)
    expect(shown.locator("#rows tr")).to_have_count(50)
    features = json.loads(saved(shown, "geojson"))["features"]
    assert [f["geometry"]["coordinates"][1] for f in features[:3]] == [31.26, 31.2601, 31.2602]


def test_why_the_match_is_similar(page, town):
    shown = page()
    give(shown, town / "3.jpg")
    shown.click("#why")
    expect(shown.locator("#reason-note")).to_contain_text("Similarity 1.000")
    assert shown.locator("#two line").count() > 0
    box = shown.locator("#two [data-side=query]").bounding_box()
    shown.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    expect(shown.locator("#reason-note")).to_contain_text("of your photo adds")
    expect(shown.locator("#two line")).to_have_count(0)
    shown.keyboard.press("Escape")
    expect(shown.locator("#reason")).not_to_be_visible()
