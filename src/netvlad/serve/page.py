"""The page: files of this package as they are, sent under the same address as the service."""

from __future__ import annotations

from importlib import resources

from fastapi import FastAPI
from fastapi.responses import Response

from netvlad.serve.problems import Refusal
from netvlad.serve.tiles import Tiles

KINDS = {"html": "text/html", "js": "text/javascript", "css": "text/css", "svg": "image/svg+xml"}
SHARED = {  # with the pages that are written as files
    "leaflet.js": "vendor/leaflet/leaflet.js",
    "leaflet.css": "vendor/leaflet/leaflet.css",
    "heat.js": "templates/heat.js",
}


def add_page(app: FastAPI, tiles: Tiles) -> None:
    """Add the page, its parts and its map tiles to the routes; none of them knows anything of a map."""
    static = resources.files("netvlad.serve").joinpath("static")
    files = {file.name: file.read_bytes() for file in static.iterdir() if file.name.rpartition(".")[2] in KINDS}
    report = resources.files("netvlad.report")
    files |= {name: report.joinpath(path).read_bytes() for name, path in SHARED.items()}

    @app.get("/", include_in_schema=False)
    async def page() -> Response:
        return _sent("index.html", files)

    @app.get("/page/config.json", include_in_schema=False)
    async def config() -> dict[str, object]:
        return {"tiles": {"url": tiles.url, "credit": tiles.credit, "largest": tiles.largest}}

    @app.get("/page/tiles/{z}/{x}/{y}", include_in_schema=False)
    async def tile(z: int, x: int, y: int) -> Response:
        image = tiles.tile(z, x, y) if tiles.tile and 0 <= z <= 24 and 0 <= x < 1 << z and 0 <= y < 1 << z else None
        if image is None:
            raise Refusal(404, "there is no such tile")
        return Response(image, media_type=tiles.kind, headers={"Cache-Control": "public, max-age=86400"})

    @app.get("/page/{name}", include_in_schema=False)
    async def part(name: str) -> Response:
        return _sent(name, files)


def _sent(name: str, files: dict[str, bytes]) -> Response:
    if name not in files:
        raise Refusal(404, "the page has no such part")
    headers = {"Cache-Control": "no-cache"}
    return Response(files[name], media_type=f"{KINDS[name.rpartition('.')[2]]}; charset=utf-8", headers=headers)
