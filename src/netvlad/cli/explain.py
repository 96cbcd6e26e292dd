"""netvlad explain: what in two photos agrees?"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from netvlad.cli.options import Device, TrustCode
from netvlad.cli.outputs import out_file
from netvlad.cli.region import Root

EXAMPLE = "Example: netvlad explain query.jpg --index campus.vpr --out why.html"


def run(
    photo: Annotated[Path, typer.Argument(help="A photo.")],
    index: Annotated[Path, typer.Option(help="An index made by `netvlad index`.")],
    out: Annotated[Path, typer.Option(help="Write the page to this HTML file.", callback=out_file)],
    root: Root = None,
    trust_code: TrustCode = False,
    device: Device = None,
) -> None:
    """Show why the best match of a photo is its best: heat maps, the pairs of spots that agree, the cluster centres."""
    from netvlad.cli.common import printable, say
    from netvlad.explanation.explain import explain
    from netvlad.maps.index import PlaceIndex
    from netvlad.report.explanation_page import explanation_page

    opened = PlaceIndex.open(index, root=root, trust_code=trust_code)
    match = opened.locate(photo, top=1).matches[0]
    explanation = explain(opened.model, photo, match.path)
    print(printable(f"{photo}\n  {match.to_text()}\n  similarity {explanation.similarity:.3f}"))
    explanation_page(explanation, str(photo), match.path, out)
    say(f"wrote {out}")
