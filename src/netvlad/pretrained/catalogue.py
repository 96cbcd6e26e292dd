"""Models that others published: where they come from and under which licence.

`sha256` is a publisher's own checksum; none has published any. Published results are in `netvlad.benchmarks.published`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from netvlad.pretrained.needs import HUGGING_FACE, Checkout, HuggingFaceFile, Need, WebFile

NETVLAD_PAGE = "https://www.di.ens.fr/willow/research/netvlad/"  # stated in the authors' README
IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


@dataclass(frozen=True)
class Network:
    """A network of NetVLAD's authors, imported from its .mat file.

    files: names of the file in use; url: its address, None where only the page is known.
    """

    files: tuple[str, ...]
    url: str | None
    dim: int
    source: str = "the paper"
    sha256: str | None = None
    licence: str = "MIT (of the code)"  # none is stated for the weights alone
    page: str = NETVLAD_PAGE
    size: str = "any"


@dataclass(frozen=True)
class Hub:
    """A model whose code and weights torch.hub fetches from `repo` on GitHub.

    entry, arguments: the function of its hubconf.py. input_size: size (height, width) that photos are scaled to; None
    leaves theirs, rounded to multiples of `multiple`. weights: address of the network that the entry downloads; more:
    what it fetches besides. packages: what it imports that this package does not bring, as pip takes them. files: names
    of a weights file that this package's own code reads; then no code of the repository is run, and `weights` is the
    page to download the file from by hand.
    """

    repo: str
    entry: str
    dim: int
    licence: str
    source: str
    weights: str
    arguments: dict[str, Any] = field(default_factory=dict)
    input_size: tuple[int, int] | None = None
    multiple: int = 1
    interpolation: str = "bilinear"
    sha256: str | None = None
    files: tuple[str, ...] = ()
    more: tuple[Need, ...] = ()
    packages: tuple[str, ...] = ()

    @property
    def page(self) -> str:
        return f"https://github.com/{self.repo}"

    def code(self, name: str) -> Checkout:
        """The repository, as the model called `name` looks for it."""
        return Checkout(self.repo, (name,))

    def needs(self, name: str) -> tuple[Need, ...]:
        """All that the model called `name` needs, its own repository first."""
        owner, _, rest = self.weights.removeprefix(HUGGING_FACE).partition("/")
        repo, _, file = rest.partition("/resolve/main/")
        ours = HuggingFaceFile(f"{owner}/{repo}", file)
        network = ours if ours.url == self.weights else WebFile(self.weights, self.sha256)
        return self.code(name), network, *self.more

    @property
    def size(self) -> str:
        if self.input_size:
            return "x".join(map(str, self.input_size))
        return "any" if self.multiple == 1 else f"multiples of {self.multiple}"


# The .mat files hold objects of MATLAB classes, which only mat-io reads; those fetched here are the same networks with
# the objects converted to structs, as hloc publishes them (hloc/extractors/netvlad.py names the addresses).
NETWORKS = {
    "vgg16-netvlad-pitts30k": Network(
        ("vd16_pitts30k_conv5_3_vlad_preL2_intra_white.mat", "Pitts30K_struct.mat", "VGG16-NetVLAD-Pitts30K.mat"),
        "https://cvg-data.inf.ethz.ch/hloc/netvlad/Pitts30K_struct.mat",
        4096,
    ),
    "vgg16-netvlad-tokyotm": Network(
        ("vd16_tokyoTM_conv5_3_vlad_preL2_intra_white.mat", "TokyoTM_struct.mat", "VGG16-NetVLAD-TokyoTM.mat"),
        "https://cvg-data.inf.ethz.ch/hloc/netvlad/TokyoTM_struct.mat",
        4096,
    ),
    "vgg16-max-pitts30k": Network(("vd16_pitts30k_conv5_3_max.mat",), None, 512),
    "vgg16-max-tokyotm": Network(("vd16_tokyoTM_conv5_3_max.mat",), None, 512),
    "alexnet-netvlad-pitts30k": Network(("caffe_pitts30k_conv5_vlad_preL2_intra_white.mat",), None, 4096),
}

_BOQ = "https://github.com/amaralibey/Bag-of-Queries/releases/download/v1.0"
_COSPLACE = "https://github.com/gmberton/CosPlace/releases/download/v1.0"
_EIGENPLACES = "https://github.com/gmberton/EigenPlaces/releases/download/v1.0"
_SAGE = "https://github.com/chenshunpeng/SAGE/releases/download/v1.0.0"
_IMAGE = "https://github.com/Lu-Feng/ImAge/releases/download/v1.0.0"
_SELAVPRPP = "https://github.com/Lu-Feng/SelaVPRplusplus/releases/download/SelaVPR%2B%2B"
# What the entries fetch besides, before the weights of the whole network replace its numbers.
_DINOV2 = (
    Checkout("facebookresearch/dinov2"),
    WebFile("https://dl.fbaipublicfiles.com/dinov2/dinov2_vitb14/dinov2_vitb14_pretrain.pth"),
)
_RESNET18 = WebFile("https://download.pytorch.org/models/resnet18-f37072fd.pth")
_RESNET50 = WebFile("https://download.pytorch.org/models/resnet50-11ad3fa6.pth")  # torchvision's second weights
_RESNET50_V1 = WebFile("https://download.pytorch.org/models/resnet50-0676ba61.pth")
_ONE_STAGE = {"aggregation": "gem", "hashing": False, "rerank": False}


def _of_its_own(
    repo: str,
    entry: str,
    dim: int,
    weights: str,
    arguments: dict[str, Any] | None = None,
    packages: tuple[str, ...] = (),
) -> Hub:
    """A model of MIT licence that has its DINOv2 inside and is evaluated at 322 x 322."""
    given = arguments or {}
    return Hub(repo, entry, dim, "MIT", "README", weights, given, input_size=(322, 322), packages=packages)


# Entries, arguments, addresses: each repository's hubconf.py. Sizes: MegaLoc its model card (the model itself scales to
# multiples of 14), SALAD its README's eval.py command, BoQ its README's input_transform (bicubic), MixVPR the transform
# of its evaluation (dataloaders/GSVCitiesDataloader.py, bilinear; its demo.py is bicubic), SAGE its README, SelaVPR++
# and ImAge their parser.py; CosPlace and EigenPlaces take any. Mean and standard deviation: ImageNet's for all, as in
# BoQ's README, the data loaders of MixVPR, SAGE, SelaVPR++ and ImAge and, for others, gmberton/VPR-methods-evaluation.
# SAGE's third entry is left out: its cross-image encoder makes a vector depend on the photos that share its batch.
# MixVPR has no hubconf.py: its network is this package's, its weights have to be fetched by hand.
HUBS = {
    "megaloc": Hub(
        repo="gmberton/MegaLoc",
        entry="get_trained_model",
        dim=8448,
        licence="MIT",
        source="arXiv:2502.17237",
        weights=f"{HUGGING_FACE}gberton/MegaLoc/resolve/main/model.safetensors",
        input_size=(322, 322),
    ),
    "salad": Hub(
        repo="serizba/salad",
        entry="dinov2_salad",
        dim=8448,
        licence="GPL-3.0",
        source="README",
        weights="https://github.com/serizba/salad/releases/download/v1.0.0/dino_salad.ckpt",
        input_size=(322, 322),
        more=_DINOV2,
        packages=("pytorch_lightning", "pytorch_metric_learning"),
    ),
    "boq": Hub(
        repo="amaralibey/Bag-of-Queries",
        entry="get_trained_boq",
        arguments={"backbone_name": "dinov2", "output_dim": 12288},
        dim=12288,
        licence="MIT",
        source="README",
        weights=f"{_BOQ}/dinov2_12288.pth",
        input_size=(322, 322),
        interpolation="bicubic",
        more=_DINOV2,
    ),
    "boq-resnet50": Hub(
        repo="amaralibey/Bag-of-Queries",
        entry="get_trained_boq",
        arguments={"backbone_name": "resnet50", "output_dim": 16384},
        dim=16384,
        licence="MIT",
        source="README",
        weights=f"{_BOQ}/resnet50_16384.pth",
        input_size=(384, 384),
        interpolation="bicubic",
        more=(_RESNET50_V1,),
    ),
    "mixvpr": Hub(
        repo="amaralibey/MixVPR",
        entry="",
        arguments={"channels": 1024, "rows": 4},
        dim=4096,
        licence="not stated",
        source="README",
        weights="https://github.com/amaralibey/MixVPR#weights",
        files=("resnet50_MixVPR_4096_channels(1024)_rows(4).ckpt", "resnet50_MixVPR_4096.ckpt"),
        input_size=(320, 320),
    ),
    "cosplace": Hub(
        repo="gmberton/CosPlace",
        entry="get_trained_model",
        arguments={"backbone": "ResNet50", "fc_output_dim": 2048},
        dim=2048,
        licence="MIT",
        source="arXiv:2204.02287",
        weights=f"{_COSPLACE}/ResNet50_2048_cosplace.pth",
        more=(_RESNET50,),
    ),
    "cosplace-resnet18": Hub(
        repo="gmberton/CosPlace",
        entry="get_trained_model",
        arguments={"backbone": "ResNet18", "fc_output_dim": 512},
        dim=512,
        licence="MIT",
        source="arXiv:2204.02287",
        weights=f"{_COSPLACE}/ResNet18_512_cosplace.pth",
        more=(_RESNET18,),
    ),
    "eigenplaces": Hub(
        repo="gmberton/EigenPlaces",
        entry="get_trained_model",
        arguments={"backbone": "ResNet50", "fc_output_dim": 2048},
        dim=2048,
        licence="MIT",
        source="arXiv:2308.10832",
        weights=f"{_EIGENPLACES}/ResNet50_2048_eigenplaces.pth",
        more=(Checkout("gmberton/CosPlace"), WebFile(f"{_COSPLACE}/ResNet50_512_cosplace.pth"), _RESNET50),
    ),
    "sage-vitl": _of_its_own(
        "chenshunpeng/SAGE", "sage_vitl", 8448, f"{_SAGE}/SAGE_No-Encoder_Vit-L.pth", packages=("prettytable",)
    ),
    "sage-vitb": _of_its_own(
        "chenshunpeng/SAGE", "sage_vitb", 8448, f"{_SAGE}/SAGE_No-Encoder_Vit-B.pth", packages=("prettytable",)
    ),
    "selavpr++": _of_its_own(
        "Lu-Feng/SelaVPRplusplus",
        "SelaVPRplusplus",
        4096,
        f"{_SELAVPRPP}/SelaVPRplusplus_large.pth",
        {"backbone": "dinov2-large", **_ONE_STAGE},
    ),
    "selavpr++-base": _of_its_own(
        "Lu-Feng/SelaVPRplusplus",
        "SelaVPRplusplus",
        2048,
        f"{_SELAVPRPP}/SelaVPRplusplus_base.pth",
        {"backbone": "dinov2-base", **_ONE_STAGE},
    ),
    "image4vpr": _of_its_own(
        "Lu-Feng/ImAge", "ImAge", 6144, f"{_IMAGE}/ImAge_Merged.pth", packages=("transformers<5",)
    ),
}
