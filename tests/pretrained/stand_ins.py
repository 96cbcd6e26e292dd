"""Folders that stand in for the repositories of published models: the same calls, networks of a few numbers."""

from __future__ import annotations

from pathlib import Path

import torch
from safetensors.torch import save_file

from netvlad.pretrained.catalogue import HUBS, Hub
from netvlad.pretrained.needs import Checkout, HuggingFaceFile

NET = """
import torch

class Net(torch.nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.linear = torch.nn.Linear(3, dim)

    def forward(self, x):
        return self.linear(x.mean(dim=(2, 3)))
"""
FROM_URL = "torch.hub.load_state_dict_from_url('{url}', map_location=torch.device('cpu'))"
# what each repository's code asks for, in its words; DIM and URL are put in
REPOSITORIES = {
    "gmberton/MegaLoc": {
        "hubconf.py": """
dependencies = ["torch", "torchvision", "huggingface_hub"]
from megaloc_model import Net

def get_trained_model():
    from huggingface_hub import hf_hub_download
    from safetensors.torch import load_file
    net = Net(DIM)
    net.load_state_dict(load_file(hf_hub_download(repo_id="gberton/MegaLoc", filename="model.safetensors")))
    return net
""",
        "megaloc_model.py": NET,
    },
    "serizba/salad": {
        "hubconf.py": """
import torch
from vpr_model import VPRModel

def dinov2_salad():
    net = VPRModel(DIM)
    net.load_state_dict(WEIGHTS)
    return net
""",
        "vpr_model.py": "import utils\nfrom models import helper\n"
        + NET.replace("Net(", "VPRModel(").replace(
            "linear =", "dino = helper.backbone('dinov2_vitb14')\n        self.linear ="
        ),
        "models/__init__.py": "",
        "models/helper.py": "import torch\n\ndef backbone(name):\n"
        "    assert torch.hub.load('facebookresearch/dinov2', name)\n    return torch.nn.Identity()\n",
        "utils/__init__.py": "",
    },
    "facebookresearch/dinov2": {
        "hubconf.py": """
import torch
from dinov2.hub.backbones import dinov2_vitb14
""",
        "dinov2/__init__.py": "",
        "dinov2/hub/__init__.py": "",
        "dinov2/hub/backbones.py": """
import torch

def dinov2_vitb14(*, pretrained=True):
    url = "https://dl.fbaipublicfiles.com/dinov2/dinov2_vitb14/dinov2_vitb14_pretrain.pth"
    return torch.hub.load_state_dict_from_url(url, map_location="cpu")
""",
    },
    "amaralibey/Bag-of-Queries": {
        "hubconf.py": """
import os, sys
sys.path.append(os.path.join(os.path.dirname(__file__), "src"))
import torch
from backbones import load
from boq import Net

class WithAttention(Net):
    def forward(self, x):
        return super().forward(x), ["attention"]

def get_trained_boq(backbone_name="resnet50", output_dim=16384):
    assert load(backbone_name)
    net = WithAttention(output_dim)
    net.load_state_dict(WEIGHTS)
    return net
""",
        "src/backbones.py": """
import torch
import torchvision

def load(name):
    if name == "dinov2":
        return torch.hub.load("facebookresearch/dinov2", "dinov2_vitb14")
    return torchvision.models.get_weight("ResNet50_Weights.IMAGENET1K_V1").get_state_dict(check_hash=False)
""",
        "src/boq.py": NET,
    },
    "gmberton/CosPlace": {
        "hubconf.py": """
import torch
import torchvision
from cosplace_model.network import Net

def get_trained_model(backbone="ResNet50", fc_output_dim=2048):
    assert torchvision.models.get_weight(f"{backbone}_Weights.DEFAULT").get_state_dict(check_hash=False)
    url = f"https://github.com/gmberton/CosPlace/releases/download/v1.0/{backbone}_{fc_output_dim}_cosplace.pth"
    net = Net(fc_output_dim)
    net.load_state_dict(torch.hub.load_state_dict_from_url(url, map_location=torch.device("cpu")))
    return net
""",
        "cosplace_model/network.py": NET,
    },
    "gmberton/EigenPlaces": {
        "hubconf.py": """
import torch
from eigenplaces_model.network import Net

def get_trained_model(backbone="ResNet50", fc_output_dim=2048):
    assert torch.hub.load("gmberton/cosplace", "get_trained_model", backbone=backbone, fc_output_dim=512)
    net = Net(fc_output_dim)
    net.load_state_dict(WEIGHTS)
    return net
""",
        "eigenplaces_model/network.py": NET,
    },
    "chenshunpeng/SAGE": {
        "hubconf.py": """
import torch
import network

dependencies = ["torch"]

def sage_vitb(pretrained=True, progress=True, **kwargs):
    net = network.Net(DIM)
    checkpoint = torch.hub.load_state_dict_from_url("URL", map_location="cpu", progress=progress)
    held = checkpoint["model_state_dict"]
    net.load_state_dict({key.removeprefix("module."): value for key, value in held.items()}, strict=True)
    return net.eval()

sage_vitl = sage_vitb
""",
        "network.py": "from backbone.dinov2_sage import Net\n",
        "backbone/dinov2_sage.py": NET,
    },
    "Lu-Feng/SelaVPRplusplus": {
        "hubconf.py": """
import torch
from model import network

def SelaVPRplusplus(**arguments):
    assert arguments["hashing"] is False and arguments["rerank"] is False
    net = torch.nn.DataParallel(network.Net(DIM))
    net.load_state_dict(WEIGHTS["model_state_dict"])
    return net
""",
        "model/network.py": NET,
    },
    "Lu-Feng/ImAge": {
        "hubconf.py": """
import torch
import network

def ImAge(training_set="Merged"):
    net = torch.nn.DataParallel(network.Net(DIM))
    net.load_state_dict(WEIGHTS["model_state_dict"])
    return net
""",
        "network.py": NET,
    },
}


def state(dim: int) -> dict[str, torch.Tensor]:
    """Weights of `Net`."""
    g = torch.Generator().manual_seed(dim)
    return {"linear.weight": torch.randn(dim, 3, generator=g), "linear.bias": torch.randn(dim, generator=g)}


def stand_ins(folder: Path, name: str) -> list[Path]:
    """Everything that the published model called `name` needs, in `folder`, in the order of its needs."""
    spec = HUBS[name]
    made = []
    for need in spec.needs(name):
        made.append(folder / need.name)
        if isinstance(need, Checkout):
            for file, text in REPOSITORIES[need.repo].items():
                (folder / need.name / file).parent.mkdir(parents=True, exist_ok=True)
                weights = FROM_URL.format(url=spec.weights)
                text = text.replace("DIM", str(spec.dim)).replace("WEIGHTS", weights).replace("URL", spec.weights)
                (folder / need.name / file).write_text(text)
        elif isinstance(need, HuggingFaceFile):
            save_file(state(spec.dim), made[-1])
        else:
            torch.save(_held(spec, need.url), made[-1])
    return made


def _held(spec: Hub, url: str) -> dict:
    if "Lu-Feng" in url or "SAGE" in url:  # trained in parallel, and kept with other things
        return {"model_state_dict": {f"module.{key}": tensor for key, tensor in state(spec.dim).items()}}
    return state(512 if url.endswith("_512_cosplace.pth") else spec.dim)
