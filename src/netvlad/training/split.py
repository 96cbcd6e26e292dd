"""A backbone in two parts: the frozen layers, and those that are trained."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from netvlad.describe.backbone import KEEP, STAGE_ALIASES, Backbone
from netvlad.describe.network import evaluating
from netvlad.errors import ModelError

POOLING = "pooling"  # start of a run that trains the pooling alone
_VGG16 = "conv1_1 conv1_2 conv2_1 conv2_2 conv3_1 conv3_2 conv3_3 conv4_1 conv4_2 conv4_3 conv5_1 conv5_2 conv5_3"
_AT = {"vgg16": (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28), "alexnet": (0, 3, 6, 8, 10)}
# the paper's names for where training starts
LAYERS = {
    "vgg16": dict(zip(_VGG16.split(), [f"features.{i}" for i in _AT["vgg16"]], strict=True)),
    "alexnet": {f"conv{n}": f"features.{i}" for n, i in enumerate(_AT["alexnet"], 1)},
}
DEFAULTS = {"vgg16": "conv5_1", "alexnet": "conv2"}  # paper, section 5.1


@dataclass(frozen=True)
class Split:
    """A backbone cut before the module `start`.

    below(x): (N, 3, H, W) photos -> the input of `start`, without gradient; None where no cut is possible there.
    above(x, (H, W)): from there to the feature map, or from the photos where `below` is None.
    trained: the modules from `start` on.
    """

    start: str
    below: Callable[[Tensor], Tensor] | None
    above: Callable[[Tensor, tuple[int, int]], Tensor]
    trained: tuple[nn.Module, ...]


def split(backbone: Backbone, start: str | None = None, *, recompute: bool = False) -> Split:
    """Cut `backbone` before `start`: a stage, block or layer of it (`layer3`, `blocks.8`, `conv5_1`), or "pooling".

    The default is what the paper trains of its two backbones, and the last stage of others. `below` is offered only if
    both parts, run in turn, give the output of the whole.
    recompute: `above` stores the input of each block only, and runs the block again for the gradient (gradient
    checkpointing): less memory, a second forward pass.
    Raises ModelError for a module that does not exist or that the crop left out.
    """
    start = start or default_start(backbone)
    if start == POOLING:
        return Split(start, _without_gradient(backbone), lambda x, size: x, ())
    name = LAYERS.get(backbone.name.partition(".")[0], {}).get(start, start)
    try:
        following = _from(backbone.body, name)
    except (AttributeError, ValueError) as e:
        raise ModelError(_no_such(backbone, start)) from e
    photos = _test_photos(backbone)
    steps = _run_in_order(backbone, following, photos)
    if not steps or steps[0] is not following[0]:
        raise ModelError(
            f"{start} plays no part in {backbone.name} cropped at {backbone.stage}; {_no_such(backbone, start)}"
        )

    def above(x: Tensor, size: tuple[int, int]) -> Tensor:
        for step in steps:
            x = _recomputed(step, x) if recompute and torch.is_grad_enabled() else step(x)
        return as_map(backbone, x, size)

    below = _without_gradient(lambda x: _entering(backbone, steps[0], x))
    if _agree(backbone, below, above, photos):
        return Split(start, below, above, tuple(steps))
    return Split(start, None, lambda x, size: backbone(x), tuple(steps))


def default_start(backbone: Backbone) -> str:
    stage = backbone.stage.removesuffix(KEEP)
    name = backbone.name.partition(".")[0]
    return DEFAULTS.get(name) or STAGE_ALIASES.get((name, stage), stage)


def _from(body: nn.Module, name: str) -> list[nn.Module]:
    """The module called `name` and all that follow it, at its own level and at those above."""
    found = [body.get_submodule(name)]
    path = name.split(".")
    for depth in range(len(path) - 1, -1, -1):
        children = dict(body.get_submodule(".".join(path[:depth])).named_children())
        found += list(children.values())[list(children).index(path[depth]) + 1 :]
    return found


@torch.no_grad()
def _run_in_order(backbone: Backbone, modules: list[nn.Module], photos: Tensor) -> list[nn.Module]:
    """The `modules` that run when the backbone does, in the order in which they run."""
    ran: list[nn.Module] = []
    hooks = [m.register_forward_pre_hook(lambda module, args: ran.append(module)) for m in modules]
    with evaluating(backbone):
        backbone(photos)
    for hook in hooks:
        hook.remove()
    return ran


class _Reached(Exception):
    pass


def _entering(backbone: Backbone, module: nn.Module, x: Tensor) -> Tensor:
    """The input of `module` when the backbone runs on photos x; no module after it runs."""
    seen: list[Tensor] = []

    def stop(_: nn.Module, args: tuple[Tensor, ...]) -> None:
        seen.extend(args)
        raise _Reached

    hook = module.register_forward_pre_hook(stop)
    try:
        backbone(x)
    except _Reached:
        pass
    finally:
        hook.remove()
    (entered,) = seen
    return entered


def _recomputed(module: nn.Module, x: Tensor) -> Tensor:
    for part in module if isinstance(module, nn.Sequential) else [module]:
        x = checkpoint(part, x, use_reentrant=False)
    return x


def _without_gradient(function: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    return torch.no_grad()(lambda x: function(x))


def prefix_tokens(backbone: Backbone) -> int:
    """Number of a ViT's tokens that stand for no patch."""
    return int(getattr(backbone.body, "num_prefix_tokens", 0))  # timm's CNNs have no such attribute


def as_map(backbone: Backbone, x: Tensor, size: tuple[int, int]) -> Tensor:
    """A ViT's tokens (N, T, D) of photos of `size` as a map (N, D, H', W'); a map as it is."""
    if x.ndim != 3:
        return x
    height, width = (max(1, round(side / backbone.multiple)) for side in size)
    patches = x[:, prefix_tokens(backbone) :].transpose(1, 2)
    return patches.reshape(*patches.shape[:2], height, width)


@torch.no_grad()
def _agree(
    backbone: Backbone,
    below: Callable[[Tensor], Tensor],
    above: Callable[[Tensor, tuple[int, int]], Tensor],
    photos: Tensor,
) -> bool:
    with evaluating(backbone):
        whole = backbone(photos)
        try:
            parts = above(below(photos), (photos.shape[-2], photos.shape[-1]))
        except Exception:  # modules that were not meant to run in a row may raise anything
            return False
    return parts.shape == whole.shape and torch.allclose(parts, whole, rtol=1e-3, atol=1e-4 * float(whole.abs().max()))


def _test_photos(backbone: Backbone) -> Tensor:
    side = max(64, 4 * backbone.multiple)
    device = next(backbone.parameters()).device
    return torch.rand(2, 3, side, side + 2 * backbone.stride, generator=torch.Generator().manual_seed(0)).to(device)


def _no_such(backbone: Backbone, start: str) -> str:
    stages = backbone.stages[: backbone.index + 1]
    named = LAYERS.get(backbone.name.partition(".")[0], {})
    return f"no part {start!r} of {backbone.name} can be trained; choose one of {', '.join([*named, *stages, POOLING])}"
