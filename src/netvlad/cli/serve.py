"""netvlad serve: ask maps in the browser, or over HTTP."""

from __future__ import annotations

from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from netvlad.cli.options import Device, TrustCode, Workers
from netvlad.cli.region import Root
from netvlad.runtime.counted import counted

EXAMPLE = "Example: netvlad serve campus.vpr"
EXTRA = "pip install 'netvlad[serve]'"


def run(
    maps: Annotated[
        list[str],
        typer.Argument(help="Indexes made by `netvlad index`, folders or s3://...; the first is the default."),
    ],
    host: Annotated[str, typer.Option(help="Address to listen on; any but this machine's own needs a token.")] = (
        "127.0.0.1"
    ),
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65535)] = 8000,
    token_file: Annotated[Path | None, typer.Option(help="File with the token that callers have to show.")] = None,
    tiles: Annotated[
        str, typer.Option(help="Street map of the page: osm, none, an address with {z}/{x}/{y}, or a .pmtiles file.")
    ] = "osm",
    workers: Workers = None,
    root: Root = None,
    trust_code: TrustCode = False,
    ray: Annotated[
        str | None,
        typer.Option(
            help="Search maps in shards on a Ray cluster: its address, or auto for this machine's or a new one."
        ),
    ] = None,
    replicas: Annotated[int, typer.Option(help="Processes of the Ray cluster that search each shard.", min=1)] = 1,
    device: Device = None,
) -> None:
    """Serve a page and an API that tell where photos were taken. The model and the maps are loaded once.

    With --ray this process describes, and processes of a Ray cluster search, each a shard of the map. A map that grows
    is followed without a restart. Ctrl-C ends it after the requests that were taken.
    """
    from netvlad.cli.common import say

    check_extra("fastapi", "uvicorn", "python_multipart", "prometheus_client", "pmtiles")
    from netvlad.cluster.searching import deployed
    from netvlad.explanation.explain import explain
    from netvlad.maps.sharded import Searches, shard_searches
    from netvlad.runtime.addresses import path_or_address
    from netvlad.serve.app import create_app
    from netvlad.serve.run import run as serve
    from netvlad.serve.served_map import open_maps
    from netvlad.serve.settings import Settings, check_address, read_token

    token = read_token(token_file)
    check_address(host, token)
    settings = Settings(token=token, tiles=tiles, workers=workers)
    with ExitStack() as stack:

        def on_ray(folder: Path, name: str) -> Searches:
            return stack.enter_context(deployed(str(ray), name, shard_searches(folder), replicas))

        opened = open_maps(
            [path_or_address(place) for place in maps],
            root=None if root is None else str(root),
            trust_code=trust_code,
            elsewhere=None if ray is None else on_ray,
        )
        app = create_app(opened, settings, lambda *photos: explain(*photos).to_dict())
        photos = sum(len(served.view) for served in opened.values())
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
        say(
            f"{counted(photos, 'photo is', 'photos are')} asked at {address}"
            + ("; the page asks for the token" if token else "")
        )
        serve(app, host, port, grace=settings.deadline)


def check_extra(*names: str) -> None:
    """Raise NetvladError where one of these packages of the extra is missing."""
    from importlib.util import find_spec

    from netvlad.errors import NetvladError

    if missing := [name for name in names if find_spec(name) is None]:
        raise NetvladError(f"serving needs {', '.join(missing)}: {EXTRA}")
