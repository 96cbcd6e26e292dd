from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image
from safetensors.torch import load_file
from typer.testing import CliRunner

import netvlad as package
from netvlad.cli import main, train
from netvlad.registry import losses
from netvlad.training import run_folder
from netvlad.training.config import Config
from netvlad.training.record import Epoch, Record
from netvlad.training.schema import keys
from netvlad.training.trainer import Trainer

SHORT = ["--model", "test_resnet-netvlad", "--clusters", 4, "--epochs", 2, "--batch", 2, "--refresh", 4, "--lr", "1e-2"]
SHORT += ["--apart", "none", "--margin", 0.3, "--workers", 0]


@pytest.fixture(autouse=True)
def no_curves(monkeypatch):
    monkeypatch.setattr(run_folder, "draw_curves", lambda record, path: None)


@pytest.fixture(scope="module")
def streets(tmp_path_factory) -> Path:
    """a.csv, b.csv: 5 places each, two photos of each place 4 m apart, places 100 m apart."""
    folder = tmp_path_factory.mktemp("streets")
    rng = np.random.default_rng(0)
    for street, name in enumerate("ab"):
        rows = ["path,easting,northing,utm"]
        for place in range(5):
            texture = Image.fromarray(rng.integers(0, 256, (6, 8, 3), dtype=np.uint8))
            for visit in range(2):
                photo = np.asarray(texture.resize((64, 48), Image.Resampling.BICUBIC)) * rng.uniform(0.4, 1)
                Image.fromarray(photo.astype(np.uint8)).save(folder / f"{name}{place}{visit}.png")
                at = f"{500000 + 100 * place + 4 * visit},{4000000 + 1000 * street},36N"
                rows.append(f"{name}{place}{visit}.png,{at}")
        (folder / f"{name}.csv").write_text("\n".join(rows) + "\n")
    return folder


def test_fixed_cameras_adjust_local_descriptors_first(netvlad, streets, tmp_path):
    table, run = streets / "cameras.csv", tmp_path / "run"
    table.write_text("path,place\n" + "".join(f"a{i}{j}.png,cam{i}\n" for i in range(3) for j in range(2)))
    begin = ["train", "--places", streets / "a.csv", "--out", run, *SHORT, "--epochs", 1, "--loss", "softmax"]
    ran = netvlad(*begin, "--cameras", table)
    assert ran.code == 0, ran.err
    model = package.load(run)
    assert model.architecture["local"] == {"within": len(model.local.gains)}
    start = package.load(run / "start").local
    assert np.array_equal(start.directions, model.local.directions)  # it is not trained
    fitted = tmp_path / "fitted"  # what was trained keeps it; the vectors are normalised afterwards
    given = ["--places", streets / "a.csv", "--model", run, "--cameras", table]
    assert netvlad("fit", *given, "--out", fitted).code == 0
    again = package.load(fitted)
    assert np.array_equal(again.local.directions, model.local.directions)
    assert "within" in again.architecture["whitening"]
    assert np.array_equal(again.pooling.centres.detach(), model.pooling.centres.detach())


def test_train_and_use_the_model(netvlad, streets, tmp_path, monkeypatch):
    recalls = iter([0.1, 0.2, 0.3])
    monkeypatch.setattr("netvlad.training.validation.Validation.recall", lambda *args: next(recalls))
    run = tmp_path / "run"
    ran = netvlad("train", "--places", streets / "a.csv", "--validate", streets / "b.csv", "--out", run, *SHORT)
    assert ran.code == 0, ran.err
    assert [line.split()[0] for line in ran.out.splitlines() if line.strip()][:1] == ["epoch"]
    assert f"use it with --model {run}" in ran.err.splitlines()[-1]
    settings = yaml.safe_load((run / "config.yaml").read_text())
    assert settings["run"]["places"] == [str(streets / "a.csv")]
    assert (settings["run"]["preset"], settings["lr"], settings["apart"]) == ("paper", 0.01, None)
    model = package.load(run)
    assert model.fitted_on["places"] == "a.csv"
    assert model.fitted_on["training"]["database"] == 10
    ran = netvlad("index", streets / "a.csv", "--out", tmp_path / "a.vpr", "--model", run)
    assert ran.code == 0
    assert "10 photos added" in ran.err


