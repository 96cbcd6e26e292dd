from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from netvlad.describe.alexnet import AlexNet
from netvlad.describe.backbone import Backbone, load_backbone
from netvlad.errors import ModelError


def by_hand(features, x, convolutions: int) -> torch.Tensor:
    """conv1 .. of AlexNet ("One weird trick", Krizhevsky 2014) up to one of its convolutions, without its ReLU."""
    shapes = [(0, 4, 2), (3, 1, 2), (6, 1, 1), (8, 1, 1), (10, 1, 1)]  # place, stride, padding
    for i, (place, stride, padding) in enumerate(shapes[:convolutions]):
        if i > 0:
            x = F.relu(x)
        if i in (1, 2):
            x = F.max_pool2d(x, 3, 2)
        x = F.conv2d(x, features[place].weight, features[place].bias, stride, padding)
    return x


@torch.no_grad()
@pytest.mark.parametrize(
    ("stage", "convolutions", "dim", "stride"),
    [("conv5", 5, 256, 16), (None, 5, 256, 16), ("features.9", 4, 256, 16), ("features.4", 2, 192, 8),
     ("features.1", 1, 64, 4)],
)  # fmt: skip
def test_crops(stage, convolutions, dim, stride):
    backbone = Backbone("alexnet", stage)
    features = backbone.body.features
    backbone.crop()
    x = torch.randn(2, 3, 100, 131, generator=torch.Generator().manual_seed(0))
    expected = by_hand(features, x, convolutions)
    torch.testing.assert_close(backbone(x), expected, rtol=1e-5, atol=1e-5)
    assert (backbone.stage, backbone.dim, backbone.stride) == (stage or "conv5", dim, stride)
    assert expected.shape[1] == dim
    assert (expected < 0).any()


@torch.no_grad()
def test_with_its_activation():
    backbone = Backbone("alexnet", "conv5+act")
    features = backbone.body.features
    backbone.crop()
    x = torch.randn(1, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(backbone(x), by_hand(features, x, 5).relu(), rtol=1e-5, atol=1e-5)


def test_a_torchvision_checkpoint(folder):
    state = {**AlexNet().state_dict(), "classifier.6.bias": torch.zeros(1000)}
    torch.save(state, folder / "alexnet-owt-7be5be79.pth")
    backbone = load_backbone("alexnet")
    assert backbone.provenance["file"] == "alexnet-owt-7be5be79.pth"
    assert backbone.mean == (0.485, 0.456, 0.406)
    for key, tensor in backbone.body.state_dict().items():
        torch.testing.assert_close(tensor, state[key], rtol=0, atol=0)


def test_a_download(folder, monkeypatch):
    from torchvision.models import AlexNet_Weights

    state = {**AlexNet().state_dict(), "classifier.6.bias": torch.zeros(1000)}
    monkeypatch.setattr(AlexNet_Weights, "get_state_dict", lambda self, **options: state)
    backbone = load_backbone("alexnet")
    torch.testing.assert_close(backbone.body.features[10].weight, state["features.10.weight"], rtol=0, atol=0)
    assert backbone.provenance["licence"] == "bsd-3-clause"
    assert "IMAGENET1K_V1" in backbone.provenance["source"]


def test_without_weights(folder, monkeypatch):
    from torchvision.models import AlexNet_Weights

    def no_network(self, **options):
        raise OSError("Network is unreachable")

    monkeypatch.setattr(AlexNet_Weights, "get_state_dict", no_network)
    with pytest.raises(ModelError, match=r"no weights for alexnet: .*Network is unreachable"):
        load_backbone("alexnet")
