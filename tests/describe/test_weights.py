from __future__ import annotations

import os

import pytest
import timm
import torch
from safetensors.torch import save_file

from netvlad.describe.backbone import load_backbone
from netvlad.describe.weights import load_into, local_state
from netvlad.errors import ModelError


@pytest.fixture(scope="module")
def state() -> dict:
    return timm.create_model("test_resnet", num_classes=0).state_dict()


@pytest.mark.parametrize(
    "wrap",
    [
        lambda s: s,
        lambda s: {"state_dict": s},
        lambda s: {"model": s},
        lambda s: {"state_dict": {f"module.{k}": v for k, v in s.items()}},  # trained on several GPUs
        lambda s: {k: v.half() if v.is_floating_point() else v for k, v in s.items()},
        lambda s: {k: v for k, v in s.items() if not k.endswith("num_batches_tracked")},  # before PyTorch 0.4
        lambda s: {**s, "fc.weight": torch.zeros(1000, 256), "epoch": torch.tensor(3)},
    ],
)
def test_checkpoints_as_they_are_found(folder, state, wrap):
    torch.save(wrap(state), folder / "test_resnet.pth")
    for key, tensor in load_backbone("test_resnet").body.state_dict().items():
        assert tensor.dtype == state[key].dtype
        torch.testing.assert_close(tensor, state[key], rtol=1e-3, atol=1e-4)


def test_a_missing_tensor_is_named(folder, state):
    save_file({k: v for k, v in state.items() if k != "layer2.0.conv2.weight"}, folder / "test_resnet.safetensors")
    with pytest.raises(ModelError) as error:
        load_backbone("test_resnet")
    message = str(error.value)
    assert message.startswith(f"{folder / 'test_resnet.safetensors'}: lacks 1 of the ")
    assert "'layer2.0.conv2.weight'" in message


def test_a_tensor_of_another_shape_is_named(folder, state):
    torch.save({**state, "conv1.0.weight": torch.zeros(5, 3, 3, 3)}, folder / "test_resnet.pth")
    shape = tuple(state["conv1.0.weight"].shape)
    with pytest.raises(ModelError) as error:
        load_backbone("test_resnet")
    assert f"conv1.0.weight is (5, 3, 3, 3), this backbone has {shape}" in str(error.value)


def test_nothing_is_changed_by_a_state_that_does_not_fit(state):
    model = timm.create_model("test_resnet", num_classes=0)
    before = {k: v.clone() for k, v in model.state_dict().items()}
    with pytest.raises(ModelError):
        load_into(model, {**state, "layer4.0.bn2.bias": torch.zeros(1)}, "it")
    for key, tensor in model.state_dict().items():
        assert torch.equal(tensor, before[key])


class Custom:
    """What only a pickle that runs code could bring back."""

    def __reduce__(self):
        return (os.system, ("true",))


@pytest.mark.parametrize(
    "write",
    [
        lambda f: (f / "test_resnet.pth").write_bytes(b""),
        lambda f: (f / "test_resnet.pth").write_bytes(b"no checkpoint at all"),
        lambda f: (f / "test_resnet.safetensors").write_bytes(b""),
        lambda f: (f / "test_resnet.safetensors").write_bytes(b"no checkpoint at all"),
        lambda f: torch.save([1, 2], f / "test_resnet.pth"),
        lambda f: torch.save(torch.zeros(3), f / "test_resnet.pth"),
        lambda f: torch.save({"a": Custom()}, f / "test_resnet.pth"),
        lambda f: (f / "test_resnet.pth").mkdir(),
    ],
    ids=["empty", "text", "empty safetensors", "text safetensors", "list", "tensor", "code", "folder"],
)
def test_what_is_no_checkpoint(folder, write):
    write(folder)
    with pytest.raises(ModelError) as error:
        load_backbone("test_resnet")
    assert str(error.value).startswith(f"{folder}/test_resnet.")
    assert "cannot be read as a checkpoint (" in str(error.value)
    assert "\n" not in str(error.value)


def test_half_a_file(folder, state):
    torch.save(state, folder / "whole.pth")
    data = (folder / "whole.pth").read_bytes()
    (folder / "test_resnet.pth").write_bytes(data[: len(data) // 2])
    with pytest.raises(ModelError, match="cannot be read as a checkpoint"):
        load_backbone("test_resnet")


@pytest.mark.parametrize("content", [{}, {"a": 1}, {"conv1.0.weight": 3}, {"epoch": 3, "optimizer": [1]}])
def test_a_checkpoint_of_something_else(folder, content):
    torch.save(content, folder / "test_resnet.pth")
    with pytest.raises(ModelError, match=r"lacks .* of the .* tensors of this backbone, the first 'conv1\.0\.weight'"):
        load_backbone("test_resnet")


def test_tensors_under_the_right_name_but_of_another_kind(folder):
    # timm rearranges a ViT's patch embedding before anything is checked
    torch.save({"patch_embed.proj.weight": torch.zeros(3)}, folder / "test_vit.pth")
    with pytest.raises(ModelError, match=r"test_vit\.pth: cannot be read as a checkpoint"):
        load_backbone("test_vit")


def test_names_of_other_publishers_are_timms(folder):
    # DINOv2's own file calls its register-free tokens as timm does, but has a mask token that timm drops
    model = timm.create_model("test_vit", num_classes=0)
    torch.save({**model.state_dict(), "mask_token": torch.zeros(1, 64)}, folder / "test_vit.pth")
    found = local_state(model, folder / "test_vit.pth")
    assert set(model.state_dict()) <= set(found)
    assert load_backbone("test_vit").dim == 64