@pytest.fixture(scope="module")
def avenue(tmp_path_factory) -> Path:
    """A table of 60 places 30 m apart, two photos of each 4 m apart."""
    folder = tmp_path_factory.mktemp("avenue")
    rng = np.random.default_rng(0)
    rows = ["path,easting,northing,utm"]
    for place in range(60):
        texture = rng.integers(0, 256, (4, 5, 3), dtype=np.uint8)
        for visit in range(2):
            photo = np.asarray(Image.fromarray(texture).resize((32, 32), Image.Resampling.BICUBIC))
            noisy = np.clip(photo * rng.uniform(0.4, 1) + rng.normal(0, 20, photo.shape), 0, 255)
            Image.fromarray(noisy.astype(np.uint8)).save(folder / f"{place}{visit}.png")
            rows.append(f"{place}{visit}.png,{500000 + 30 * place + 4 * visit},4000000,36N")
    (folder / "avenue.csv").write_text("\n".join(rows) + "\n")
    return folder / "avenue.csv"


QUICK = ["--epochs", 1, "--batch", 8, "--margin", 0.3, "--apart", "none", "--workers", 0]


def test_without_other_places_one_end_is_held_out(netvlad, avenue, tmp_path):
    run = tmp_path / "run"
    begin = ["train", "--places", avenue, "--model", "test_resnet-netvlad", "--clusters", 4, *QUICK]
    ran = netvlad(*begin, "--out", run)
    assert ran.code == 0, ran.err
    assert "24 of 120 photos at one end of the area are held out" in ran.err
    first = json.loads((run / "log.jsonl").read_text())
    assert first["recall"] is not None
    assert netvlad("train", "--resume", run, "--workers", 0).code == 0  # its tables are divided as they were
    record = package.load(run).fitted_on.get("training", {"queries": 120 - 24})
    assert record["queries"] <= 120 - 24


@pytest.fixture(scope="module")
def mapped(avenue, made_up_weights, tmp_path_factory) -> Path:
    """A map of the avenue, by a model of made-up weights."""
    folder = tmp_path_factory.mktemp("maps") / "avenue.vpr"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NETVLAD_WEIGHTS", str(made_up_weights))
        model = package.load("test_resnet-netvlad", clusters=4)
    package.PlaceIndex.create(folder, model).add(package.read_places(avenue), workers=0)
    return folder


@pytest.mark.parametrize(("after", "epoch"), [(0.75, 1), (0.5, 0)])
def test_a_model_is_tuned_to_the_photos_of_a_map(netvlad, mapped, tmp_path, monkeypatch, after, epoch):
    recalls = iter([0.5, after])
    monkeypatch.setattr("netvlad.training.validation.Validation.recall", lambda *args: next(recalls))
    run, own = tmp_path / "tuned", package.PlaceIndex.open(mapped).model
    ran = netvlad("train", "--map", mapped, "--out", run, *QUICK, "--precision", "float32")
    assert ran.code == 0, ran.err
    settings = yaml.safe_load((run / "config.yaml").read_text())
    assert (settings["run"]["map"], settings["run"]["preset"]) == (str(mapped), "fast")
    tuned = package.load(run)
    assert (tuned.identity == own.identity) == (epoch == 0)
    last = ran.err.splitlines()[-1]
    if epoch:
        assert "of 24 photos of other places 50.0 -> 75.0 % (6 more found)" in last
    else:
        assert "training gained nothing" in last
        assert "stay with" in last
    assert netvlad("train", "--resume", run, "--workers", 0).code == 0


@pytest.mark.parametrize(
    ("before", "after", "queries", "chance"),
    [(0.985, 0.993, 134, True), (0.9, 0.92, 100, True), (0.8, 0.9, 100, False), (0.6, 0.66, 1000, False)],
)
def test_a_small_gain_may_be_chance(before, after, queries, chance):
    record = Record(Config(), "layer3", 10, 0, recall=before, validated=queries, best=1)
    record.epochs = [Epoch(1, 0.1, 1, steps=1, recall=after)]
    assert ("may be chance" in train.outcome(record, Path("run"))) == chance


def test_what_a_map_does_not_go_with(refused, mapped, streets, tmp_path):
    begin = ["train", "--map", mapped, "--out", tmp_path / "run"]
    assert "not both" in refused(*begin, "--places", streets / "a.csv")
    assert "add --model" in refused(*begin, "--clusters", "8")
    assert refused("train", "--map", tmp_path / "none.vpr", "--out", tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_several_tables_are_one(netvlad, streets, tmp_path):
    tables = ["--places", streets / "a.csv", "--places", streets / "b.csv"]
    assert netvlad("train", *tables, "--out", tmp_path / "run", *SHORT, "--epochs", 1).code == 0
    card = json.loads((tmp_path / "run" / "card.json").read_text())
    assert (card["fitted_on"]["training"]["database"], card["fitted_on"]["places"]) == (20, "a.csv, b.csv")


def test_interrupted_and_resumed(netvlad, streets, tmp_path, monkeypatch):
    arguments = ["train", "--places", streets / "a.csv", "--validate", streets / "b.csv", *SHORT]
    assert netvlad(*arguments, "--out", tmp_path / "whole").code == 0
    run, step, calls = tmp_path / "run", Trainer.step, []

    def stopped(self, *args):
        calls.append(1)
        if len(calls) == 7:
            raise KeyboardInterrupt
        step(self, *args)

    with monkeypatch.context() as patch:
        patch.setattr(Trainer, "step", stopped)
        ran = netvlad(*arguments, "--out", run)
    assert ran.code == 130
    assert f"go on with: netvlad train --resume {run}" in ran.err
    assert netvlad("train", "--resume", run, "--workers", 0).code == 0
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (run, tmp_path / "whole"))
    assert all(ours[key].numpy().tobytes() == theirs[key].numpy().tobytes() for key in theirs)


