"""netvlad shard: cut a map into regions, for several machines."""

from __future__ import annotations

from typing import Annotated

import typer

from netvlad.cli.options import TrustCode
from netvlad.cli.outputs import out_index
from netvlad.cli.region import Root

EXAMPLE = "Example: netvlad shard france.vpr --shards 4 --out france.shards"


def run(
    index: Annotated[str, typer.Argument(help="An index made by `netvlad index`, a folder or s3://...")],
    out: Annotated[str, typer.Option(help="A new folder or address for the shards.", callback=out_index)],
    shards: Annotated[int, typer.Option(help="Number of regions, of about equally many photos each.", min=2)],
    root: Root = None,
    trust_code: TrustCode = False,
) -> None:
    """Cut a map into regions, each a map by itself, that are asked as one: by locate, info, check, export and serve.

    A question about a region reads only the shards that it touches; `netvlad serve --ray` puts each on a machine.
    """
    from netvlad.cli.common import say
    from netvlad.maps.index import PlaceIndex
    from netvlad.maps.sharding import write_shards
    from netvlad.runtime.addresses import path_or_address
    from netvlad.runtime.counted import counted

    opened = PlaceIndex.open(path_or_address(index), root=root, trust_code=trust_code)
    write_shards(opened, path_or_address(out), shards)
    say(f"{out}: {counted(len(opened), 'photo')} in {shards} shards")
