from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from netvlad.errors import NetvladError
from netvlad.places import write_places
from netvlad.training import Config, train
from netvlad.training.devices import join

SCRIPT = """
import sys
import torch
torch.set_num_threads(1)
import netvlad
from netvlad.training import Config, train
from netvlad.training.validation import Validation
recalls = iter([0.1, 0.2, 0.3])  # the start finds all photos of so small a street
Validation.recall = lambda *given: next(recalls)
folder, epochs = sys.argv[1:]
tables = [netvlad.read_places(f"{folder}/{name}.csv") for name in ("database", "queries")]
settings = Config(epochs=int(epochs), batch=4, refresh=4, lr=0.05, margin=0.3, storage="float32", device="cpu")
record = train(folder + "/model", tables, settings, validation=tables, out=folder + "/run", workers=0).record
print(record.epochs[0].violating, record.epochs[0].tuples)
"""


def test_two_processes_learn_what_one_does(network, street, tmp_path, monkeypatch):
    """Each a machine by itself, on a CPU, joined by gloo; one of them has no tuple in the last batch of 5 queries."""
    tables = street(5)
    for name, table in zip(("database", "queries"), tables, strict=True):
        write_places(table, tmp_path / f"{name}.csv")
    network("netvlad").save(tmp_path / "model")
    with socket.create_server(("127.0.0.1", 0)) as listening:
        meeting = f"--master-port={listening.getsockname()[1]}"
    command = [sys.executable, "-m", "torch.distributed.run", "--nnodes=2", "--master-addr=127.0.0.1", meeting]
    (tmp_path / "two.py").write_text(SCRIPT)
    machines = [
        subprocess.Popen(
            [*command, f"--node-rank={rank}", str(tmp_path / "two.py"), str(tmp_path), "2"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"},
        )
        for rank in range(2)
    ]  # fmt: skip
    said = [machine.communicate(timeout=300) for machine in machines]
    assert [machine.returncode for machine in machines] == [0, 0], said
    recalls = iter([0.1, 0.2, 0.3])
    monkeypatch.setattr("netvlad.training.validation.Validation.recall", lambda *given: next(recalls))
    model = network("netvlad")
    settings = Config(epochs=2, batch=4, refresh=4, lr=0.05, margin=0.3, storage="float32")
    record = train(model, tables, settings, validation=tables, workers=0).record
    first = record.epochs[0]
    assert [out for out, _ in said] == [f"{first.violating} {first.tuples}\n"] * 2
    two = load_file(tmp_path / "run" / "model.safetensors")
    before = load_file(tmp_path / "model" / "model.safetensors")
    for key, tensor in model.state_dict().items():
        torch.testing.assert_close(two[key.replace("backbone.", "trunk.", 1)], tensor, rtol=1e-4, atol=1e-5, msg=key)
    assert max(float((two[key.replace("backbone.", "trunk.", 1)] - before[key]).abs().max()) for key in two) > 1e-3


def test_alone():
    devices = join("cpu")
    assert (devices.rank, devices.world, devices.device.type) == (0, 1, "cpu")
    assert devices.total(torch.tensor([2.0])).item() == 2.0


def test_a_device_that_is_not_here(monkeypatch):
    monkeypatch.setattr("netvlad.describe.device.devices", lambda: ["cpu", "cuda:0"])
    for name in ("cuda:1", "mps", "gpu"):
        with pytest.raises(NetvladError, match="cpu, cuda:0"):
            join(name)


def test_a_device_that_is_here(monkeypatch):
    monkeypatch.setattr("netvlad.describe.device.devices", lambda: ["cpu", "cuda:0", "cuda:1", "mps"])
    join.cache_clear()
    assert [str(join(name).device) for name in ("cuda:1", "cuda", "mps")] == ["cuda:1", "cuda", "mps"]
    monkeypatch.setenv("NETVLAD_DEVICE", "cuda:1")
    assert str(join("auto").device) == "cuda:1"
    join.cache_clear()


def test_one_card_for_several_processes_is_refused(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "2")
    join.cache_clear()
    with pytest.raises(NetvladError, match="card of its own"):
        join("cuda:1")
    join.cache_clear()


def test_without_fabric(monkeypatch):
    monkeypatch.setitem(sys.modules, "lightning_fabric", None)
    monkeypatch.setenv("WORLD_SIZE", "2")
    join.cache_clear()
    with pytest.raises(NetvladError, match=r"needs Lightning Fabric: pip install 'netvlad\[train\]'"):
        join("cpu")
    join.cache_clear()


@pytest.mark.parametrize(
    "options", [{"recompute": True}, {"channels_last": True}, {"recompute": True, "freeze": False}]
)
def test_less_memory_and_other_layouts_learn_the_same(network, street, options):
    tables, found = street(4), []
    for more in ({}, options):
        model = network("netvlad")
        train(model, tables, Config(epochs=1, lr=0.05, margin=0.3, storage="float32", start="layer2", **more))
        found.append({k: t.clone() for k, t in model.state_dict().items()})
        assert all(p.is_contiguous() for p in model.parameters())
    for key in found[0]:
        torch.testing.assert_close(found[1][key], found[0][key], rtol=1e-4, atol=1e-5, msg=key)


def test_recomputing_runs_the_blocks_twice(network, street):
    calls, tables = [], street(4)
    for recompute in (False, True):
        model = network("max")
        count = []
        block = model.backbone.body.layer3[0]
        block.register_forward_pre_hook(lambda *_, count=count: count.append(torch.is_grad_enabled()))
        train(model, tables, Config(epochs=1, margin=0.3, recompute=recompute))
        calls.append(sum(count))
    assert calls[1] == 2 * calls[0] > 0