def test_refusals(refused, netvlad, streets, tmp_path):
    a = streets / "a.csv"
    assert "--out are needed" in refused("train", "--places", a)
    assert "--out are needed" in refused("train", "--out", tmp_path / "run")
    begin = ["train", "--places", a, "--out", tmp_path / "run", *SHORT]
    assert "choose one of day-night, fast, modern, paper, street, or a YAML file" in refused(*begin, "--preset", "slow")
    assert "lr 'quick' is not allowed; wanted: a number" in refused(*begin, "--lr", "quick")
    message = refused(*begin, "--positives", "newest")
    assert message.endswith("choose one of any, other-date, same-date, other-light, verified")
    assert "optimizer 'adam' does not exist; choose one of sgd, adamw" in refused(*begin, "--optimizer", "adam")
    (tmp_path / "mine.yaml").write_text("epochs: 2\nlearning_rate: 1\n")
    message = refused(*begin, "--preset", tmp_path / "mine.yaml")
    assert "mine.yaml: no key is called 'learning_rate'" in message
    assert "the keys are start, loss, positives, positive_radius" in message
    assert "no run is there to resume" in refused("train", "--resume", tmp_path / "none")
    assert not (tmp_path / "run").exists()
    ran = netvlad("train", "--lrr", "1")
    assert ran.code == 2
    assert "No such option: --lrr" in ran.err
    ran = netvlad(*begin[:2], one_spot(streets, tmp_path), *begin[3:], "--apart", "1")
    assert ran.code == 1
    assert "are all positions equal" in ran.err
    shutil.rmtree(tmp_path / "run", ignore_errors=True)
    assert netvlad(*begin, "--epochs", 1).code == 0
    assert "holds a run already" in refused(*begin)
    message = refused("train", "--resume", tmp_path / "run", "--batch", "8")
    assert message.endswith("leave out --batch, or begin another run")
    package.load(tmp_path / "run")


def one_spot(streets: Path, folder: Path) -> Path:
    rows = [f"{streets}/a{i}0.png,500000,4000000,36N" for i in range(5)]
    (folder / "spot.csv").write_text("\n".join(["path,easting,northing,utm", *rows]))
    return folder / "spot.csv"


def test_old_names_of_options_work(netvlad, streets, tmp_path):
    begin = ["train", "--places", streets / "a.csv", "--out", tmp_path / "run", *SHORT, "--epochs", 1]
    with pytest.warns(FutureWarning, match="used is called negatives now"):
        assert netvlad(*begin, "--used", 3).code == 0
    settings = yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())
    assert settings["negatives"] == 3
    assert "used" not in settings


def test_a_loss_of_another_package(netvlad, refused, streets, tmp_path, monkeypatch):
    begin = ["train", "--places", streets / "a.csv", "--out", tmp_path / "run", *SHORT, "--epochs", 1]
    message = refused(*begin, "--loss", "pull")
    assert message.endswith("loss 'pull' does not exist; choose one of ranking, softmax, multi-similarity")
    package = tmp_path / "pulls-1.0.dist-info"
    package.mkdir()
    (package / "METADATA").write_text("Metadata-Version: 2.1\nName: pulls\nVersion: 1.0\n")
    (package / "entry_points.txt").write_text("[netvlad.losses]\npull = pulls:pull\n")
    (tmp_path / "pulls.py").write_text(
        "def pull(query, positives, negatives, margin):\n    return query @ negatives[0]\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(losses, "_entries", dict(losses._entries))
    monkeypatch.setattr(losses, "_points", None)  # packages are looked up once
    assert netvlad(*begin, "--loss", "pull").code == 0
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["loss"] == "pull"


def test_help_has_every_key_once():
    ran = CliRunner(env={"COLUMNS": "80"}).invoke(main.app, ["train", "--help"])
    assert ran.exit_code == 0
    assert "…" not in ran.output
    for each in keys(Config):
        assert ran.output.count(f" --{each.name.replace('_', '-')} ") == 1, each.name
    assert train.EXAMPLE in " ".join(ran.output.split())
