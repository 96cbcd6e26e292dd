"""Networks that others publish through torch.hub: their code is fetched and run here, and nowhere else.

The code comes from the repository that `catalogue.HUBS` names and runs with all rights of this process. It is fetched
and run only when one of those names is asked for, or an index or model that was built with it is opened. A checkout of
the repository in $NETVLAD_WEIGHTS, called as the model or as the repository, is preferred to GitHub, so that reviewed
code stays in use. While it runs, what it asks of torch.hub and of the Hugging Face hub is taken from $NETVLAD_WEIGHTS
where it is there, and no question is put to a person.
"""

from __future__ import annotations

import contextlib
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import nn

from netvlad.describe.weight_files import works_anyway
from netvlad.errors import ModelError, NetvladError, first_line
from netvlad.pretrained.catalogue import HUBS, Hub
from netvlad.pretrained.mixvpr import load_mixvpr
from netvlad.pretrained.needs import Checkout, HuggingFaceFile, Need, missing
from netvlad.runtime.weights_folders import find_file

# top-level modules of the repositories, which share names with each other and with the caller
MODULES = {"utils", "models", "src", "hubconf", "model", "network", "backbone", "backbones", "boq", "aggregators"}
MODULES |= {"commons", "parser", "vpr_model", "dinov2", "cosplace_model", "eigenplaces_model", "megaloc_model"}

PACKAGE = re.compile(r"[\w.]+")  # of what pip takes, the name
LACKS = "Missing dependencies: "  # how torch.hub begins when a package is not installed


def load_hub_network(name: str) -> nn.Module:
    """The network of a model in `HUBS`.

    Its repository is looked for in $NETVLAD_WEIGHTS (a folder NAME with a hubconf.py), then in torch.hub's cache, then
    on GitHub; the files and repositories that it needs besides likewise. Raises ModelError that lists what is missing,
    and where to put it.
    """
    base, _, ref = name.partition(":")
    spec = HUBS[base]
    if spec.files and ref:
        raise ModelError(f"{name}: {base} runs no code of a repository, so it has no version {ref!r}; ask for {base}")
    if spec.files:
        return _without_repository(name, spec)
    lacking = [package for package in spec.packages if find_spec(PACKAGE.findall(package)[0]) is None]
    if lacking:  # told before anything is downloaded
        raise _without_packages(name, lacking)
    code, needs = spec.code(base), spec.needs(base)
    try:
        for need in needs:
            need.fetch()
        if (ref or code.given() is None) and code.cached(ref) is None:
            print(f"{name}: fetching and running the code of {code.url}", file=sys.stderr, flush=True)
        with contextlib.redirect_stdout(sys.stderr), _modules_of_its_own(needs), _taken_from_here(needs):
            load: Any = torch.hub.load  # has no types
            network: nn.Module = load(spec.repo + (f":{ref}" if ref else ""), spec.entry, **spec.arguments)
    except ImportError as e:
        raise _without_packages(name, spec.packages or [e.name or str(e)], e) from e
    except Exception as e:  # their code, the network and the disk each fail in their own way
        raise _unloadable(name, needs, e) from e
    return network.module if isinstance(network, nn.DataParallel) else network


def _without_packages(name: str, packages: Sequence[str], error: ImportError | None = None) -> ModelError:
    reason = f" ({first_line(error)})" if error else ""
    wanted = " ".join(f"'{package}'" if "<" in package else package for package in packages)
    return ModelError(f"{name}: its code needs Python packages that are not here{reason}: pip install {wanted}")


def _unloadable(name: str, needs: tuple[Need, ...], error: Exception) -> ModelError:
    """The error for a network that cannot be loaded, with everything that it lacks."""
    reason = str(error) if isinstance(error, NetvladError) else first_line(error)
    if reason.startswith(LACKS):
        return _without_packages(name, reason.removeprefix(LACKS).split(", "))
    lacking = "; ".join(need.advice for need in missing(needs))
    advice = "Nothing that it needs is missing here, so the reason lies in its code or its files"
    if lacking:
        advice = f"Without a connection, put into one folder, and set NETVLAD_WEIGHTS to that: {lacking}"
    return ModelError(f"{name}: cannot be loaded from torch.hub ({reason}). {advice}. {works_anyway()}")


def _without_repository(name: str, spec: Hub) -> nn.Module:
    file = find_file(spec.files)
    if file is None:
        raise ModelError(
            f"{name}: its weights have no address to fetch them from; put {spec.files[0]} from {spec.weights} into a "
            f"folder and set NETVLAD_WEIGHTS to that. {works_anyway()}"
        )
    return load_mixvpr(file, **spec.arguments)


@contextlib.contextmanager
def _taken_from_here(needs: tuple[Need, ...]) -> Iterator[None]:
    """torch.hub.load and hf_hub_download take what `needs` lists from $NETVLAD_WEIGHTS; other code is not run."""
    import huggingface_hub

    files = {(need.repo, need.file): need for need in needs if isinstance(need, HuggingFaceFile)}
    checkouts = {need.repo.lower(): need for need in needs if isinstance(need, Checkout)}
    hub: Any = torch.hub
    load, download = hub.load, huggingface_hub.hf_hub_download

    def load_known(repo: str, model: str, *args: Any, **options: Any) -> Any:
        own = {key: value for key, value in options.items() if key not in ("source", "trust_repo", "verbose")}
        base, _, ref = repo.partition(":")
        if base.lower() not in checkouts:
            raise ModelError(f"its code asks for that of {repo}, which is not listed for it")
        given = None if ref else checkouts[base.lower()].given()
        if given is not None:
            return load(str(given), model, *args, source="local", **own)
        return load(repo, model, *args, source="github", trust_repo=True, verbose=False, **own)

    def download_known(repo_id: str, filename: str, **options: Any) -> Any:
        need = files.get((repo_id, filename))
        given = need.given() if need else None
        return str(given) if given else download(repo_id, filename, **options)

    with _replaced(hub, "load", load_known), _replaced(huggingface_hub, "hf_hub_download", download_known):
        yield


@contextlib.contextmanager
def _replaced(module: Any, name: str, function: Callable[..., Any]) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, function)
    try:
        yield
    finally:
        setattr(module, name, before)


@contextlib.contextmanager
def _modules_of_its_own(needs: tuple[Need, ...]) -> Iterator[None]:
    """Keep modules of repositories apart: they share names such as `utils`, with each other and with the caller."""
    before, path = dict(sys.modules), list(sys.path)
    _forget(MODULES)
    try:
        yield
    finally:
        sys.path[:] = path
        given = [need.given() for need in needs if isinstance(need, Checkout)]
        _forget(MODULES)  # also packages without a file of their own
        homes = [f.resolve() for f in (Path(torch.hub.get_dir()), *given) if f is not None]
        for known, module in list(sys.modules.items()):
            file = getattr(module, "__file__", None)  # built-in modules have none
            if known not in before and file and any(Path(file).resolve().is_relative_to(home) for home in homes):
                del sys.modules[known]
        sys.modules.update({name: module for name, module in before.items() if sys.modules.get(name) is not module})


def _forget(modules: set[str]) -> None:
    for known in [m for m in sys.modules if m.partition(".")[0] in modules]:
        del sys.modules[known]
