"""Published results, each stated once: what papers report on the field's benchmarks, and of which method."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from netvlad.types import Describer

NETVLAD = "arXiv:1511.07247"
SALAD = "arXiv:2311.15937"
README = "README"  # of the repository that publishes the model
SHORT = {"pitts250k-test": "Pitts250k", "pitts30k-test": "Pitts30k", "tokyo247": "Tokyo 24/7", "msls-val": "MSLS-val"}


class MethodKey(NamedTuple):
    """What a method is looked up by; dim None stands for any length of the vector. See `netvlad.types.Method`."""

    pooling: str
    backbone: str
    whitened: bool
    trained: bool
    dim: int | None = None


class ModelKey(NamedTuple):
    """A model that others published, by its name in `netvlad.load`, and the length of its vector."""

    name: str
    dim: int


@dataclass(frozen=True)
class PublishedResult:
    """One method on one benchmark.

    label: what tables and figures call it. key: what it is looked up by, None for results of methods that this package
    does not have. recalls: group of queries, or "all" -> recall@1, 5, 10 in percent, or the first alone; the mean
    average precision where that is the measure. source: where it is printed. model: the published weights that it was
    measured with, by their name in `netvlad.load`.
    """

    benchmark: str
    label: str
    key: MethodKey | ModelKey | None
    recalls: Mapping[str, tuple[float, ...]]
    source: str = NETVLAD
    model: str | None = None


_WHITENED = ("NetVLAD VGG-16 + whitening 4096-D", MethodKey("NetVLAD", "VGG-16", True, True, 4096))
_WHITENED_256 = ("NetVLAD VGG-16 + whitening 256-D", MethodKey("NetVLAD", "VGG-16", True, True, 256))
_FULL = ("NetVLAD VGG-16 32k", MethodKey("NetVLAD", "VGG-16", False, True))
_ALEXNET = ("NetVLAD AlexNet + whitening", MethodKey("NetVLAD", "AlexNet", True, True))
_MAX = ("max pooling VGG-16, trained", MethodKey("max pooling", "VGG-16", False, True))
_MAX_OFF = ("max pooling VGG-16, off the shelf", MethodKey("max pooling", "VGG-16", False, False))
_VLAD_OFF = ("VLAD VGG-16, off the shelf", MethodKey("VLAD", "VGG-16", False, False))
_ROOTSIFT_WHITENED = ("RootSIFT + VLAD + whitening", MethodKey("VLAD", "RootSIFT", True, False))
_ROOTSIFT = ("RootSIFT + VLAD", MethodKey("VLAD", "RootSIFT", False, False))
_DINOV2 = ("NetVLAD DINOv2-B, GSV-Cities", MethodKey("NetVLAD", "DINOv2-B", False, True))
_CONV3 = ("NetVLAD AlexNet, trained to conv3", MethodKey("NetVLAD", "AlexNet", False, True))
_CONV5 = ("NetVLAD AlexNet, trained to conv5", None)  # how deep a model was trained is not known of it
_MAX_ALEXNET = ("max pooling AlexNet, trained", MethodKey("max pooling", "AlexNet", False, True))
_MAX_ALEXNET_OFF = ("max pooling AlexNet, off the shelf", MethodKey("max pooling", "AlexNet", False, False))
_SALAD = ("SALAD DINOv2-B", ModelKey("salad", 8448))
_BOQ = ("BoQ DINOv2-B", ModelKey("boq", 12288))
_BOQ_RESNET = ("BoQ ResNet-50", ModelKey("boq-resnet50", 16384))
_MIXVPR = ("MixVPR ResNet-50", ModelKey("mixvpr", 4096))
_SAGE = ("SAGE DINOv2-L", ModelKey("sage-vitl", 8448))
_SAGE_BASE = ("SAGE DINOv2-B", ModelKey("sage-vitb", 8448))
_SELAVPRPP = ("SelaVPR++ DINOv2-L", ModelKey("selavpr++", 4096))
_SELAVPRPP_BASE = ("SelaVPR++ DINOv2-B", ModelKey("selavpr++-base", 2048))
_IMAGE = ("ImAge DINOv2-B", ModelKey("image4vpr", 6144))

_Recalls = tuple[float, float, float]


def _tokyo(all_: _Recalls, night: _Recalls) -> dict[str, _Recalls]:
    return {"all": all_, "sunset/night": night}


RESULTS = (
    PublishedResult("pitts250k-test", *_WHITENED, {"all": (86.0, 93.2, 95.1)}, model="vgg16-netvlad-pitts30k"),
    PublishedResult("pitts250k-test", *_FULL, {"all": (86.4, 94.1, 95.6)}),
    PublishedResult("pitts250k-test", *_ALEXNET, {"all": (80.7, 89.6, 92.1)}, model="alexnet-netvlad-pitts30k"),
    PublishedResult("pitts250k-test", *_MAX, {"all": (77.0, 88.7, 92.0)}, model="vgg16-max-pitts30k"),
    PublishedResult("pitts250k-test", *_MAX_OFF, {"all": (39.3, 59.3, 67.4)}),
    PublishedResult("pitts250k-test", *_VLAD_OFF, {"all": (76.8, 87.7, 90.7)}),
    PublishedResult("pitts250k-test", *_ROOTSIFT_WHITENED, {"all": (77.9, 87.6, 90.7)}),
    PublishedResult("pitts250k-test", *_ROOTSIFT, {"all": (62.2, 74.8, 79.1)}),
    PublishedResult("pitts250k-test", *_DINOV2, {"all": (95.6, 98.7, 99.3)}, SALAD),
    PublishedResult("pitts250k-test", *_BOQ, {"all": (96.6, 99.1, 99.5)}, README, "boq"),
    PublishedResult("pitts250k-test", *_BOQ_RESNET, {"all": (95.0, 98.5, 99.1)}, README, "boq-resnet50"),
    PublishedResult("pitts250k-test", *_MIXVPR, {"all": (94.3, 98.2, 98.9)}, README, "mixvpr"),
    PublishedResult("pitts250k-test", *_SAGE, {"all": (96.9, 99.2, 99.6)}, README, "sage-vitl"),
    PublishedResult("pitts250k-test", *_SAGE_BASE, {"all": (95.7, 98.6, 99.2)}, README, "sage-vitb"),
    PublishedResult("pitts30k-test", *_SELAVPRPP, {"all": (94.4,)}, README, "selavpr++"),
    PublishedResult("pitts30k-test", *_SELAVPRPP_BASE, {"all": (93.3,)}, README, "selavpr++-base"),
    PublishedResult("pitts30k-test", *_IMAGE, {"all": (94.1,)}, README, "image4vpr"),
    PublishedResult("pitts30k-test", *_SAGE, {"all": (94.7, 97.7, 98.4)}, README, "sage-vitl"),
    PublishedResult("pitts30k-test", *_SAGE_BASE, {"all": (93.4, 97.0, 97.9)}, README, "sage-vitb"),
    PublishedResult("pitts30k-val", *_CONV3, {"all": (85.5,)}),
    PublishedResult("pitts30k-val", *_CONV5, {"all": (84.1,)}),
    PublishedResult("pitts30k-val", *_MAX_ALEXNET, {"all": (68.5,)}),
    PublishedResult("pitts30k-val", "max pooling AlexNet, trained without Time Machine", None, {"all": (38.7,)}),
    PublishedResult("pitts30k-val", *_MAX_ALEXNET_OFF, {"all": (33.5,)}),
    PublishedResult(
        "tokyo247", *_WHITENED, _tokyo((71.7, 82.5, 86.3), (61.3, 75.6, 80.8)), model="vgg16-netvlad-tokyotm"
    ),
    PublishedResult("tokyo247", *_FULL, _tokyo((68.6, 82.2, 86.3), (56.6, 73.7, 79.9))),
    PublishedResult("tokyo247", *_ALEXNET, _tokyo((56.8, 65.7, 69.8), (40.9, 51.4, 57.1))),
    PublishedResult("tokyo247", *_MAX, _tokyo((38.4, 52.7, 60.0), (28.1, 42.3, 49.0)), model="vgg16-max-tokyotm"),
    PublishedResult("tokyo247", *_MAX_OFF, _tokyo((15.2, 29.2, 40.6), (10.0, 21.9, 33.3))),
    PublishedResult("tokyo247", *_VLAD_OFF, _tokyo((51.1, 61.6, 65.4), (34.2, 45.7, 50.4))),
    PublishedResult("tokyo247", *_ROOTSIFT_WHITENED, _tokyo((54.3, 61.0, 65.1), (39.9, 47.6, 53.3))),
    PublishedResult("tokyo247", *_ROOTSIFT, _tokyo((28.6, 40.6, 44.4), (14.3, 26.6, 30.4))),
    PublishedResult("tokyo247", *_SAGE, {"all": (98.1, 98.1, 98.7)}, README, "sage-vitl"),
    PublishedResult("tokyo247", *_SAGE_BASE, {"all": (97.1, 98.4, 99.0)}, README, "sage-vitb"),
    PublishedResult("tokyo247", "24/7 view synthesis", None, _tokyo((66.7, 73.7, 75.9), (54.7, 63.2, 66.1))),
    PublishedResult("msls-val", *_DINOV2, {"all": (92.4,)}, SALAD),
    PublishedResult("msls-val", *_SALAD, {"all": (92.2, 96.4, 97.0)}, README, "salad"),
    PublishedResult("msls-val", *_BOQ, {"all": (93.8, 96.8, 97.0)}, README, "boq"),
    PublishedResult("msls-val", *_BOQ_RESNET, {"all": (91.2, 95.3, 96.1)}, README, "boq-resnet50"),
    PublishedResult("msls-val", *_MIXVPR, {"all": (88.2, 93.1, 94.3)}, README, "mixvpr"),
    PublishedResult("msls-val", *_SAGE, {"all": (94.2, 97.8, 98.1)}, README, "sage-vitl"),
    PublishedResult("msls-val", *_SAGE_BASE, {"all": (93.4, 97.3, 97.6)}, README, "sage-vitb"),
    PublishedResult("msls-val", *_SELAVPRPP, {"all": (94.3,)}, README, "selavpr++"),
    PublishedResult("msls-val", *_SELAVPRPP_BASE, {"all": (94.3,)}, README, "selavpr++-base"),
    PublishedResult("msls-val", *_IMAGE, {"all": (94.5,)}, README, "image4vpr"),
    PublishedResult("oxford5k", *_WHITENED_256, {"all": (63.5,)}),
    PublishedResult("paris6k", *_WHITENED_256, {"all": (73.5,)}),
    PublishedResult("holidays", *_WHITENED_256, {"all": (79.9,)}),
)
_BY_KEY = {(row.benchmark, row.key): row for row in RESULTS if row.key is not None}


def results_on(benchmark: str) -> tuple[PublishedResult, ...]:
    """All published results on a benchmark, by its name."""
    return tuple(row for row in RESULTS if row.benchmark == benchmark)


def row_of(describer: Describer, benchmark: str) -> PublishedResult | None:
    """The published result that a describer compares with on a benchmark; None where there is none."""
    keys: list[MethodKey | ModelKey] = [ModelKey(describer.name, describer.dim)]
    if (method := describer.method) is not None:
        for dim in (method.dim, None):
            keys.append(MethodKey(method.pooling, method.backbone, method.whitened, method.trained, dim))
    found = (_BY_KEY.get((benchmark, key)) for key in keys)
    return next((row for row in found if row is not None), None)


def numbers_of(model: str) -> str:
    """The published recalls of a model, such as "Pitts250k 96.6/99.1/99.5, MSLS-val 93.8/96.8/97.0"."""
    rows = [row for row in RESULTS if row.model == model]
    return ", ".join(f"{SHORT[row.benchmark]} {'/'.join(map(str, row.recalls['all']))}" for row in rows)
