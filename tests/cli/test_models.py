from __future__ import annotations

from netvlad.describe.zoo import TRUNKS, known


def test_models_lists_what_is_known_in_full(netvlad):
    ran = netvlad("models")
    assert (ran.code, ran.err) == (0, "")
    lines = ran.out.splitlines()
    for trunk in known():
        row = next(line for line in lines if line.split()[:1] == [trunk.trunk])
        for text in (trunk.stage, str(trunk.dim), str(64 * trunk.dim), trunk.weights, trunk.licence, trunk.remark):
            assert text in row
    assert {k.trunk for k in known()} == set(TRUNKS)
    assert "…" not in ran.out
