from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from netvlad.benchmarks import benchmark
from netvlad.report.comparison import MAP, Line, Panel, published_panels, sweep_panels
from netvlad.report.figures import _looks, draw_map, draw_recall, draw_sweep
from netvlad.report.tables import escaped, latex, markdown

ONE = Line("one", {1: 0.5, 5: 0.75, 10: 0.8, 100: 1.0})
TWO = Line("two_&", {1: 0.6, 5: 0.7, 10: np.nan})
SAID = Line("One of the paper", {1: 0.52, 5: 0.7, 10: 0.9}, published=True, of="one")
OTHER = Line("Another", {1: 0.99}, published=True)
PANELS = [Panel("All\n12 queries", [ONE, TWO, OTHER, SAID]), Panel("Night", [ONE])]


def grey(path) -> np.ndarray:
    with Image.open(path) as image:
        assert image.format == "PNG"
        return np.asarray(image.convert("L"))


@pytest.mark.parametrize("n", [1, 2, 3, 5])
def test_png_and_svg(tmp_path, n):
    paths = draw_recall((PANELS * 3)[:n], tmp_path / "recall")
    assert [path.name for path in paths] == ["recall.png", "recall.svg"]
    assert grey(paths[0]).std() > 0
    assert paths[1].read_text("utf-8").count("<svg") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == ["recall.png", "recall.svg"]


def test_no_two_methods_look_alike_in_grey_and_published_ones_are_dotted():
    looks = _looks([Panel("", [Line(str(i), {1: 0.1}) for i in range(12)] + [SAID, OTHER])])
    measured = [look for name, look in looks.items() if name.isdigit()]
    assert len({look["marker"] for look in measured}) == 12
    assert all(look["linestyle"] != ":" for look in measured)
    assert all(looks[line.name]["linestyle"] == ":" for line in (SAID, OTHER))
    assert all(looks[line.name]["markerfacecolor"] == "white" for line in (SAID, OTHER))


def test_a_published_row_has_the_colour_of_the_method_it_speaks_of():
    looks = _looks(PANELS)
    assert looks[SAID.name]["color"] == looks["one"]["color"]
    assert looks[SAID.name]["marker"] == looks["one"]["marker"]
    assert looks[OTHER.name]["marker"] not in (looks["one"]["marker"], looks["two_&"]["marker"])


@pytest.mark.parametrize("lines", [[], [Line("x", {1: np.nan})]])
def test_nothing_to_draw(tmp_path, lines):
    with pytest.raises(ValueError, match="nothing to draw"):
        draw_recall([Panel("", lines)], tmp_path / "recall")
    assert not list(tmp_path.iterdir())


def test_ugly_names_and_an_empty_panel(tmp_path):
    ugly = Line("$\\broken{ _name^ " + "x" * 80, {1: 0.0})
    assert draw_recall([Panel("$", [ugly]), Panel("empty", [])], tmp_path / "recall")


def test_average_precision_and_dimensions(tmp_path):
    found = [Panel("Oxford", [Line("a", {MAP: 0.61}), Line("b", {MAP: np.nan})], MAP)]
    assert grey(draw_map(found, tmp_path / "map")[0]).std() > 0
    panels = [Panel("Town\n9 queries", [Line(f"m, {d}-D", {1: d / 1000, 5: 0.9}) for d in (256, 32)])]
    swept = sweep_panels(panels, {"m, 32-D": ("m", 32), "m, 256-D": ("m", 256)}, ns=(1,))
    assert [(panel.title, panel.lines) for panel in swept] == [
        ("Town: recall@1\n9 queries", [Line("m", {32: 0.032, 256: 0.256})])
    ]
    assert grey(draw_sweep(swept, tmp_path / "dimensions")[0]).std() > 0


def test_the_published_numbers_alone():
    panels = published_panels("Tokyo", benchmark("tokyo247").published, "recall")
    assert [panel.title for panel in panels] == ["Tokyo", "Tokyo, sunset/night"]
    assert panels[1].lines[0].at == pytest.approx({1: 0.613, 5: 0.756, 10: 0.808})
    assert all(line.published for panel in panels for line in panel.lines)


def test_markdown():
    assert markdown(PANELS, [{"N": "1, 5."}]).splitlines() == [
        "| method | All R@1 | All R@5 | All R@10 | Night R@1 | Night R@5 | Night R@10 |",
        "| --- | --: | --: | --: | --: | --: | --: |",
        "| one | 50.0 | **75.0** | **80.0** | **50.0** | **75.0** | **80.0** |",
        "| *One of the paper (published)* | 52.0 | 70.0 | 90.0 | – | – | – |",
        "| two_& | **60.0** | 70.0 | – | – | – | – |",
        "| *Another (published)* | 99.0 | – | – | – | – | – |",
        "",
        "- N: 1, 5.",
    ]


def test_latex():
    assert latex(PANELS[:1], [{"N": "1, 5."}]).splitlines() == [
        "% N: 1, 5.",
        "\\begin{tabular}{l|rrr}",
        "\\hline",
        " & \\multicolumn{3}{c}{All} \\\\",
        "method & R@1 & R@5 & R@10 \\\\ \\hline",
        "one & 50.0 & \\textbf{75.0} & \\textbf{80.0} \\\\",
        "\\emph{One of the paper (published)} & 52.0 & 70.0 & 90.0 \\\\",
        "two\\_\\& & \\textbf{60.0} & 70.0 & -- \\\\",
        "\\emph{Another (published)} & 99.0 & -- & -- \\\\",
        "\\hline",
        "\\end{tabular}",
    ]
    assert escaped("a_b & 5% \\x{}") == "a\\_b \\& 5\\% \\textbackslash{}x\\{\\}"
