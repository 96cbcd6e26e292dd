"""A few tries of each area, always the same ones (`make soak` does as many as there is time for), and the campaign."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import netvlad
from soak import images
from soak.benches import folder_of
from soak.run import Campaign, prepare, show
from soak.tries import Area, Done, Fault, forked, judged

pytestmark = pytest.mark.soak
AREAS = ("images", "maps", "kills", "following", "tables", "commands", "limits", "together")


@pytest.mark.slow
def test_nothing_is_silent_and_nothing_endless(tmp_path):
    paths = os.pathsep.join([str(Path(netvlad.__file__).parents[1]), str(Path(__file__).parents[1])])
    command = [sys.executable, "-m", "soak", "--out", tmp_path, "--areas", ",".join(AREAS), "--few"]
    environment = {**os.environ, "PYTHONPATH": paths}
    ran = subprocess.run(command, capture_output=True, text=True, timeout=400, env=environment)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    rows = [line.split()[0] for line in ran.stdout.splitlines() if line.startswith(AREAS)]
    assert sorted(rows) == sorted(AREAS)
    assert not list(tmp_path.glob("failed/*"))


def _crash() -> Done:
    os.kill(os.getpid(), signal.SIGSEGV)
    return Done("never")


def _hang() -> Done:
    time.sleep(60)
    return Done("never")


def _differ() -> Done:
    raise Fault("silent difference", "x" * 1_000_000)


ENDS = {
    "": lambda: Done("well", 3),
    "traceback": lambda: Done(str(1 / 0)),
    "crash": _crash,
    "hang": _hang,
    "silent difference": _differ,
}


@pytest.mark.parametrize("fault", list(ENDS))
def test_each_kind_of_failure_is_noticed_and_kept(tmp_path, capsys, fault):
    def attempt(base, here, rng):
        (here / "input").write_text(f"{rng.integers(1000)}")
        return ENDS[fault]()

    limit = 0.5 if fault == "hang" else 60.0
    area = Area("rotten", 1.0, lambda base: None, attempt, seconds=limit)
    (tmp_path / "base").mkdir()
    campaign = Campaign([area], 0, tmp_path)
    campaign.run_few()
    show(campaign.tallies, {"another": "is not possible here"})
    printed = capsys.readouterr().out
    assert "another     skipped: is not possible here" in printed
    if not fault:
        assert (campaign.tallies["rotten"].counted, dict(campaign.tallies["rotten"].faults)) == (3, {})
        assert not (tmp_path / "failed").exists()
        assert not folder_of(tmp_path, area, 0).exists()
        return
    assert dict(campaign.tallies["rotten"].faults) == {fault: 1}
    assert f"1 {fault.upper()}" in printed
    kept = tmp_path / "failed" / "rotten-0"
    assert sorted(path.name for path in kept.iterdir()) == ["fault.txt", "input"]
    told = (kept / "fault.txt").read_text()
    assert told.startswith(f"{fault}\n")
    assert "rotten:0" in told
    assert len(told) < 20_000


def test_a_campaign_shares_its_time(tmp_path):
    def attempt(base, here, rng):
        time.sleep(0.01)
        return Done("well")

    areas = [Area(name, share, lambda base: None, attempt) for name, share in (("much", 0.8), ("little", 0.2))]
    prepare(areas, tmp_path)
    campaign = Campaign(areas, 0, tmp_path)
    campaign.run(0.02, jobs=2)
    assert all(tally.counted > 10 and not tally.faults for tally in campaign.tallies.values())


def test_a_try_is_drawn_again_from_its_seed(tmp_path):
    base = images.AREA.base(tmp_path)
    images.prepare(base)
    made = []
    for where in (tmp_path / "a", tmp_path / "b"):
        end = judged(images.AREA, base, where, 5)
        assert isinstance(end, Done), end
        made.append({path.name: path.read_bytes() for path in where.iterdir()})
    assert made[0] == made[1]
    assert len(made[0]) == 3


def test_a_hanging_and_a_crashing_fork(tmp_path):
    with pytest.raises(Fault, match="hang"):
        forked(lambda: time.sleep(60), tmp_path, seconds=0.2)
    with pytest.raises(Fault, match="crash"):
        forked(_crash, tmp_path)
    killed = forked(lambda: time.sleep(60), tmp_path, kill_after=0.1)
    assert killed.killed
    said = forked(lambda: print("héllo") or {"a": 1}, tmp_path)
    assert (said.code, said.out, said.value) == (0, "héllo\n", {"a": 1})
