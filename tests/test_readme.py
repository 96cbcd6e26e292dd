from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\(([^)]+)\)")


def links(text: str) -> list[str]:
    return [target for target in LINK.findall(text) if not target.startswith(("https://", "http://"))]


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links_lead_to_files_that_are_there(page):
    missing = [target for target in links((ROOT / page).read_text()) if not (ROOT / target.partition("#")[0]).exists()]
    assert missing == []


def test_the_package_index_shows_no_link_that_leads_nowhere():
    tomllib = pytest.importorskip("tomllib", reason="needs Python 3.11 or newer to read pyproject.toml")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    text = (ROOT / "README.md").read_text()
    for rule in project["tool"]["hatch"]["metadata"]["hooks"]["fancy-pypi-readme"]["substitutions"]:
        text = re.sub(rule["pattern"], rule["replacement"], text)
    assert links(text) == []
    assert "https://arxiv.org/abs/1511.07247" in text
