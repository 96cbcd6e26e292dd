from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from netvlad.errors import NetvladError
from netvlad.runtime.workers import cores, default_workers, in_chunks, in_order, pool

# A main process that starts a worker, tells its number, and waits to be killed.
MAIN = """
import os, sys, time
from netvlad.runtime.workers import pool
executor = pool(1)
print(executor.submit(os.getpid).result(), flush=True)
executor.submit(time.sleep, 60)
time.sleep(60)
"""


def times_ten(job: int) -> int:
    return 10 * job


def test_here_one_after_the_other():
    """With no workers each job is done when it is asked for, in this process."""
    done = []

    def note(job: int) -> tuple[int, int]:
        done.append(job)
        return job, os.getpid()

    results = in_order(note, iter([3, 1, 2]), 0)
    assert done == []
    assert next(results) == (3, os.getpid())
    assert done == [3]
    assert [job for job, _ in results] == [1, 2]
    assert list(in_order(note, [], 0)) == []


def test_in_other_processes_in_order():
    """Local functions travel by value: what a test module holds need not be importable over there."""

    def slow_at_first(job: int) -> tuple[int, int]:
        time.sleep(0.3 if job == 0 else 0)
        return 10 * job, os.getpid()

    taken = []

    def jobs():
        for job in range(12):
            taken.append(job)
            yield job

    results = in_order(slow_at_first, jobs(), 2)
    first = next(results)
    assert first[0] == 0
    assert len(taken) == 4  # a little ahead, not all
    found = [first, *results]
    assert [value for value, _ in found] == list(range(0, 120, 10))
    assert os.getpid() not in {worker for _, worker in found}
    assert len({worker for _, worker in found}) <= 2


def test_nothing_to_do_elsewhere():
    assert list(in_order(times_ten, [], 2)) == []


def test_an_error_arrives_and_ends_the_workers():
    def failing(job: int) -> int:
        if job == 1:
            raise ValueError(f"job {job}, worker {os.getpid()}")
        return os.getpid()

    results = in_order(failing, range(5), 1)
    worker = next(results)
    with pytest.raises(ValueError, match=f"job 1, worker {worker}"):
        next(results)
    assert_ends(worker)


def test_a_worker_that_dies_is_noticed():
    def dying(job: int) -> int:
        os.kill(os.getpid(), signal.SIGKILL)
        return job

    with pytest.raises(NetvladError, match="a worker process died"):
        list(in_order(dying, [1], 1))


def suicidal(job: int) -> int:
    if job in (3, 5):
        os.kill(os.getpid(), signal.SIGKILL)
    return 10 * job


CHUNKS = [[0, 1], [2, 3], [4, 5, 6], [7]]


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("pause", [0.0, 0.3])  # workers die also while the reader is slow to ask for more
def test_a_job_that_takes_its_worker_down_loses_nothing_else(workers, pause):
    found = []
    for results in in_chunks(suicidal, CHUNKS, workers, lambda job: -job):
        found.append(results)
        time.sleep(pause)
    assert found == [[0, 10], [20, -3], [40, -5, 60], [70]]


def test_chunks_here():
    assert list(in_chunks(times_ten, CHUNKS, 0, lambda job: -job)) == [[0, 10], [20, 30], [40, 50, 60], [70]]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs CPU affinity")
def test_cores_by_affinity():
    before = os.sched_getaffinity(0)
    try:
        os.sched_setaffinity(0, {min(before)})
        assert cores() == 1
        assert default_workers(100, None) == 1
    finally:
        os.sched_setaffinity(0, before)


def test_workers_by_default(monkeypatch):
    monkeypatch.setattr("netvlad.runtime.workers.cores", lambda: 64)
    assert [default_workers(jobs, None, few=4) for jobs in (0, 1, 4, 5, 100)] == [0, 0, 0, 4, 4]
    assert [default_workers(jobs, None) for jobs in (1, 2)] == [0, 4]
    assert [default_workers(1, workers) for workers in (0, 1, 7)] == [0, 1, 7]


def test_a_reader_that_stops_ends_the_workers():
    def who(job: int) -> int:
        time.sleep(0.2 if job else 0)
        return os.getpid()

    results = in_order(who, range(100), 1)
    worker = next(results)
    start = time.monotonic()
    results.close()
    assert_ends(worker)
    assert time.monotonic() - start < 15  # not the 20 s of all jobs


def test_workers_stand_back():
    """They leave Ctrl-C to the main process, and the cores to whoever has more urgent work."""

    def manners() -> tuple[bool, int, int, int]:
        import cv2

        ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
        os.kill(os.getpid(), signal.SIGINT)
        return ignored, os.nice(0), threading.active_count(), cv2.getNumThreads()

    executor = pool(1)
    try:
        ignored, nice, threads, of_opencv = executor.submit(manners).result()
    finally:
        executor.shutdown(wait=False, kill_workers=True)
    assert ignored
    assert nice == min(19, os.nice(0) + 10)
    assert threads >= 2  # one of them watches the main process
    assert of_opencv == 1


def assert_ends(worker: int) -> None:
    for _ in range(200):
        if not runs(worker):
            return
        time.sleep(0.05)
    raise AssertionError(f"worker {worker} goes on")


def runs(process: int) -> bool:
    try:
        with open(f"/proc/{process}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] not in "ZX"  # a zombie has ended
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks into /proc")
def test_workers_end_when_the_main_process_is_killed():
    main = subprocess.Popen([sys.executable, "-c", MAIN], stdout=subprocess.PIPE, text=True)
    worker = int(main.stdout.readline())
    assert runs(worker)
    main.kill()
    main.wait()
    main.stdout.close()
    assert_ends(worker)
