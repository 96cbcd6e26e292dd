from __future__ import annotations

import sys
import time

import pytest

from netvlad.errors import NetvladError
from netvlad.training.config import RENAMED, Config, Jitter, Mining
from netvlad.training.settings import FOLDER, make_config, names, read_run, read_settings, write_settings


def test_the_presets():
    assert names() == ["day-night", "fast", "modern", "paper", "street"]
    assert make_config("paper") == Config()  # and so the defaults are the paper's
    fast, modern = make_config("fast"), make_config("modern")
    assert (fast.optimizer, fast.mining.apart, fast.schedule) == ("adamw", None, "cosine")
    assert (modern.loss, modern.batch, modern.per_place, modern.lr) == ("multi-similarity", 60, 4, 6e-5)
    assert modern.jitter == Jitter(brightness=0.3, contrast=0.3, saturation=0.3, white_balance=0.1, crop=0.2)
    own = make_config("day-night", cameras="cams.csv")
    assert (own.loss, own.mining.positives, own.cameras) == ("softmax", "other-light", "cams.csv")
    street = make_config("street")
    assert (street.loss, street.mining.positives, street.batch, street.lr) == ("softmax", "any", 32, 3e-4)
    assert all(len((FOLDER / f"{name}.yaml").read_text().splitlines()) < 25 for name in names())


def test_values_stand_above_the_preset(tmp_path):
    mine = tmp_path / "mine.yaml"
    mine.write_text("lr: 1e-4\nepochs: 3  # short\n")
    made = make_config(mine, epochs="7")
    assert (made.lr, made.epochs, made.batch) == (1e-4, 7, 4)
    assert make_config(lr=2) == Config(lr=2.0)
    (tmp_path / "empty.yml").write_text("# nothing\n")
    assert make_config(str(tmp_path / "empty.yml")) == Config()


def test_a_runs_settings_are_a_preset(tmp_path):
    write_settings(tmp_path, {"places": ["a.csv"]}, {"lr": 0.5, "apart": None, "start": "layer1"})
    assert make_config(tmp_path / "config.yaml").lr == 0.5
    assert read_settings(tmp_path / "config.yaml") == (
        {"lr": 0.5, "apart": None, "start": "layer1"},
        {"places": ["a.csv"]},
    )


def test_faults_name_the_file(tmp_path):
    known = "day-night, fast, modern, paper, street"
    with pytest.raises(NetvladError, match=f"no preset is called 'slow'; choose one of {known}, or a YAML file"):
        make_config("slow")
    with pytest.raises(NetvladError, match=r"none\.yaml: cannot be read"):
        make_config(tmp_path / "none.yaml")
    for text, message in (
        ("a: [1", "cannot be read as YAML"),
        ("- lr", "lines of `key: value` are wanted"),
        ("lrr: 1", "no key is called 'lrr'"),
        ("run: 7", "lines of `key: value`"),
        ("!!python/object/apply:os.system ['true']", "cannot be read as YAML"),
    ):
        (tmp_path / "bad.yaml").write_text(text)
        with pytest.raises(NetvladError, match=rf"bad\.yaml: {message}"):
            make_config(tmp_path / "bad.yaml")


LAUGHS = "\n".join(["a0: &a0 [ha, ha]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 12))])


@pytest.mark.parametrize(
    "text",
    [
        LAUGHS,
        f"lr: {LAUGHS.splitlines()[0][4:]}\nmargin: *a0",
        "lr: " + "[" * 20_000,
        "\n".join(" " * i + "a:" for i in range(300)),
        "x" * 200_000,
        "lr: 0.1\nlr: 0.2",
        "run: {places: [a], places: [b]}",
        "1: 2",
        "? [lr, margin]\n: 3",
        "lr: 2020-01-01",
        "lr: 2020-13-45",
        f"batch: {'9' * 5000}",
        f"batch: 0x{'f' * 50_000}",
        f"0x{'f' * 50_000}: 1",
        "lr: !!timestamp nonsense",
        "lr: !!bool nonsense",
        "lr: !!int ''",
        "lr: {a: b}",
        "lr: 1\n---\nlr: 2",
        "lr: \0",
    ],
)
def test_any_other_yaml_is_refused_at_once(tmp_path, text):
    (tmp_path / "bad.yaml").write_text(text)
    start = time.process_time()
    with pytest.raises(NetvladError, match=r"bad\.yaml"):
        make_config(tmp_path / "bad.yaml")
    assert time.process_time() - start < 5


@pytest.mark.parametrize("about", ["places: a.csv", "places: [1]", "places: {}", "{places: [a.csv], validate: 3}"])
def test_a_run_that_names_no_tables(tmp_path, about):
    (tmp_path / "config.yaml").write_text(f"run: {about if about.startswith('{') else '{' + about + '}'}")
    with pytest.raises(NetvladError, match="no list of paths"):
        read_run(tmp_path)


def test_without_yaml(monkeypatch):
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(NetvladError, match=r"need PyYAML: pip install 'netvlad\[train\]'"):
        make_config("paper")


OLD = {"within": 5, "elsewhere": 30, "remembered": 2, "used": 3}
NEW = Config(mining=Mining(positive_radius=5.0, negative_radius=30.0, cached_negatives=2, negatives=3))


def test_old_keys_still_work_with_one_warning(tmp_path):
    assert set(OLD) == set(RENAMED)
    with pytest.warns(FutureWarning, match="settings: keys have been renamed: within is called positive_radius") as all:
        assert make_config(**OLD) == NEW
    assert len(all) == 1
    (tmp_path / "old.yaml").write_text("".join(f"{name}: {value}\n" for name, value in OLD.items()))
    with pytest.warns(FutureWarning, match=r"old\.yaml: keys have been renamed") as all:
        assert make_config(tmp_path / "old.yaml") == NEW
    assert len(all) == 1
    with pytest.warns(FutureWarning):  # a new key overrides the file's old one
        assert make_config(tmp_path / "old.yaml", negatives=7).mining.negatives == 7
    with pytest.raises(NetvladError, match="settings: used is the old name of negatives: give one of them"):
        make_config(used=1, negatives=1)


def test_what_a_run_was_begun_with(tmp_path):
    write_settings(tmp_path, {"places": ["a.csv"], "model": "m"}, {"lr": 0.5})
    assert read_run(tmp_path) == (Config(lr=0.5), {"places": ["a.csv"], "model": "m"})
    write_settings(tmp_path, {}, {"lr": 0.5})
    with pytest.raises(NetvladError, match="does not say on which places: the run was begun from Python"):
        read_run(tmp_path)
    with pytest.raises(NetvladError, match="no run is there to resume"):
        read_run(tmp_path / "none")
