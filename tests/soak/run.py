"""Attack the package for a while, by areas in turn, and count what held: `make soak MINUTES=30`.

Each try is drawn from its area and its seed. A try that breaks a promise leaves its input in out/soak/failed, with
how to do it again. Ends with exit code 1 if there is one.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from soak import world
from soak.areas import AREAS
from soak.benches import Bench, Result, folder_of
from soak.tries import Area, Done, Fault, forked, judged

SLICE = 15.0  # seconds that one area gets in turn
KEPT = 25  # inputs that are kept of one kind of failure


@dataclass
class Tally:
    """What has become of the tries of one area."""

    tries: int = 0
    counted: int = 0
    seconds: float = 0.0
    longest: float = 0.0
    hows: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def take(self, result: Result) -> None:
        self.tries += 1
        self.seconds += result.seconds
        self.longest = max(self.longest, result.seconds)
        if isinstance(result.end, Done):
            self.counted += result.end.count
            self.hows[result.end.how] += 1
        else:
            self.counted += 1
            self.faults[result.end.kind] += 1


class Campaign:
    """The areas, the seed, and what has been counted."""

    def __init__(self, areas: list[Area], seed: int, out: Path) -> None:
        self.areas, self.out = areas, out
        self.tallies = {area.name: Tally() for area in areas}
        self.seeds = {area.name: seed * 10_000_000 for area in areas}
        self.spent: dict[str, float] = defaultdict(float)
        self.kept: Counter[tuple[str, str]] = Counter()

    def run(self, minutes: float, jobs: int) -> None:
        """Attack for so many minutes with so many processes, each area in turn."""
        begin, told = time.monotonic(), time.monotonic()
        end = begin + 60 * minutes
        benches: list[Bench] = []
        while benches or time.monotonic() < end:
            while len(benches) < jobs and time.monotonic() < end:
                benches.append(self._next(min(SLICE, end - time.monotonic())))
            benches = [bench for bench in benches if self._serve(bench)]
            if time.monotonic() - told > 30:
                told = time.monotonic()
                self._tell(told - begin, max(0.0, end - told))
            time.sleep(0.02)

    def run_few(self) -> None:
        """Attack each area `few` times, one after the other; a hang or a crash ends the area."""
        for area in self.areas:
            bench = Bench(area, self.out, self.seeds[area.name], 3600.0, area.few)
            while self._serve(bench):
                time.sleep(0.005)

    def _tell(self, spent: float, left: float) -> None:
        tries = sum(tally.counted for tally in self.tallies.values())
        faults = sum(sum(tally.faults.values()) for tally in self.tallies.values())
        print(f"{spent:5.0f} s: {tries} tries, {faults} failures; {left:.0f} s left", flush=True)

    def _next(self, seconds: float) -> Bench:
        area = min(self.areas, key=lambda area: self.spent[area.name] / area.share)
        self.spent[area.name] += seconds  # of others that begin meanwhile
        bench = Bench(area, self.out, self.seeds[area.name], seconds)
        self.seeds[area.name] += 10_000  # more than any does: no seed comes twice
        return bench

    def _serve(self, bench: Bench) -> bool:
        """Take what has come of a bench; False once it is over."""
        for result in bench.results():
            self._take(result, bench.area)
        over = bench.ended()
        if isinstance(over, Result):
            self._take(over, bench.area)
        return over is False

    def _take(self, result: Result, area: Area) -> None:
        self.tallies[area.name].take(result)
        if isinstance(result.end, Fault):
            keep_failure(self.out, area, result.seed, result.end, self.kept)


def keep_failure(out: Path, area: Area, seed: int, fault: Fault, kept: Counter[tuple[str, str]]) -> None:
    """Move the input of a failed try to failed/, and write beside it what was wrong and how to do it again."""
    print(f"{area.name} {seed}: {fault.kind}: {_last_line(fault.detail)}", flush=True)
    here, there = folder_of(out, area, seed), out / "failed" / f"{area.name}-{seed}"
    kept[area.name, fault.kind] += 1
    if kept[area.name, fault.kind] > KEPT:
        shutil.rmtree(here, ignore_errors=True)
        return
    there.parent.mkdir(parents=True, exist_ok=True)
    if here.exists():
        shutil.rmtree(there, ignore_errors=True)
        here.rename(there)
    there.mkdir(exist_ok=True)
    again = f"make soak ARGS='--replay \"{area.name}:{seed}\"'"
    (there / "fault.txt").write_text(f"{fault.kind}\n{again}\n\n{fault.detail}\n", encoding="utf-8")


def _last_line(text: str) -> str:
    lines = text.strip().splitlines() or [""]
    return (lines[-1] if lines[0].startswith("Traceback") else lines[0])[:240]


def show(tallies: dict[str, Tally], skipped: dict[str, str]) -> None:
    """Print the table of the campaign."""
    print(f"\n{'area':<12}{'tries':>9}{'seconds':>9}{'longest':>9}{'failures':>10}  ended")
    for name, t in tallies.items():
        ended = ", ".join(f"{n} {how}" for how, n in t.hows.most_common())
        faults = ", ".join(f"{n} {kind.upper()}" for kind, n in t.faults.most_common())
        numbers = f"{t.counted:>9}{t.seconds:>9.0f}{t.longest:>9.1f}{sum(t.faults.values()):>10}"
        print(f"{name:<12}{numbers}  {ended}{'; ' if faults else ''}{faults}")
    for name, why in skipped.items():
        print(f"{name:<12}skipped: {why}")


def prepare(areas: list[Area], out: Path) -> None:
    """Write what the tries start from, each area in a process of its own."""
    shutil.rmtree(out / "base", ignore_errors=True)
    for base, area in {area.base(out): area for area in areas}.items():
        base.mkdir(parents=True)
        ended = forked(lambda area=area, base=base: area.prepare(base), base, seconds=300)
        if ended.code:
            raise SystemExit(f"{area.name} cannot be prepared:\n{ended.err}")


def replay(what: str, out: Path) -> int:
    """Do one try again, in this process, and say how it ends."""
    name, _, seed = what.partition(":")
    area = next(area for area in AREAS if area.name == name)
    prepare([area], out)
    here = folder_of(out, area, int(seed))
    end = judged(area, area.base(out), here, int(seed))
    print(f"{here}\n{end.how if isinstance(end, Done) else end}")
    return int(isinstance(end, Fault))


def main() -> int:
    """Parse the options, attack, print the table."""
    parser = argparse.ArgumentParser("soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [area.name for area in AREAS]
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--few", action="store_true", help="a few tries of each area instead, as in the test suite")
    parser.add_argument("--seed", type=int, default=0, help="of the campaign; another one makes other inputs")
    parser.add_argument("--areas", default=",".join(names), help="some of %(default)s")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes (%(default)s)")
    parser.add_argument("--out", type=Path, default=Path("out/soak"))
    parser.add_argument("--replay", help="AREA:SEED, one try, as fault.txt names it")
    given = parser.parse_args()
    out = given.out.absolute()
    world.warm()
    if given.replay:
        return replay(given.replay, out)
    wanted = [area for area in AREAS if area.name in given.areas.split(",")]
    skipped = {area.name: why for area in wanted if (why := area.needs())}
    areas = [area for area in wanted if area.name not in skipped]
    for folder in ("work", "failed"):
        shutil.rmtree(out / folder, ignore_errors=True)
    begin = time.monotonic()
    prepare(areas, out)
    print(f"prepared in {time.monotonic() - begin:.0f} s", flush=True)
    campaign = Campaign(areas, given.seed, out)
    campaign.run_few() if given.few else campaign.run(given.minutes, given.jobs)
    show(campaign.tallies, skipped)
    facts = {name: {**vars(t), "hows": dict(t.hows), "faults": dict(t.faults)} for name, t in campaign.tallies.items()}
    (out / "figures.json").write_text(json.dumps({"seed": given.seed, "minutes": given.minutes, "areas": facts}))
    shutil.rmtree(out / "work", ignore_errors=True)
    return int(any(t.faults for t in campaign.tallies.values()))
