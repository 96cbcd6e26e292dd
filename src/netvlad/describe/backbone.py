"""CNN and ViT backbones of timm, cropped at a named stage before its final activation (paper, sections 3.1 and 5.1)."""

from __future__ import annotations

import difflib
import logging
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from netvlad.describe import weight_files, weights
from netvlad.describe.alexnet import AlexNet
from netvlad.errors import ModelError, first_line
from netvlad.runtime import hugging_face
from netvlad.runtime.files import sha256

# The default stage is the paper's for its two backbones, and for others the deepest with a stride of 16, which keeps
# enough locations to aggregate.
KEEP = "+act"
STAGE_ALIASES = {("vgg16", "conv5_3"): "features.29", ("alexnet", "conv5"): "features.11"}
WANTED_STRIDE = 16
ACTIVATIONS = (nn.ReLU, nn.ReLU6, nn.SiLU, nn.GELU, nn.Hardswish, nn.Mish, nn.ELU, nn.LeakyReLU)


class Backbone(nn.Module):
    """(N, 3, H, W) normalised RGB -> (N, dim, H', W').

    name: a timm architecture, with or without a weights tag (`resnet18`, `resnet18.tv_in1k`), or `alexnet`.
    stage: a feature stage (`layer3`, `blocks.11`, `conv5_3`), by default the deepest of stride 16 or less.
    The activation that ends the stage is removed, as in the paper, unless its name ends in `+act`.
    stages: names of all stages; `index`: which of them is used. mean, std: of RGB in 0..1, as the weights expect.
    smallest: least side of a photo in pixels; multiple: sides are scaled to multiples of it.
    The constructor leaves the weights random and `provenance` None: use `load_backbone`.
    """

    stage: str
    stages: list[str]
    dim: int
    stride: int
    smallest: int
    multiple: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    provenance: dict[str, Any] | None
    body: Any  # a network of timm, which has no types

    def __init__(self, name: str, stage: str | None = None) -> None:
        super().__init__()
        self.name = name
        self.body = _create(name)
        stage = stage or ""
        self.keeps_activation = stage.endswith(KEEP)
        infos = list(self.body.feature_info)
        self.stages = [info["module"] for info in infos]
        self.index = _stage_index(name, stage.removesuffix(KEEP) or None, infos)
        module = self.stages[self.index]
        names = {(known, m): alias for (known, alias), m in STAGE_ALIASES.items()}
        self.stage = names.get((name.partition(".")[0], module), module) + (KEEP if self.keeps_activation else "")
        self.last = self.index == len(infos) - 1
        self.dim, self.stride = infos[self.index]["num_chs"], infos[self.index]["reduction"]
        self.smallest = max(self.stride, self.body.smallest if isinstance(self.body, AlexNet) else 1)
        # only transformers of timm have patches, and no class in common
        patch = getattr(getattr(self.body, "patch_embed", None), "patch_size", (1, 1))
        self.multiple = patch[0] if isinstance(patch, tuple) else int(patch)
        self.mean, self.std = self.pretrained_cfg["mean"], self.pretrained_cfg["std"]
        self.provenance = None

    @property
    def pretrained_cfg(self) -> dict[str, Any]:
        """timm's settings of the weights: mean, std, license, address."""
        cfg: dict[str, Any] = self.body.pretrained_cfg
        return cfg

    def crop(self) -> None:
        """Remove the layers after the stage, and the activation that ends it."""
        self.body.prune_intermediate_layers([self.index], prune_norm=not self.last, prune_head=True)
        if not self.keeps_activation:
            _drop_final_activation(self)
        self.eval()

    def forward(self, x: Tensor) -> Tensor:
        height, width = x.shape[-2:]
        if min(height, width) < self.smallest:
            raise ModelError(
                f"{self.name} at {self.stage} needs photos of at least {self.smallest} pixels a side, "
                f"got {width}x{height}"
            )
        if self.multiple > 1:  # whole patches: scale to the nearest size rather than cut or pad
            size = [max(1, round(s / self.multiple)) * self.multiple for s in (height, width)]
            if size != [height, width]:
                x = F.interpolate(x, size, mode="bilinear", antialias=True, align_corners=False)
        maps: list[Tensor] = self.body.forward_intermediates(
            x, indices=[self.index], norm=self.last, stop_early=True, output_fmt="NCHW", intermediates_only=True
        )
        return maps[-1]


def load_backbone(name: str, stage: str | None = None) -> Backbone:
    """A backbone with its weights: from $NETVLAD_WEIGHTS, a package, or downloaded. Raises ModelError without any."""
    backbone = Backbone(name, stage)
    file, packaged = weight_files.find_weights(name), weight_files.PACKAGED.get(name)
    path = packaged.path if packaged else None
    if not file and packaged and path:
        state = weights.packaged_state(backbone.body, packaged, path)
        backbone.crop()
        weights.load_into(backbone.body, state, path)
        backbone.provenance = {
            "package": packaged.package,
            "file": path.name,
            "sha256": packaged.sha256,
            "licence": packaged.licence,
        }
    elif file:
        state = weights.local_state(backbone.body, file)
        backbone.crop()
        weights.load_into(backbone.body, state, file)
        cfg = weights_config(file.stem, backbone)
        backbone.mean, backbone.std = cfg["mean"], cfg["std"]
        licence = cfg.get("license") or "not stated"
        backbone.provenance = {"file": file.name, "sha256": sha256(file), "licence": licence}
    else:
        cfg = backbone.pretrained_cfg
        _download(backbone)
        backbone.crop()
        source = cfg.get("hf_hub_id") or cfg.get("url") or "timm"
        backbone.provenance = {"source": source, "tag": cfg.get("tag", ""), "licence": cfg.get("license") or "unknown"}
    return backbone


