"""The NetVLAD layer against its two textbook formulations, and against its two matrix products with the softmax.

30 x 40 x 512 feature maps (VGG-16 at 640x480), K = 64. Memory is the peak of what one forward and backward pass
allocates beyond its inputs, read from the operating system in a process of its own. One thread; processor time, since
other work on the machine shares its caches and its cores.
"""

from __future__ import annotations

import subprocess
import sys
import time

import torch
import torch.nn.functional as F

from common import interleaved, peak_mib
from netvlad.describe.vlad import NetVLAD

IMAGES, DIM, HEIGHT, WIDTH, CLUSTERS = 4, 512, 30, 40, 64


def layer() -> NetVLAD:
    torch.manual_seed(0)
    made = NetVLAD(DIM, CLUSTERS)
    made.initialise(torch.randn(CLUSTERS, DIM).numpy() / 23, torch.randn(2000, DIM).numpy() / 23)
    return made


def loop_over_centres(net: NetVLAD, x: torch.Tensor) -> torch.Tensor:
    """One cluster after the other, each with a residual map of the size of x."""
    x = F.normalize(x, dim=1).flatten(2)
    a = torch.einsum("kd,ndl->nkl", net.weight, x).softmax(dim=1)
    out = [((x - net.centres[k][None, :, None]) * a[:, k : k + 1]).sum(-1) for k in range(len(net.centres))]
    return F.normalize(F.normalize(torch.stack(out, 1), dim=2).flatten(1), dim=1)


def whole_residual(net: NetVLAD, x: torch.Tensor) -> torch.Tensor:
    """The N x K x D x L residual tensor, then one sum."""
    x = F.normalize(x, dim=1).flatten(2)
    a = torch.einsum("kd,ndl->nkl", net.weight, x).softmax(dim=1)
    residual = (x[:, None] - net.centres[None, :, :, None]) * a[:, :, None]
    return F.normalize(F.normalize(residual.sum(-1), dim=2).flatten(1), dim=1)


def two_products(net: NetVLAD, x: torch.Tensor) -> torch.Tensor:
    """What no formulation can do without: W X, the softmax and A X^T."""
    x = x.flatten(2)
    return torch.matmul(torch.matmul(net.weight, x).softmax(dim=1), x.transpose(1, 2)).flatten(1)


def differentiated(net: NetVLAD, x: torch.Tensor) -> torch.Tensor:
    """The layer's formulation, with norms by torch.linalg and automatic differentiation."""
    x = x.flatten(2)
    inverse = torch.linalg.vector_norm(x, dim=1, keepdim=True).clamp_min(1e-12).reciprocal()
    a = (torch.matmul(net.weight, x) * inverse).softmax(dim=1)
    residuals = torch.matmul(a * inverse, x.transpose(1, 2)) - a.sum(-1, keepdim=True) * net.centres
    return F.normalize(F.normalize(residuals, dim=2).flatten(1), dim=1)


FORMS = {
    "this layer": lambda net, x: net(x),
    "loop over centres": loop_over_centres,
    "whole residual tensor": whole_residual,
    "automatic gradient": differentiated,
    "products and softmax": two_products,
}


def forward(form, net, x):
    with torch.no_grad():
        form(net, x)


def backward(form, net, x):
    net.zero_grad()
    x.grad = None
    form(net, x).square().sum().backward()


def peak_memory(name: str) -> float:
    """MiB that one forward and backward pass takes beyond the inputs."""
    out = subprocess.run([sys.executable, __file__, "--memory", name], capture_output=True, text=True, check=True)
    return float(out.stdout)


def measure_memory(name: str) -> None:
    net, x = layer(), torch.rand(IMAGES, DIM, HEIGHT, WIDTH, requires_grad=True)
    small = torch.rand(1, DIM, 2, 2, requires_grad=True)
    backward(FORMS[name], net, small)  # the libraries' own buffers
    before = peak_mib(reset=True)
    backward(FORMS[name], net, x)
    print(peak_mib() - before)


def main() -> None:
    torch.set_num_threads(1)
    net, x = layer(), torch.rand(IMAGES, DIM, HEIGHT, WIDTH)
    for name in ("loop over centres", "whole residual tensor", "automatic gradient"):
        torch.testing.assert_close(FORMS[name](net, x), net(x), rtol=1e-3, atol=1e-5)
    fast = interleaved({n: lambda f=f: forward(f, net, x) for n, f in FORMS.items()}, rounds=9, clock=time.thread_time)
    x.requires_grad_(True)
    full = interleaved({n: lambda f=f: backward(f, net, x) for n, f in FORMS.items()}, rounds=7, clock=time.thread_time)
    print(f"{DIM}x{HEIGHT}x{WIDTH}, K={CLUSTERS}, batch {IMAGES}, {torch.get_num_threads()} threads; ms per image")
    print(f"{'':24}{'forward':>9}{'ratio':>7}{'fwd+bwd':>9}{'ratio':>7}{'MiB':>8}{'ratio':>7}")
    memory = {name: peak_memory(name) for name in FORMS}
    least = "products and softmax"
    for name in FORMS:
        a, b = 1000 * fast[name] / IMAGES, 1000 * full[name] / IMAGES
        print(
            f"{name:24}{a:9.2f}{fast[name] / fast[least]:7.2f}{b:9.2f}{full[name] / full[least]:7.2f}"
            f"{memory[name] / IMAGES:8.1f}{memory[name] / memory[least]:7.2f}"
        )


if __name__ == "__main__":
    measure_memory(sys.argv[2]) if "--memory" in sys.argv else main()
