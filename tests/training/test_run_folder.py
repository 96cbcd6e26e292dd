from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import netvlad
from netvlad.errors import NetvladError
from netvlad.places import Places
from netvlad.training import Config, Diverged, Jitter, Mining, train
from netvlad.training import run_folder as module
from netvlad.training.schema import build
from netvlad.training.settings import read_settings
from netvlad.training.trainer import Trainer

STOP = KeyboardInterrupt


def config(**options) -> Config:
    return Config(**{"epochs": 3, "batch": 2, "refresh": 4, "lr": 0.05, "margin": 0.3, "optimizer": "sgd", **options})


def stop_at(monkeypatch, count: int, name: str = "step", after: bool = False) -> None:
    """Interrupt the run before (or after) its method `name` is called for the `count`th time."""
    method, calls = getattr(Trainer, name), []

    def stopped(self, *arguments):
        calls.append(name)
        if len(calls) == count and not after:
            raise STOP
        out = method(self, *arguments)
        if len(calls) == count:
            raise STOP
        return out

    monkeypatch.setattr(Trainer, name, stopped)


def tensors(run: Path) -> dict[str, bytes]:
    return {k: t.numpy().tobytes() for k, t in load_file(run / "model.safetensors").items()}


@pytest.fixture(scope="module")
def whole():
    """Of each setting the run that was never stopped, once: name -> (record, the model's tensors)."""
    return {}


@pytest.fixture(autouse=True)
def few_curves(request, monkeypatch):
    """Drawing takes longer than these runs."""
    if request.node.name != "test_what_a_run_leaves":
        monkeypatch.setattr(module, "draw_curves", lambda record, path: None)


SETTINGS = {
    "sgd": {},
    "adamw": {"optimizer": "adamw", "lr": 1e-3, "schedule": "cosine", "warm_up": 0.5},
    "often": {"checkpoint_every": 2, "mining": Mining(sample=3, cached_negatives=2)},
    "partial": {"checkpoint_every": 2, "cache": "partial", "mining": Mining(sample=4, cached_negatives=2)},
    "jitter": {"checkpoint_every": 2, "jitter": Jitter(brightness=0.3, crop=0.2, rotation=5.0), "freeze": False},
    "places": {"loss": "multi-similarity", "per_place": 2, "lr": 0.01},
}


@pytest.mark.parametrize("count", [1, 3, 5, 8])
@pytest.mark.parametrize("name", SETTINGS)
def test_a_stopped_run_ends_as_one_never_stopped(network, street, tmp_path, monkeypatch, whole, name, count):
    tables = street(5)
    settings = config(**SETTINGS[name])

    def go(run, **options):
        model = network("netvlad")
        record = train(model, tables, settings, validation=tables, out=run, workers=0, **options).record
        return record, {k: t.numpy().tobytes() for k, t in model.state_dict().items()}

    if name not in whole:
        whole[name] = (*go(tmp_path / "whole"), tensors(tmp_path / "whole"))
    record, weights, saved = whole[name]
    with monkeypatch.context() as patch:
        stop_at(patch, count)
        with pytest.raises(STOP):
            go(tmp_path / "stopped")
    again, others = go(tmp_path / "stopped", resume=True)
    assert others == weights
    assert tensors(tmp_path / "stopped") == saved
    for a, b in zip(record.epochs, again.epochs, strict=True):
        assert (a.loss, a.violating, a.tuples, a.steps, a.recall, a.lr) == (
            b.loss, b.violating, b.tuples, b.steps, b.recall, b.lr
        )  # fmt: skip
    assert (record.best, record.recall) == (again.best, again.recall)


def test_stopped_again_and_again(network, street, tmp_path, monkeypatch):
    tables, settings = street(5), config(checkpoint_every=1, epochs=2)
    train(network("max"), tables, settings, out=tmp_path / "whole")
    run, resume, stops = tmp_path / "stopped", False, 0
    while True:
        with monkeypatch.context() as patch:
            stop_at(patch, 2)  # one step further each time
            try:
                train(network("max"), tables, settings, out=run, resume=resume)
                break
            except STOP:
                resume, stops = True, stops + 1
    assert stops == 5  # of six steps
    assert tensors(run) == tensors(tmp_path / "whole")


