"""The networks of NetVLAD's authors by name: found, or downloaded and imported once."""

from __future__ import annotations

from netvlad.describe.base import BaseDescriber
from netvlad.describe.weight_files import works_anyway
from netvlad.errors import ModelError, NetvladError
from netvlad.pretrained.catalogue import NETWORKS
from netvlad.pretrained.matconvnet import import_matconvnet
from netvlad.pretrained.needs import imported_folder
from netvlad.pretrained.simplenn import SimpleNNDescriber
from netvlad.runtime.download import cache_folder, download
from netvlad.runtime.weights_folders import find_file


def load_network(name: str, resize: int | None) -> BaseDescriber:
    """The network called `name` in `NETWORKS`.

    It is looked for in $NETVLAD_WEIGHTS, as an imported folder or the .mat file, then in the cache, then at the file's
    address. Raises ModelError that says what to put where.
    """
    entry = NETWORKS[name]
    given, imported = find_file([name, *entry.files]), imported_folder(name)
    for folder in (given, imported):
        if folder and (folder / "card.json").is_file():
            model = SimpleNNDescriber.load(folder)
            model.resize = resize
            return model
    if given:
        return import_matconvnet(given, resize=resize, name=name)
    elsewhere = f"put {entry.files[0]} from {entry.page} into a folder and set NETVLAD_WEIGHTS to that"
    if entry.url is None:
        raise ModelError(f"{name}: no address of its file is known; {elsewhere}. {works_anyway()}")
    try:
        file = download(entry.url, cache_folder() / entry.url.rpartition("/")[2], sha256_hex=entry.sha256)
    except NetvladError as e:
        raise ModelError(f"{name}: {e}. Or {elsewhere}. {works_anyway()}") from e
    source = {"source": entry.url, "licence": entry.licence}
    model = import_matconvnet(file, resize=resize, name=name, source=source)
    model.save(imported)
    file.unlink()  # the folder holds all of it
    return model
