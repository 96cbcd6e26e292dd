"""The trained parameters of a network, and their optimizer."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from netvlad.describe.network import NetworkDescriber
from netvlad.errors import ModelError
from netvlad.training.config import Config
from netvlad.training.split import Split


def trained_parameters(model: NetworkDescriber, split: Split) -> list[nn.Parameter]:
    """The parameters of the backbone after the split, and of the pooling.

    Raises ModelError for a model without centres, with a whitening, or without any such parameter.
    """
    if not model.ready:
        raise ModelError(
            f"{model.name} has no cluster centres yet: fit them on the training database first (`netvlad fit`, or "
            "netvlad.fit(model, paths))"
        )
    if model.whitening is not None:
        raise ModelError(
            f"{model.name} is whitened, and training changes what the whitening was fitted on: train first, then whiten"
        )
    modules = (*split.trained, model.pooling)
    found = list(dict.fromkeys(p for module in modules for p in module.parameters()))
    if not found:
        raise ModelError(
            f"{model.name} has nothing to train from {split.start} on: {model.pooling_name} pooling has no parameters"
        )
    return found


@contextmanager
def only_trainable(model: nn.Module, parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Compute gradients of `parameters` only, within the context."""
    before = [(p, p.requires_grad) for p in model.parameters()]
    model.requires_grad_(False)
    for parameter in parameters:
        parameter.requires_grad_(True)
    try:
        yield
    finally:
        for parameter, wanted in before:
            parameter.requires_grad_(wanted)
            parameter.grad = None


def make_optimizer(parameters: Sequence[nn.Parameter], config: Config) -> torch.optim.Optimizer:
    if config.optimizer == "adamw":
        return torch.optim.AdamW(parameters, config.lr, weight_decay=config.weight_decay)
    return torch.optim.SGD(parameters, config.lr, momentum=config.momentum, weight_decay=config.weight_decay)


def named(model: nn.Module, parameters: Sequence[nn.Parameter]) -> list[str]:
    """The names of `parameters` in `model`."""
    names = {id(p): name for name, p in model.named_parameters()}
    return [names[id(p)] for p in parameters]


def copies(parameters: Sequence[nn.Parameter]) -> list[Tensor]:
    return [p.detach().clone() for p in parameters]


@torch.no_grad()
def put_back(parameters: Sequence[nn.Parameter], tensors: Sequence[Tensor]) -> None:
    for parameter, tensor in zip(parameters, tensors, strict=True):
        parameter.copy_(tensor)


def optimizer_state(optimizer: torch.optim.Optimizer, names: Sequence[str]) -> dict[str, dict[str, Tensor]]:
    """Parameter name -> state name -> tensor, of an optimizer of the parameters `names`."""
    found = optimizer.state_dict()["state"]
    return {names[i]: {what: t for what, t in state.items() if t is not None} for i, state in found.items()}


def restore_optimizer(
    optimizer: torch.optim.Optimizer, names: Sequence[str], state: Mapping[str, Mapping[str, Tensor]]
) -> None:
    """Take back what `optimizer_state` returned."""
    found = {i: {what: t.clone() for what, t in state[name].items()} for i, name in enumerate(names) if name in state}
    optimizer.load_state_dict({"state": found, "param_groups": optimizer.state_dict()["param_groups"]})
