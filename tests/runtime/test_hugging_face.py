from __future__ import annotations

import json
import socket

import pytest

from netvlad.errors import ModelError
from netvlad.runtime.artifacts import read_artifact, write_in_place, write_versioned
from netvlad.runtime.hugging_face import fetch_artifact, notice_offline, upload_folder

FACTS = {"architecture": {"kind": "thing"}}


@pytest.fixture
def folder(tmp_path):
    return write_in_place(tmp_path / "thing", {"a": [1.0, 2.0]}, kind="thing", facts=FACTS)


def held(folder) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def test_a_folder_goes_up_and_comes_down(hub, folder):
    (folder / "README.md").write_text("# A thing")
    name = upload_folder(folder, "someone/thing", private=True, message="first", error=ModelError)
    (newest,) = {oid for oid in hub.repositories["someone/thing"] if oid != "main"}
    assert name == f"hf:someone/thing@{newest}"
    assert hub.private == {"someone/thing"}
    assert hub.repositories["someone/thing"]["main"] == held(folder)
    fetched = fetch_artifact(name, error=ModelError)
    assert hub.cache in fetched.parents
    arrays, card = read_artifact(fetched, kind="thing", error=ModelError)
    assert (arrays["a"].tolist(), card["architecture"]) == ([1, 2], {"kind": "thing"})
    assert sorted(file.name for file in fetched.iterdir()) == ["card.json", "model.safetensors"]


def test_arrays_that_are_named_after_their_checksum(hub, tmp_path):
    folder = write_versioned(tmp_path / "thing", {"a": [3.0]}, kind="thing", facts=FACTS, error=ModelError)
    hub.commit("someone/thing", held(folder))
    arrays, _ = read_artifact(fetch_artifact("hf:someone/thing", error=ModelError), kind="thing", error=ModelError)
    assert arrays["a"].tolist() == [3]


def test_a_revision_stays_what_it_was(hub, folder, tmp_path):
    first = hub.commit("someone/thing", held(folder))
    hub.repositories["someone/thing"]["v1"] = hub.repositories["someone/thing"]["main"]
    newer = write_in_place(tmp_path / "newer", {"a": [5.0]}, kind="thing", facts=FACTS)
    hub.commit("someone/thing", held(newer))
    for revision, value in (("", 5), (f"@{first}", 1), ("@v1", 1), ("@main", 5)):
        fetched = fetch_artifact(f"hf:someone/thing{revision}", error=ModelError)
        assert read_artifact(fetched, kind="thing", error=ModelError)[0]["a"][0] == value


def test_what_is_in_the_cache_needs_no_connection(hub, folder, monkeypatch):
    first = hub.commit("someone/thing", held(folder))
    fetched = fetch_artifact("hf:someone/thing", error=ModelError)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    hub.repositories.clear()
    assert fetch_artifact("hf:someone/thing", error=ModelError) == fetched
    assert fetch_artifact(f"hf:someone/thing@{first}", error=ModelError) == fetched
    with pytest.raises(ModelError, match="is not in the cache of this machine, and http://127"):
        fetch_artifact("hf:someone/else", error=ModelError)
    with pytest.raises(ModelError, match="cannot be reached"):
        upload_folder(folder, "someone/thing", private=False, message="", error=ModelError)


def test_a_card_names_no_file_elsewhere(hub, folder, tmp_path):
    card = json.loads((folder / "card.json").read_text())
    stranger = {**card, "file": "../../../secret/model.safetensors"}
    hub.commit("someone/thing", {**held(folder), "card.json": json.dumps(stranger).encode()})
    fetched = fetch_artifact("hf:someone/thing", error=ModelError)
    assert sorted(file.name for file in fetched.iterdir()) == ["card.json", "model.safetensors"]
    assert not any("secret" in path for path in hub.asked)


@pytest.mark.parametrize("name", ["hf:", "hf:thing", "hf:a/b/c", "hf:a/b@", "hf:a/b@x@y", "hf:../b c", "hf:a/b@x y"])
def test_names_that_are_none(hub, name):
    with pytest.raises(ModelError, match="hf:owner/name, perhaps with @revision") as error:
        fetch_artifact(name, error=ModelError)
    assert error.value.path == name
    assert hub.asked == []


def test_what_the_hub_has_not(hub, folder):
    hub.commit("someone/empty", {"README.md": b""})
    hub.commit("someone/half", {"card.json": held(folder)["card.json"]})
    hub.commit("someone/broken", {"card.json": b"{"})
    for name, said in {
        "hf:someone/none": "is not on the hub, or private: log in with",
        "hf:someone/half@v2": "has no branch, tag or commit of this name",
        "hf:someone/empty": "holds no model of this package: it lacks card.json",
        "hf:someone/half": "or the arrays that this names",
        "hf:someone/broken": "cannot be read as a card",
    }.items():
        with pytest.raises(ModelError, match=said) as error:
            fetch_artifact(name, error=ModelError)
        assert "\n" not in str(error.value)


def test_who_may_not_write(hub, folder):
    hub.refuses = True
    with pytest.raises(ModelError, match="hf:someone/thing: may not be read or written by you: log in"):
        upload_folder(folder, "someone/thing", private=False, message="", error=ModelError)


@pytest.mark.parametrize(
    ("resolves", "proxy", "offline"), [(True, False, False), (False, False, True), (False, True, False)]
)
def test_a_hub_that_does_not_resolve_is_not_asked(monkeypatch, resolves, proxy, offline):
    import huggingface_hub.constants as hub

    def resolve(host, port):
        if not resolves:
            raise socket.gaierror("Name or service not known")

    monkeypatch.setattr(hub, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    for name in ("https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    if proxy:
        monkeypatch.setenv("https_proxy", "http://proxy:3128")
    notice_offline()
    assert hub.HF_HUB_OFFLINE is offline
