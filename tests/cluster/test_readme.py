"""The commands of the README for more than one machine, on a cluster of this one."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

import netvlad as nv
from netvlad.places import write_places

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("ray")]

README = Path(__file__).parents[2] / "README.md"
N = 40  # photos: each of eight shards has some


def commands() -> list[list[str]]:
    """Arguments of each `netvlad` of the section."""
    (section,) = re.findall(r"^## More than one machine\n(.*?)^## ", README.read_text(), re.DOTALL | re.MULTILINE)
    return [shlex.split(line, comments=True)[1:] for line in section.splitlines() if line.startswith("    netvlad ")]


def test_the_commands_of_the_readme(ray, netvlad, street, tmp_path):
    places = street(N, lat=[45.76 + 1e-4 * i for i in range(N)], lon=4.83)  # where the README asks
    write_places(places, tmp_path / "photos" / "places.csv")
    said = []
    for given in commands():
        words = [word.replace("/shared", str(tmp_path)).replace("q.jpg", places.path[7]) for word in given]
        ran = netvlad(*words)
        assert ran.code == 0, ran.err
        said.append((given[0], ran.out + ran.err))
    assert [command for command, _ in said] == ["index", "shard", "locate"]
    assert "1 worker of Ray on 1 machine\n" in said[0][1]
    assert f"{N} photos added" in said[0][1]
    assert Path(places.path[7]).name in said[2][1]
    shards = nv.PlaceIndex.open(tmp_path / "france.shards")
    assert (len(shards), len(list((tmp_path / "france.shards").glob("shard-*.vpr")))) == (N, 8)
