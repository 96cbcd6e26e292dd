from __future__ import annotations

import os
import subprocess
import sys

import pytest
from threadpoolctl import threadpool_info, threadpool_limits

from netvlad.runtime.threads import WAITING, one_thread


def environment_after_import(**given: str) -> dict[str, str]:
    """The settings of waiting threads in a fresh process that has imported netvlad and, after it, NumPy."""
    shown = (
        f"import sys, netvlad, os; assert 'numpy' not in sys.modules; print(*(os.environ[n] for n in {list(WAITING)}))"
    )
    others = {name: value for name, value in os.environ.items() if name not in WAITING}
    command = [sys.executable, "-c", shown]
    out = subprocess.run(command, env=others | given, capture_output=True, text=True, check=True).stdout
    return dict(zip(WAITING, out.split(), strict=True))


def test_threads_wait_asleep_from_the_first_import_on() -> None:
    assert environment_after_import() == WAITING


def test_what_the_user_set_stays() -> None:
    assert environment_after_import(OMP_WAIT_POLICY="ACTIVE") == WAITING | {"OMP_WAIT_POLICY": "ACTIVE"}


def blas_threads() -> set[int]:
    return {pool["num_threads"] for pool in threadpool_info() if pool["user_api"] == "blas"}


@pytest.mark.skipif(not blas_threads(), reason="NumPy's products run on no pool that can be asked (macOS)")
def test_products_run_on_one_thread_and_on_as_many_as_before_after() -> None:
    with threadpool_limits(2, user_api="blas"):
        with one_thread():
            assert blas_threads() == {1}
        assert blas_threads() == {2}
        with pytest.raises(ZeroDivisionError), one_thread():
            1 / 0  # noqa: B018
        assert blas_threads() == {2}
