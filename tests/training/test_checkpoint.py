from __future__ import annotations

import json
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from netvlad.errors import NetvladError
from netvlad.training.checkpoint import Checkpoint, read_checkpoint, write_checkpoint
from netvlad.training.record import Epoch, TrainerState


@pytest.fixture
def checkpoint() -> Checkpoint:
    return Checkpoint(
        settings={"lr": 0.1, "apart": None},
        data="1f",
        state=TrainerState(2, 4, 1),
        epoch=Epoch(2, 0.1, 1000, loss=0.5, seconds={"forward": 1.5}),
        progress={"recall": None, "best": 1, "epochs": []},
        now={"backbone.body.w": torch.tensor([1.0, 2.0]), "pooling.centres": torch.tensor([3.0])},
        best={"backbone.body.w": torch.tensor([4.0, 5.0]), "pooling.centres": torch.tensor([6.0])},
        optimizer={"pooling.centres": {"exp_avg": torch.tensor([7.0]), "step": torch.tensor(8.0)}},
        objective={"remembered": torch.tensor([[1, -1]]), "refresh.pooling.centres": torch.tensor([9.0])},
    )


def assert_same(a: dict, b: dict) -> None:
    assert a.keys() == b.keys()
    for name in a:
        assert_same(a[name], b[name]) if isinstance(a[name], dict) else torch.testing.assert_close(a[name], b[name])


@pytest.mark.parametrize("first", [False, True])
def test_what_is_written_is_read(checkpoint, tmp_path, first):
    if first:
        checkpoint = replace(checkpoint, epoch=None, best={}, optimizer={})
    write_checkpoint(tmp_path / "c.safetensors", checkpoint)
    found = read_checkpoint(tmp_path / "c.safetensors")
    for name in ("settings", "data", "state", "epoch", "progress"):
        assert getattr(found, name) == getattr(checkpoint, name)
    for name in ("now", "best", "optimizer", "objective"):
        assert_same(getattr(found, name), getattr(checkpoint, name))


def test_tensors_that_share_memory_are_written(checkpoint, tmp_path):
    shared = replace(checkpoint, best=checkpoint.now)
    write_checkpoint(tmp_path / "c.safetensors", shared)
    assert_same(read_checkpoint(tmp_path / "c.safetensors").best, checkpoint.now)


def rewritten(path, change, **about) -> None:
    with safe_open(path, "pt") as file:
        tensors = {change(name): file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - it is no dict
        save_file(tensors, path, {**file.metadata(), **about})


def test_a_checkpoint_of_version_0_1_0_calls_the_backbone_trunk(checkpoint, tmp_path):
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, checkpoint)
    rewritten(path, lambda name: name.replace("backbone", "trunk"))
    assert_same(read_checkpoint(path).now, checkpoint.now)


def test_other_files_are_refused(checkpoint, tmp_path):
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, checkpoint)
    rewritten(path, str, format="9")
    with pytest.raises(NetvladError, match=r"c\.safetensors: a checkpoint of format 9; this version reads 1"):
        read_checkpoint(path)
    save_file({"w": torch.zeros(1)}, path)
    with pytest.raises(NetvladError, match="a checkpoint of format None"):
        read_checkpoint(path)
    path.write_bytes(b"no checkpoint")
    with pytest.raises(NetvladError, match="is not a checkpoint") as refusal:
        read_checkpoint(path)
    assert refusal.value.path == str(path)


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("settings", [1]),
        ("at", {"epoch": 1, "else": 2}),
        ("at", [1]),
        ("epoch", {"number": 1}),
        ("record", None),
        ("record", {"recall": None, "best": 0}),
        ("record", {"recall": None, "best": 0, "epochs": [{"number": 1}]}),
        ("record", {"recall": None, "best": 0, "epochs": [3]}),
        (None, [1, 2]),
        (None, "text"),
    ],
)
def test_a_state_of_another_shape_is_refused(checkpoint, tmp_path, part, value):
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, checkpoint)
    with safe_open(path, "pt") as file:
        about = file.metadata()
    state = {**json.loads(about["state"]), part: value} if part else value
    save_file({"now.w": torch.zeros(1)}, path, {**about, "state": json.dumps(state)})
    with pytest.raises(NetvladError, match="is not a checkpoint"):
        read_checkpoint(path)


def test_a_state_of_nested_brackets_is_refused(checkpoint, tmp_path):
    path = tmp_path / "c.safetensors"
    write_checkpoint(path, checkpoint)
    with safe_open(path, "pt") as file:
        about = file.metadata()
    save_file({"now.w": torch.zeros(1)}, path, {**about, "state": "[" * 100_000})
    with pytest.raises(NetvladError, match="is not a checkpoint"):
        read_checkpoint(path)
