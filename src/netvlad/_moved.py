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
    evaluate.protocols benchmarks.protocol
    evaluate.published benchmarks.published
    evaluate.report report.recall_report
    evaluate.retrieval_report report.retrieval_report
    evaluate.tables report.tables
    evaluate.truth evaluation.ground_truth
    evaluate.words evaluation.protocol_text
    files runtime.files
    places.benchmarks benchmarks
    places.benchmarks.at_names benchmarks.utm_filenames
    places.benchmarks.photos benchmarks.layout
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
    synthesis.cast panoramas.synthesis.ray_casting
    town.lens town.camera_pipeline
    town.orders town.capture_plan
    town.passing town.transient_objects
    town.sheet town.contact_sheet
    train training
    train.cache training.descriptor_cache
    train.classes training.place_sampler
    train.confirmed training.confirmed_pairs
    train.contrast training.softmax_objective
    train.frozen training.frozen_maps
    train.keys training.schema
    train.live runtime.progress
    train.loss training.losses
    train.places training.run
    train.ranking training.tuple_objective
    train.rows training.photo_rows
    train.similarity training.multi_similarity
    train.trained training.optimizer
    workers runtime.workers
    """.strip().splitlines()
)
# old module and name -> new ones, where the name changed
NAMES = dict(
    line.split()
    for line in """
    describe.simplenn.AcrossChannels pretrained.simplenn.LocalResponseNorm
    describe.simplenn.LayerTrunk pretrained.simplenn.LayerBackbone
    describe.trunk.Trunk describe.backbone.Backbone
    describe.trunk.load_trunk describe.backbone.load_backbone
    describe.within.WithinWhitening describe.wccn.WCCN
    describe.within.fit_cameras describe.fixed_cameras.fit_cameras
    describe.within.fit_local describe.fixed_cameras.fit_local
    describe.within.fit_within describe.wccn.fit_wccn
    evaluate.Evaluation evaluation.result.Evaluation
    evaluate.MethodResult evaluation.result.MethodResult
    evaluate.Protocol benchmarks.protocol.Protocol
    evaluate.evaluate evaluation.run.evaluate
    evaluate.kept.Kept experiments.cached_ranker.CachedRanker
    evaluate.published.Method types.Method
    evaluate.recall_at evaluation.recall.recall_at
    evaluate.result.Protocol benchmarks.protocol.Protocol
    evaluate.run.Ranker types.Ranker
    evaluate.truth.Truth evaluation.ground_truth.GroundTruth
    evaluate.write_report report.recall_report.write_report
    places.Camera panoramas.camera.Camera
    places.LAYOUTS panoramas.cut_outs.LAYOUTS
    places.Layout panoramas.cut_outs.Layout
    places.benchmarks.names benchmarks.registry.list_benchmarks
    places.cut_out panoramas.panorama.cut_out
    places.cut_out_depth panoramas.panorama.cut_out_depth
    places.depth_path panoramas.panorama.depth_path
    places.geometry.ecef places.projection.ecef
    places.geometry.from_utm places.projection.from_utm
    places.geometry.is_utm places.projection.is_utm
    places.geometry.to_utm places.projection.to_utm
    places.geometry.within places.neighbours.radius_neighbors
    places.read_depth panoramas.panorama.read_depth
    places.read_panorama panoramas.panorama.read_panorama
    places.same.is_same_place places.place_matches.is_place_match
    places.same.same_place places.place_matches.place_matches
    places.within places.neighbours.radius_neighbors
    places.write_cut_outs panoramas.cut_outs.write_cut_outs
    places.write_depth panoramas.panorama.write_depth
    places.writers.write places.io.writers.write_places
    search.exact.Exact search.flat_index.FlatIndex
    town.lens.Lens town.camera_pipeline.CameraSettings
    town.lens.develop town.camera_pipeline.apply_camera
    town.passing.dress town.transient_objects.add_transient_objects
    train.cache.Cache training.descriptor_cache.DescriptorCache
    train.network.Network training.network.TrainableNetwork
    train.ranking.Ranking training.tuple_objective.TupleObjective
    train.record.At training.record.TrainerState
    train.record.Lesson training.record.StepStats
    train.trainer.Training training.trainer.Trainer
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


def moved_name(module: str, name: str) -> Any:
    """What `name` of `module`, both of version 0.1, is called now, with a warning. Raises AttributeError if unknown."""
    new = NAMES.get(f"{module}.{name}")
    if new is None:
        raise AttributeError(f"module 'netvlad.{module}' has no attribute {name!r}")
    old = f"netvlad.{module}.{name}"
    warnings.warn(DEPRECATED.format(old=old, new=f"netvlad.{new}"), DeprecationWarning, stacklevel=3)
    where, _, attribute = new.rpartition(".")
    return getattr(import_module(f"netvlad.{where}"), attribute)


class _Moved(ModuleType):
    """Stands for a module that has moved. `netvlad.evaluate` and `netvlad.train`, functions today, stay callable."""

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        old = self.__name__.removeprefix("netvlad.")
        if f"{old}.{name}" in NAMES:
            return moved_name(old, name)
        module = import_module(f"netvlad.{new_path(old)}")
        # from netvlad.train import trainer
        return getattr(module, name) if hasattr(module, name) else import_module(f"netvlad.{new_path(f'{old}.{name}')}")

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