def weights_config(stem: str, backbone: Backbone) -> dict[str, Any]:
    """timm's settings (mean, std, license ...) for a weights file called `stem`.

    A file whose tag timm does not know, or that has none, gets the backbone's usual mean and std, and no licence.
    """
    return _config(stem) or {**backbone.pretrained_cfg, "license": None}


def _create(name: str) -> Any:
    if name == "alexnet":
        return AlexNet()
    import timm

    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        close = difflib.get_close_matches(architecture, [*timm.list_models(), "alexnet"], 5)
        raise ModelError(f"no backbone is called {name!r}; {'close: ' + ', '.join(close) if close else 'see timm'}")
    logging.getLogger("timm").setLevel(logging.ERROR)
    known = ".".join(name.split(".")[:2]) if _config(name) else architecture
    model = _any_size(known)
    # timm has no class for those that can be cropped
    if not hasattr(model, "forward_intermediates") or not hasattr(model, "prune_intermediate_layers"):
        raise ModelError(f"timm cannot crop {name} at a stage (no forward_intermediates); choose another backbone")
    return model


def _any_size(name: str) -> Any:
    """timm's model, made to take any input size where that is an option (ViTs, Swin)."""
    import timm

    for option in ({"dynamic_img_size": True}, {"strict_img_size": False}):
        try:
            return timm.create_model(name, pretrained=False, num_classes=0, **option)
        except TypeError:  # this kind has no such option
            continue
    return timm.create_model(name, pretrained=False, num_classes=0)


def _config(name: str) -> dict[str, Any] | None:
    """timm's settings of the weights `architecture.tag[.anything]`, None where timm does not know the tag."""
    from timm.models import get_pretrained_cfg, is_model

    architecture, _, rest = name.partition(".")
    tag = rest.partition(".")[0]
    if not tag or not is_model(architecture):
        return None
    try:
        cfg = get_pretrained_cfg(f"{architecture}.{tag}", allow_unregistered=False)
    except RuntimeError:
        return None
    config: dict[str, Any] | None = cfg.to_dict() if cfg else None
    return config


def _stage_index(name: str, stage: str | None, infos: list[dict[str, Any]]) -> int:
    modules = [info["module"] for info in infos]
    if stage is None:
        return max((i for i, info in enumerate(infos) if info["reduction"] <= WANTED_STRIDE), default=len(infos) - 1)
    stage = STAGE_ALIASES.get((name.partition(".")[0], stage), stage)
    if stage not in modules:
        aliases = [alias for known, alias in STAGE_ALIASES if known == name.partition(".")[0]]
        raise ModelError(f"{name} has no stage {stage!r}; choose one of {', '.join(aliases + modules)}")
    return modules.index(stage)


def _download(backbone: Backbone) -> None:
    try:
        if isinstance(backbone.body, AlexNet):
            backbone.body.download()
        else:
            from timm.models import load_pretrained

            hugging_face.notice_offline()
            load_pretrained(backbone.body, num_classes=0)
    except Exception as e:  # the hub, the network and the disk each fail in their own way
        raise weight_files.no_weights(backbone.name, f"{type(e).__name__}: {first_line(e)}") from e


@torch.no_grad()
def _drop_final_activation(backbone: Backbone) -> None:
    """Replace the activation whose output is the backbone's output, if there is one, by the identity."""
    calls: list[tuple[str, Tensor]] = []
    hooks = [
        module.register_forward_hook(lambda m, args, out, name=name: calls.append((name, out)))
        for name, module in backbone.body.named_modules()
        if isinstance(module, ACTIVATIONS) or "activations" in type(module).__module__  # torch's, and timm's own
    ]
    backbone.eval()
    side = max(64, 4 * backbone.multiple)
    try:
        out = backbone(torch.rand(1, 3, side, side, generator=torch.Generator().manual_seed(0)))
    except (AssertionError, RuntimeError) as e:
        raise ModelError(f"{backbone.name} does not take photos of any size ({e}); choose another backbone") from e
    for hook in hooks:
        hook.remove()
    if not calls or calls[-1][1].data_ptr() != out.data_ptr() or calls[-1][1].shape != out.shape:
        if (out >= 0).all():
            raise ModelError(
                f"{backbone.name}: {backbone.stage} ends in an activation that is not a separate module and cannot be "
                f"removed; keep it with stage {backbone.stage}{KEEP}"
            )
        return
    name = calls[-1][0]
    if sum(call[0] == name for call in calls) > 1:
        raise ModelError(
            f"{backbone.name}: the activation that ends {backbone.stage} is used elsewhere too; choose another"
        )
    parent, _, child = name.rpartition(".")
    setattr(backbone.body.get_submodule(parent), child, nn.Identity())
