from __future__ import annotations

import json
import re
import shutil

import numpy as np
import pytest
from PIL import Image

from netvlad.explanation.cells import strongest
from netvlad.explanation.result import ClusterShare, Explanation
from netvlad.report.explanation_page import explanation_page


@pytest.fixture
def explanation():
    """Two photos of 3x4 and 4x3 cells, which agree in (1, 2) and (3, 0) above all, and in (0, 0) and (0, 2)."""
    table = np.full((3, 4, 4, 3), -0.001, np.float32)
    table[1, 2, 3, 0], table[0, 0, 0, 2] = 0.4, 0.1
    maps = table.sum(axis=(2, 3)), table.sum(axis=(0, 1))
    clusters = (ClusterShare(7, 0.3, 0.2, *maps), ClusterShare(2, 0.1, 0.1, *(-m for m in maps)))
    return Explanation(float(table.sum()) + 0.02, True, *maps, 0.02, 0.02, table, strongest(table), clusters)


@pytest.fixture
def two(tmp_path):
    """Paths of two photos, their names ones that could break out of a page."""
    paths = []
    for name, size, colour in (
        ("query <b>&$x.jpg", (64, 48), 80),
        ("match </script>.jpg".replace("/", "∕"), (48, 64), 160),
    ):
        path = tmp_path / name
        Image.fromarray(np.full((size[1], size[0], 3), colour, np.uint8)).save(path, "JPEG")
        paths.append(str(path))
    return paths


def blob(page):
    return json.loads(
        re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text("utf-8"), re.S)[1]
    )


def test_the_page_holds_everything_and_asks_nothing(explanation, two, tmp_path):
    page = explanation_page(explanation, *two, tmp_path / "why.html")
    data, html = blob(page), page.read_text("utf-8")
    assert data["explanation"]["pairs"] == [
        {"query": [2.5 / 4, 1.5 / 3], "match": [0.5 / 3, 3.5 / 4], "share": pytest.approx(0.4)},
        {"query": [0.5 / 4, 0.5 / 3], "match": [2.5 / 3, 0.5 / 4], "share": pytest.approx(0.1)},
    ]
    assert np.shape(data["explanation"]["table"]) == (3, 4, 4, 3)
    assert [data["thumbs"][data["photos"][side]["thumb"]]["src"][:15] for side in ("query", "match")] == [
        "data:image/jpeg"
    ] * 2
    assert "query <b>" not in html
    assert "default-src 'none'" in html


def test_a_photo_that_is_gone_leaves_the_reason(explanation, two, tmp_path):
    (tmp_path / two[1].rpartition("/")[2]).unlink()
    data = blob(explanation_page(explanation, *two, tmp_path / "why.html"))
    assert data["thumbs"][data["photos"]["match"]["thumb"]] == {"error": "no such file"}


@pytest.fixture(scope="module")
def chromium():
    """A browser that is installed."""
    api = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not found:
        pytest.skip("needs Chromium, which is not installed")
    with api.sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium, explanation, two, tmp_path):
    """The page in a phone's browser in the dark; anything it complains of, or asks for, fails the test."""
    troubles = []
    page = chromium.new_page(viewport={"width": 390, "height": 800}, color_scheme="dark")
    page.on("console", lambda message: troubles.append(message.text) if message.type == "error" else None)
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.on("request", lambda request: troubles.append(request.url) if request.url.startswith("http") else None)
    page.goto(explanation_page(explanation, *two, tmp_path / "why.html").as_uri())
    yield page
    page.close()
    assert troubles == []


# colours of the pixel of a heat map: red, green, blue and alpha
PIXEL = """([side, x, y]) => {
  const canvas = document.querySelector(`figure[data-side=${side}] canvas`);
  return [...canvas.getContext('2d').getImageData(x, y, 1, 1).data];
}"""


def pixel(page, side, x, y):
    return page.evaluate(PIXEL, [side, x, y])


def test_heat_maps_and_pairs_in_a_browser(opened):
    assert opened.evaluate("document.documentElement.scrollWidth") == 390
    red, _, blue, strong = pixel(opened, "query", 2, 1)
    assert red > blue
    assert strong > 200
    red, _, blue, weak = pixel(opened, "query", 1, 1)
    assert red < blue
    assert 0 < weak < 60
    assert opened.locator("svg.lines circle").count() == 4
    opened.click("#lines")
    assert opened.locator("svg.lines circle").count() == 0
    opened.click(".pairs button >> nth=1")
    assert opened.locator("svg.lines text").all_text_contents() == ["2", "2"]
    opened.click(".clusters button >> nth=1")
    red, _, blue, _ = pixel(opened, "query", 2, 1)  # what the second centre has there disagrees
    assert red < blue
    opened.click("#heat")
    assert opened.locator("canvas:visible").count() == 0


def test_the_counterparts_of_a_spot_by_mouse_and_keyboard(opened):
    match = opened.locator("figure[data-side=match] .spot")
    match.scroll_into_view_if_needed()
    box = match.bounding_box()
    opened.mouse.move(box["x"] + box["width"] * 0.5 / 3, box["y"] + box["height"] * 3.5 / 4)
    assert "row 4, column 1" in opened.inner_text(".said")
    assert "row 2, column 3 of the query (+0.4000)" in opened.inner_text(".said")
    assert pixel(opened, "query", 2, 1)[3] > 200
    opened.mouse.move(1, 1)
    assert opened.inner_text(".said") == ""
    opened.focus("figure[data-side=query] .spot")
    opened.keyboard.press("ArrowRight")  # to the strongest spot
    assert "row 2, column 3" in opened.inner_text(".said")
    for key in ["ArrowUp"] * 5 + ["ArrowLeft"] * 2:
        opened.keyboard.press(key)
    assert "row 1, column 1" in opened.inner_text(".said")
    assert "row 1, column 3 of the match (+0.1000)" in opened.inner_text(".said")
    opened.keyboard.press("Escape")
    assert opened.inner_text(".said") == ""


def test_an_explanation_by_occlusion_in_a_browser(chromium, two, tmp_path):
    occluded = Explanation(0.5, False, np.eye(3, 4, dtype=np.float32), np.eye(4, 3, dtype=np.float32))
    troubles = []
    page = chromium.new_page()
    page.on("pageerror", lambda error: troubles.append(str(error)))
    page.goto(explanation_page(occluded, *two, tmp_path / "why.html").as_uri())
    assert pixel(page, "query", 0, 0)[3] > 200
    assert page.locator("section:visible").count() == 0
    page.close()
    assert troubles == []
