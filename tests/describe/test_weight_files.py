from __future__ import annotations

import os

import pytest

from netvlad.describe import weight_files
from netvlad.describe.weight_files import find_weights, no_weights
from netvlad.errors import ModelError, first_line


@pytest.fixture
def files(folder):
    def make(*names: str) -> None:
        for name in names:
            (folder / name).write_bytes(b"")

    return make


# -- which file -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("present", "name", "found"),
    [
        (["resnet18.pth"], "resnet18", "resnet18.pth"),
        (["resnet18.safetensors"], "resnet18", "resnet18.safetensors"),
        (["resnet18.tv_in1k.pth"], "resnet18", "resnet18.tv_in1k.pth"),
        (["resnet18.tv_in1k.to_layer3.pth"], "resnet18", "resnet18.tv_in1k.to_layer3.pth"),
        (["resnet18.tv_in1k.to_layer3.pth"], "resnet18.tv_in1k", "resnet18.tv_in1k.to_layer3.pth"),
        (["resnet18-0676ba61.pth"], "resnet18", "resnet18-0676ba61.pth"),
        (["resnet18d.pth", "resnet18_x.pth", "resnet180.pth", "aresnet18.pth"], "resnet18", None),
        (["resnet18.pth", "resnet18-1.pth"], "resnet18.tv_in1k", None),
        (["resnet18.tv_in1k2.pth"], "resnet18.tv_in1k", None),
        (["resnet18.a1_in1k.pth", "resnet18.tv_in1k.pth"], "resnet18.tv_in1k", "resnet18.tv_in1k.pth"),
        (["resnet18.pth", "resnet18.tv_in1k.pth"], "resnet18", "resnet18.pth"),  # the exact name before all others
        (["resnet18d.pth", "resnet18.pth"], "resnet18d", "resnet18d.pth"),
        (["resnet18.txt", "resnet18", "resnet18.onnx", "resnet18.json"], "resnet18", None),
        (["vgg16_bn.pth", "vgg16.pth"], "vgg16", "vgg16.pth"),
        ([], "resnet18", None),
    ],
)
def test_which_file(folder, files, present, name, found):
    files(*present)
    assert find_weights(name) == (folder / found if found else None)


@pytest.mark.parametrize(
    "present", [("resnet18.a.pth", "resnet18.b.pth"), ("resnet18-1.pth", "resnet18.b.safetensors"),
                ("resnet18.pth", "resnet18.safetensors")],
)  # fmt: skip
def test_several_files_are_not_chosen_from(folder, files, present):
    files(*present)
    with pytest.raises(ModelError) as error:
        find_weights("resnet18")
    for name in present:
        assert str(folder / name) in str(error.value)


def test_several_folders(folder, files, tmp_path, monkeypatch):
    second = tmp_path / "second"
    second.mkdir()
    (second / "resnet18.pth").write_bytes(b"")
    files("vgg16.pth")
    monkeypatch.setenv("NETVLAD_WEIGHTS", f"{folder}{os.pathsep}{os.pathsep}{second}")
    assert find_weights("vgg16") == folder / "vgg16.pth"
    assert find_weights("resnet18") == second / "resnet18.pth"


def test_a_home_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("NETVLAD_WEIGHTS", "~/w")
    (tmp_path / "w").mkdir()
    (tmp_path / "w" / "vgg16.pth").write_bytes(b"")
    assert find_weights("vgg16") == tmp_path / "w" / "vgg16.pth"


@pytest.mark.parametrize("kind", ["missing", "file"])
def test_what_is_not_a_folder(folder, monkeypatch, kind):
    wrong = folder / "wrong"
    if kind == "file":
        wrong.write_bytes(b"")
    monkeypatch.setenv("NETVLAD_WEIGHTS", f"{folder}{os.pathsep}{wrong}")
    with pytest.raises(ModelError, match=r"NETVLAD_WEIGHTS names .*wrong, which is not a folder"):
        find_weights("resnet18")


@pytest.mark.parametrize("value", ["", None])
def test_no_folder_is_set(monkeypatch, value):
    monkeypatch.delenv("NETVLAD_WEIGHTS", raising=False)
    if value is not None:
        monkeypatch.setenv("NETVLAD_WEIGHTS", value)
    assert find_weights("resnet18") is None


# -- without a network ----------------------------------------------------------------------------------------------


def test_what_works_without_weights(folder, monkeypatch):
    assert "you can use default or densevlad" in str(no_weights("resnet50", "no network"))
    monkeypatch.setattr(weight_files, "PACKAGED", {})
    assert "you can use densevlad" in str(no_weights("resnet50", "no network"))


def test_a_sentence_of_the_hub_is_not_cut():
    from huggingface_hub.errors import LocalEntryNotFoundError

    said = "An error happened while trying to locate the file on the Hub and we cannot find the requested files in the"
    said += " local cache. Please check your connection and try again or make sure your Internet connection is on."
    assert said in str(no_weights("resnet50", first_line(LocalEntryNotFoundError(f"\n{said}\nmore"))))
