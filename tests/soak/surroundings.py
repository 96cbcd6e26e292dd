"""Little disk, memory, files; several processes at once.

A command that meets a limit ends with exit code 1 and says why; run again without the limit, it ends in the state of
one that never met it. Two processes that add to one map: one may be refused, and in the end every photo is in it once;
one that asks meanwhile gets an answer from whole batches.
"""

from __future__ import annotations

import ctypes
import os
import resource
import shutil
import subprocess
from functools import partial
from pathlib import Path

from soak import kills
from soak.kills import check_state, draw_task, run_task
from soak.mutate import Rng, pick
from soak.tries import Area, Done, Fault, check_speech, command, forked

# -- disk -------------------------------------------------------------------------------------------------------------


def _no_tmpfs() -> str:
    if not hasattr(os, "geteuid") or os.geteuid() != 0 or not Path("/proc/mounts").exists():
        return "a small tmpfs needs root, on Linux"
    folder = Path("/tmp") / f"soak-probe-{os.getpid()}"
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", folder], capture_output=True)
    if not mounted.returncode:
        subprocess.run(["umount", folder], check=True)
    folder.rmdir()
    return f"no tmpfs can be mounted ({mounted.stderr.decode().strip()})" if mounted.returncode else ""


def full(base: Path, here: Path, rng: Rng) -> Done:
    """A disk of some kilobytes, made larger afterwards."""
    name, disk = draw_task(rng), here / "disk"
    disk.mkdir()
    size = int(2 ** rng.uniform(13, 20.5))
    (here / "size.txt").write_text(f"{name}, {size} bytes\n")
    # in a name space of mounts that ends with this process, however that ends
    _own_mounts()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", disk], check=True)
    try:
        ended = run_task(name, base, here, disk / "out")
        how = "enough" if not ended.code else "told"
        subprocess.run(["mount", "-o", "remount,size=256m", disk], check=True)
        again = run_task(name, base, here, disk / "out")
        if again.code:
            raise Fault("unnamed", f"{name} does not go on after a disk of {size} bytes was full: {again.err}")
        check_state(name, base, disk / "out", f"{name} after a disk of {size} bytes was full")
    finally:
        subprocess.run(["umount", "-l", disk], check=True)
    return Done(f"{name}, {how}")


def _own_mounts() -> None:
    if _own_mounts.done:  # type: ignore[attr-defined]
        return
    if ctypes.CDLL(None, use_errno=True).unshare(0x00020000):
        raise OSError(ctypes.get_errno(), "unshare")
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    _own_mounts.done = True  # type: ignore[attr-defined]


_own_mounts.done = False  # type: ignore[attr-defined]


# -- limits of a process ----------------------------------------------------------------------------------------------

LIMITS = {"memory": resource.RLIMIT_AS, "files": resource.RLIMIT_NOFILE, "file size": resource.RLIMIT_FSIZE}


