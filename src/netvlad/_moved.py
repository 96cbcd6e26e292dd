"""Module paths of version 0.1, importable for one version with a deprecation warning."""

from __future__ import annotations

import sys
import warnings
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:  # this runs at every `import netvlad`, of which importing typing would be the larger part
    from collections.abc import Sequence
    from typing import Any

# old module -> new one, below netvlad; what is below an old package moves along unless it is listed itself
MODULES = dict(
    line.split()
    for line in """
    cli.judging experiments.tasks
    cli.methods experiments.ranker_factory
    decode images.decode
    describe.dense_sift features.dense_sift
    describe.descriptor describe.network
    describe.download runtime.download
    describe.feature_store features.store
    describe.folder runtime.artifacts
    describe.hub pretrained.hub
    describe.local_features features.local_features
    describe.matconvnet pretrained.matconvnet
    describe.matconvnet_layers pretrained.matconvnet_layers
    describe.matlab pretrained.matlab
    describe.mixvpr pretrained.mixvpr
    describe.published pretrained.catalogue
    describe.simplenn pretrained.simplenn
    describe.trunk describe.backbone
    describe.within describe.wccn
    describe.zoo pretrained.zoo
    evaluate evaluation
    evaluate.comparison report.comparison
    evaluate.figures report.figures
    evaluate.kept experiments.cached_ranker
    evaluate.page report.page
    evaluate.plots report.plots
    evaluate.published benchmarks.published
    evaluate.report report.recall_report
    evaluate.retrieval_report report.retrieval_report
    evaluate.tables report.tables
    evaluate.truth evaluation.ground_truth
    evaluate.words evaluation.protocol_text
    files runtime.files
    places.benchmarks benchmarks
    places.benchmarks.at_names benchmarks.utm_filenames
    places.camera panoramas.camera
    places.columns places.io.columns
    places.cut_outs panoramas.cut_outs
    places.exif places.io.exif
    places.filenames places.io.filenames
    places.geometry places.neighbours
    places.holdout places.splits
    places.panorama panoramas.panorama
    places.readers places.io.readers
    places.same places.place_matches
    places.tables places.io.tables
    places.writers places.io.writers
    progress runtime.progress
    search.adding maps.adding
    search.bag_of_words search.vocabulary_tree_ranker
    search.confidence maps.confidence
    search.exact search.flat_index
    search.extraction features.extraction
    search.index maps.index
    search.location maps.location
    search.lock runtime.locks
    search.saved runtime.artifacts
    search.store maps.store
    search.verify features.verification
    synthesis panoramas.synthesis
    town.lens town.camera_pipeline
    town.orders town.capture_plan
    town.passing town.transient_objects
    train training
    train.trained training.optimizer
    workers runtime.workers
    """.strip().splitlines()
)
# old module and name -> new ones, where the name changed
NAMES = dict(
    line.split()
    for line in """
    describe.trunk.Trunk describe.backbone.Backbone
    describe.trunk.load_trunk describe.backbone.load_backbone
    evaluate.evaluate evaluation.run.evaluate
    """.strip().splitlines()
)
DEPRECATED = "{old} has moved to {new}; the old name goes away in the next version"


def new_path(name: str) -> str | None:
    """The new path of module `name`, both below netvlad; None where it has not moved."""
    parts = name.split(".")
    for n in range(len(parts), 0, -1):
        moved = MODULES.get(".".join(parts[:n]))
        if moved is not None:
            return ".".join([moved, *parts[n:]])
    return None


class _Moved(ModuleType):
    """Stands for a module that has moved. `netvlad.evaluate` and `netvlad.train`, functions today, stay callable."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        old = f"{self.__name__.removeprefix('netvlad.')}.{name}"
        new = NAMES.get(old) or f"{new_path(self.__name__.removeprefix('netvlad.'))}.{name}"
        module, _, attribute = new.rpartition(".")
        try:
            return getattr(import_module(f"netvlad.{module}"), attribute)
        except AttributeError:
            return import_module(f"netvlad.{module}.{attribute}")  # from netvlad.train import trainer

    def __call__(self, *args: Any, **options: Any) -> Any:
        import netvlad

        return netvlad.__getattr__(self.__name__.rpartition(".")[2])(*args, **options)


class _Finder:
    """Finder and loader; the base classes of importlib.abc would triple the time of `import netvlad`."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        name = fullname.removeprefix("netvlad.")
        moved = new_path(name) if fullname.startswith("netvlad.") else None
        if moved is None or moved == name:
            return None
        warnings.warn(DEPRECATED.format(old=fullname, new=f"netvlad.{moved}"), DeprecationWarning, stacklevel=2)
        return ModuleSpec(fullname, self, is_package=True)  # type: ignore[arg-type]  # load_module is of old loaders

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Moved(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing to run: names are looked up where they are now."""


def install() -> None:
    """Let old paths be imported; asked only for modules that are not found, so that nothing else pays for it."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.append(_Finder())