@pytest.mark.parametrize("moment", ["checkpoint", "model", "card", "log"])
def test_a_kill_while_writing(network, street, tmp_path, monkeypatch, moment):
    """Every file is whole; what is of two epochs is mended by going on."""
    tables, settings, run = street(5), config(), tmp_path / "run"
    train(network("max"), tables, settings, out=tmp_path / "whole")
    replace, seen = os.replace, []
    name = {"checkpoint": "checkpoint.safetensors", "model": "model.safetensors", "card": "card.json"}.get(moment)

    def killed(source, target):
        if Path(target).name == (name or "log.jsonl") and Path(target).parent == run:
            seen.append(target)
            if len(seen) == 2:
                raise STOP
        replace(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", killed)
        with pytest.raises(STOP):
            train(network("max"), tables, settings, out=run)
    train(network("max"), tables, settings, out=run, resume=True)
    assert tensors(run) == tensors(tmp_path / "whole")
    assert len((run / "log.jsonl").read_text().splitlines()) == 3
    netvlad.load(run)


def test_a_killed_process(network, street, tmp_path, monkeypatch):
    tables = street(6)
    settings = config(batch=1, refresh=3, checkpoint_every=2)
    train(network("netvlad"), tables, settings, out=tmp_path / "whole", workers=0)
    read, write = os.pipe()
    child = os.fork()
    if not child:
        step = Trainer.step

        def told(self, *arguments):
            step(self, *arguments)
            os.write(write, b".")

        monkeypatch.setattr(Trainer, "step", told)
        train(network("netvlad"), tables, settings, out=tmp_path / "killed", workers=0)
        time.sleep(60)  # never reached: it is killed on the way
        os._exit(0)
    got = b""
    while len(got) < 9:  # in the second epoch of three
        got += os.read(read, 1)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    steps = count_steps(monkeypatch)
    train(network("netvlad"), tables, settings, out=tmp_path / "killed", resume=True, workers=0)
    assert 0 < len(steps) <= 18 - 9 + 3  # at most two queries and the one on its way were lost
    assert tensors(tmp_path / "killed") == tensors(tmp_path / "whole")


def count_steps(monkeypatch) -> list:
    calls, step = [], Trainer.step
    monkeypatch.setattr(Trainer, "step", lambda self, *a: (step(self, *a), calls.append(1))[0])
    return calls


def test_what_a_run_leaves(network, street, tmp_path, monkeypatch):
    recalls = iter([0.1, 0.2, 0.4, 0.3])
    monkeypatch.setattr("netvlad.training.validation.Validation.recall", lambda *args: next(recalls))
    run, held = tmp_path / "run", street(6, seed=3)
    model = network("netvlad")
    record = train(model, street(5), config(), validation=held, out=run, about={"model": "test"}, workers=0).record
    assert {path.name for path in run.iterdir()} == {
        "config.yaml", "start", "checkpoint.safetensors", "log.jsonl", "curves.png", "tensorboard",
        "model.safetensors", "card.json",
    }  # fmt: skip
    best = netvlad.load(run)
    assert best.identity == model.identity
    assert best.fitted_on["training"]["epoch"] == record.best
    assert best.fitted_on["training"]["recall@5"] == record.epochs[record.best - 1].recall
    lines = [json.loads(line) for line in (run / "log.jsonl").read_text().splitlines()]
    assert [line["number"] for line in lines] == [1, 2, 3]
    assert [line["best"] for line in lines].index(True) == record.best - 1
    assert {"mining", "loading", "forward", "backward", "cache", "validation"} == set(lines[0]["seconds"])
    assert 0 < sum(lines[1]["seconds"].values()) <= lines[1]["wall"]
    values, about = read_settings(run / "config.yaml")
    assert build(Config, values, "x") == config()
    assert about == {"model": "test"}
    assert (run / "curves.png").read_bytes().startswith(b"\x89PNG")


def test_tensorboard_shows_each_step_once(network, street, tmp_path, monkeypatch):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    run, tables = tmp_path / "run", street(5)
    with monkeypatch.context() as patch:
        stop_at(patch, 6)
        with pytest.raises(STOP):
            train(network("max"), tables, config(), out=run)
    record = train(network("max"), tables, config(), out=run, resume=True).record
    shown = EventAccumulator(str(run / "tensorboard"))
    shown.Reload()
    steps = [event.step for event in shown.Scalars("step/loss")]
    assert sorted(steps) == [2, 4, 5, 7, 9, 10, 12, 14, 15]  # its files are read in any order
    losses = [event.value for event in shown.Scalars("epoch/loss")]
    assert losses == pytest.approx([epoch.loss for epoch in record.epochs])


def test_a_finished_run_goes_on_to_its_end(network, street, tmp_path):
    tables, run = street(4), tmp_path / "run"
    first = train(network("max"), tables, config(), out=run).record
    before = tensors(run)
    (run / ".checkpoint.safetensors.77.tmp").write_bytes(b"half of it")  # a kill left it
    model = network("max")
    again = train(model, tables, config(), out=run, resume=True).record
    assert [e.loss for e in again.epochs] == [e.loss for e in first.epochs]
    assert tensors(run) == before
    assert not list(run.glob(".*"))
    own = {k.replace("backbone.", "trunk.", 1): t for k, t in model.state_dict().items()}  # as the file calls it
    assert {k: t.numpy().tobytes() for k, t in own.items()} == before


def test_stopped_before_the_first_checkpoint(network, street, tmp_path, monkeypatch):
    tables, run = street(4), tmp_path / "run"
    with monkeypatch.context() as patch:
        stop_at(patch, 1, "begin")
        with pytest.raises(STOP):
            train(network("max"), tables, config(), out=run)
    assert not (run / "checkpoint.safetensors").exists()
    train(network("max"), tables, config(), out=run, resume=True)
    train(network("max"), tables, config(), out=tmp_path / "whole")
    assert tensors(run) == tensors(tmp_path / "whole")


def test_a_loss_that_is_no_number_keeps_the_last_good_checkpoint(network, street, tmp_path, monkeypatch):
    tables, run = street(5), tmp_path / "run"
    step = Trainer.step

    def broken(self, epoch, units):
        if epoch.number == 2 and self.state.done == 2:
            self.parameters[0].data.fill_(float("nan"))
        step(self, epoch, units)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", broken)
        record = train(network("max"), tables, config(refresh=100), out=run).record
    assert record.stopped == "the loss is nan in batch 2 of epoch 2; lower the learning rate (0.05)"
    saved = load_file(run / "checkpoint.safetensors")
    assert all(torch.isfinite(t).all() for k, t in saved.items() if k.startswith("now."))
    again = train(network("max"), tables, config(refresh=100), out=run, resume=True).record
    assert (again.stopped, len(again.epochs)) == ("", 3)


def test_refusals(network, street, tmp_path):
    tables, run = street(4), tmp_path / "run"
    with pytest.raises(NetvladError, match="no run is there to resume"):
        train(network("max"), tables, config(), out=run, resume=True)
    train(network("max"), tables, config(epochs=1), out=run)
    with pytest.raises(NetvladError, match=r"holds a run already: --resume .*run goes on with it"):
        train(network("max"), tables, config(epochs=1), out=run)
    with pytest.raises(NetvladError, match=r"was begun with batch 2, not 4; lr 0\.05, not 0\.1: start another run"):
        train(network("max"), tables, config(epochs=1, batch=4, lr=0.1), out=run, resume=True)
    with pytest.raises(NetvladError, match="the tables have changed since"):
        train(network("max"), (tables[0], tables[1][:3]), config(epochs=1), out=run, resume=True)
    moved = Places.build(path=tables[1].path, easting=tables[1].easting + 0.5, northing=0.0, time=tables[1].time)
    with pytest.raises(NetvladError, match="the tables have changed since"):
        train(network("max"), (tables[0], moved), config(epochs=1), out=run, resume=True)
    (run / "checkpoint.safetensors").write_bytes(b"cut off")
    with pytest.raises(NetvladError, match=r"checkpoint\.safetensors: is not a checkpoint"):
        train(network("max"), tables, config(epochs=1), out=run, resume=True)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("do not touch")
    with pytest.raises(NetvladError, match="is there already and is not empty"):
        train(network("max"), tables, config(epochs=1), out=tmp_path / "other")


def test_divergence_in_the_first_epoch_is_an_error(network, street, tmp_path):
    with pytest.raises(Diverged, match=r"of epoch 1; lower"):
        train(network("max"), street(4), config(lr=1e30), out=tmp_path / "run")
    assert not (tmp_path / "run" / "card.json").exists()


def test_the_fingerprint_knows_photos_and_positions_not_folders():
    def table(folder="a", x=0.0, day=1):
        times = [f"2025-05-0{day}T12:00:00"] * 2
        return Places.build(path=[f"{folder}/1.jpg", f"{folder}/2.jpg"], easting=[x, 9.0], northing=0.0, time=times)

    same = module.fingerprint(table(), table("b"))
    assert same == module.fingerprint(table("c"), table("d"))
    others = [(table(x=1.0), table()), (table(day=2), table()), (table(),), (table(), table()[:1])]
    assert len({same, *(module.fingerprint(*tables) for tables in others)}) == 5