def _used() -> int:
    """Bytes of address space of this process, to which a limit of memory is added."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def limits(base: Path, here: Path, rng: Rng) -> Done:
    """A limit of memory, of open files or of the size of a file."""
    name, kind = draw_task(rng), pick(rng, list(LIMITS))
    bounds = {
        "memory": lambda: _used() + int(2 ** rng.uniform(22, 31)),
        "files": lambda: int(rng.integers(8, 80)),
        "file size": lambda: int(2 ** rng.uniform(14, 19)),  # what the command prints is a file too
    }
    bound = bounds[kind]()
    (here / "limit.txt").write_text(f"{name}, {kind} {bound}\n")
    try:
        ended = run_task(name, base, here, here / "out", before=partial(_limit, LIMITS[kind], bound))
        how = "told" if ended.code else "enough"
    except Fault as fault:
        # native libraries end the process where an allocation fails; what they leave behind is judged all the same
        if kind != "memory" or fault.kind != "crash":
            raise
        how = "ended by a library"
    again = run_task(name, base, here, here / "out")
    if again.code:
        raise Fault("unnamed", f"{name} does not go on after a limit of {kind}, {bound}: {again.err}")
    check_state(name, base, here / "out", f"{name} after a limit of {kind}, {bound}")
    return Done(f"{kind}, {how}")


def _limit(what: int, bound: int) -> None:
    resource.setrlimit(what, (bound, resource.getrlimit(what)[1]))


# -- several at once --------------------------------------------------------------------------------------------------


def together(base: Path, here: Path, rng: Rng) -> Done:
    """Two that index, with photos in common, and up to two that ask meanwhile."""
    out = here / "out"
    if rng.random() < 0.5:
        run_task("fit and index", base, here, out)
    jobs = [partial(_add, base, here / "a", out, "first.csv"), partial(_add, base, here / "b", out, "second.csv")]
    if out.exists():
        jobs += [partial(_ask, base, here / f"q{i}", out, float(rng.uniform(0, 0.8))) for i in range(2)]
    ends = [forked_later(job) for job in jobs]
    problems = [problem for end in ends if (problem := end())]
    if problems:
        raise Fault(*problems[0])
    for table in ("first.csv", "second.csv"):
        if code := _add(base, here / "again", out, table):
            raise Fault(*code)
    _check_all_there(base, here, out)
    shutil.rmtree(out)
    return Done("together")


def _add(base: Path, here: Path, out: Path, table: str) -> tuple[str, str] | None:
    here.mkdir(exist_ok=True)
    model = [] if (out / "manifest.json").exists() else ["--model", base / "model"]
    try:
        ended = command(here, "index", base / table, "--out", out, "--workers", 0, *model, before=_small_batches)
    except Fault as fault:
        return fault.kind, fault.detail
    refused = ended.code == 1 and ("another process" in ended.err or "is an index already" in ended.err)
    return None if not ended.code or (refused and here.name != "again") else ("unnamed", ended.err)


def _small_batches() -> None:
    import netvlad.maps.adding

    netvlad.maps.adding.SECONDS = 0.0


def _ask(base: Path, here: Path, out: Path, pause: float) -> tuple[str, str] | None:
    import time

    time.sleep(pause)
    here.mkdir(exist_ok=True)
    photo = base / "photos" / "003_0.jpg"
    try:
        ended = command(here, "locate", photo, "--index", out, "--top", 1, "--json")
        check_speech(ended)
    except Fault as fault:
        return fault.kind, fault.detail
    if ended.code or f'"path": "{photo}"' not in ended.out:
        return "silent difference", f"while others add: {ended.out} {ended.err}"
    return None


def forked_later(job: partial[tuple[str, str] | None]):  # type: ignore[no-untyped-def]
    """Begin `job` in a fork; the function that is returned waits for what it returns."""
    import pickle

    read, write = os.pipe()
    pid = os.fork()
    if not pid:
        os.write(write, pickle.dumps(job())[:60000])
        os._exit(0)
    os.close(write)

    def end() -> tuple[str, str] | None:
        with open(read, "rb") as pipe:
            data = pipe.read()
        os.waitpid(pid, 0)
        return pickle.loads(data)  # type: ignore[no-any-return]

    return end


def _check_all_there(base: Path, here: Path, out: Path) -> None:
    def paths() -> list[str]:
        from netvlad.maps.index import PlaceIndex

        index = PlaceIndex.open(out)
        index.locate(index.places.path[0])
        return sorted(index.places.path.tolist())

    ended = forked(paths, here)
    wanted = sorted(str(path) for path in (base / "photos").iterdir())
    if ended.value != wanted:
        raise Fault("silent difference", f"{len(ended.value or [])} photos, not {len(wanted)}: {ended.err}")


AREAS = [
    Area("full disk", 0.02, kills.prepare, full, 1, 240.0, _no_tmpfs),
    Area("limits", 0.03, kills.prepare, limits, 1, 240.0),
    Area("together", 0.02, kills.prepare, together, 1, 120.0),
]
