"""The routes of the service, as an ASGI application."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

import anyio
from fastapi import FastAPI, Path, Query, Request
from fastapi.responses import JSONResponse, Response

from netvlad.errors import NetvladError, PlaceIndexError
from netvlad.maps.asked import parse_bbox, parse_where
from netvlad.serve.guard import Guard
from netvlad.serve.page import add_page
from netvlad.serve.problems import KIND, Refusal, add_handlers
from netvlad.serve.served_map import ServedMap
from netvlad.serve.service import Explain, Service
from netvlad.serve.settings import Settings
from netvlad.serve.tiles import tiles_of
from netvlad.serve.uploads import announced, read_uploads

MapName = Annotated[str | None, Query(alias="map", description="Name of the map; the first by default.")]
Text = Annotated[str | None, Query(max_length=200)]
PROBLEM = {"content": {KIND: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
REFUSALS: dict[int | str, dict[str, Any]] = {
    "4XX": {"description": "The request cannot be answered, for the reason in `detail`.", **PROBLEM},
    503: {"description": "Too much is waiting; Retry-After says when to come again.", **PROBLEM},
    504: {"description": "It took longer than the server's deadline.", **PROBLEM},
}
FORM = {
    "required": True,
    "content": {
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["photo"],
                "properties": {
                    "photo": {"type": "array", "minItems": 1, "items": {"type": "string", "format": "binary"}}
                },
            }
        }
    },
}


def create_app(
    maps: Mapping[str, ServedMap], settings: Settings | None = None, explain: Explain | None = None
) -> FastAPI:
    """The service over `maps` (`served_map.open_maps` opens them), for uvicorn or any other ASGI server.

    explain: says why a photo and its best match are similar, where that is asked for; None refuses to.
    It starts worker processes with the server's lifespan and ends them with it. Raises NetvladError for tiles that
    cannot be shown.
    """
    settings = settings or Settings()
    service = Service(maps, settings, explain)
    tiles = tiles_of(settings.tiles)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.stop()

    app = FastAPI(
        title="netvlad",
        summary="Where was this photo taken?",
        version="1",
        lifespan=lifespan,
        docs_url=None,  # their scripts would come from elsewhere
        redoc_url=None,
        responses=REFUSALS,
    )
    app.state.service = service
    app.add_middleware(
        Guard,
        token=settings.token,
        tiles=tiles.origin,
        answered=lambda route, status: service.metrics.requests.labels(route, str(status)).inc(),
    )
    add_handlers(app)
    _add_health(app, service)
    _add_locate(app, service)
    _add_index(app, service)
    add_page(app, tiles)
    _describe_problems(app)
    return app


def _add_locate(app: FastAPI, service: Service) -> None:
    settings = service.settings

    @app.post("/v1/locate", openapi_extra={"requestBody": FORM})
    async def locate(
        request: Request,
        map_: MapName = None,
        top: Annotated[int, Query(ge=1, le=100, description="Matches of an answer.")] = 5,
        near: Annotated[Text, Query(description="LAT,LON,RADIUS, as 31.262,34.801,500m.")] = None,
        bbox: Annotated[Text, Query(description="W,S,E,N in degrees.")] = None,
        after: Annotated[Text, Query(description="The first moment: 2019, 2022-06-01.")] = None,
        before: Annotated[Text, Query(description="The end, excluded.")] = None,
        explain: Annotated[bool, Query(description="Say of one photo why its best match is similar.")] = False,
    ) -> Any:
        """Where photos were taken: an answer for each, in order, or why it cannot be read.

        422 where none of them can be read.
        """
        start = time.perf_counter()
        status = 200
        try:
            with anyio.fail_after(settings.deadline):
                to = service.map_named(map_)
                where = _asked(near, bbox, after, before)
                with service.gate.holding(photos=1, size=announced(request, settings)):
                    uploads = await read_uploads(request, settings)
                    service.metrics.seconds("read", time.perf_counter() - start)
                    if explain and len(uploads) > 1:
                        raise Refusal(422, "explain: one photo at a time is explained")
                    with service.gate.holding(photos=len(uploads) - 1):
                        if explain:
                            answers = [await service.explain(uploads[0], to, top, where)]
                        else:
                            answers = await service.locate(uploads, to, top, where)
        except TimeoutError:
            raise Refusal(504, f"took longer than {settings.deadline:g} s, the sending included") from None
        except PlaceIndexError as e:
            raise Refusal(422, e.reason) from None
        except Refusal:
            await request.scope["discard"]()
            raise
        finally:
            service.metrics.seconds("total", time.perf_counter() - start)
        if all("error" in answer for answer in answers):
            reasons = "; ".join(f"{answer['photo']} {answer['error']}" for answer in answers)
            raise Refusal(422, f"no photo could be read: {reasons}", answers=answers)
        return JSONResponse({"map": to.name, "answers": answers}, status)


def _add_index(app: FastAPI, service: Service) -> None:
    @app.get("/v1/index")
    async def index() -> dict[str, Any]:
        """The maps: photos, radius, bounds, whether answers have a confidence."""
        facts = [await asyncio.to_thread(_facts, served) for served in service.maps.values()]
        return {"maps": facts, "limits": {"photos": service.settings.photos, "bytes": service.settings.body}}

    @app.get("/v1/index/streets")
    async def streets(
        map_: MapName = None,
        bbox: Annotated[Text, Query(description="W,S,E,N: degrees, or metres of a planar map.")] = None,
        most: Annotated[int, Query(ge=1, le=10_000)] = 2000,
    ) -> dict[str, Any]:
        """Positions of the map's photos, thinned to `most`, and the streets between them as pairs of these."""
        served = service.map_named(map_)
        try:
            box = None if bbox is None else parse_bbox(bbox)
        except NetvladError as e:
            raise Refusal(422, e.reason) from None
        found = await asyncio.to_thread(served.view.streets, box, most)
        digits = 7 if served.view.facts["geodetic"] else 2
        return {"points": found.points.round(digits).tolist(), "lines": found.lines.tolist(), "total": found.total}

    @app.get(
        "/v1/photos/{id}/thumbnail",
        response_class=Response,
        responses={200: {"content": {"image/jpeg": {}}, "description": "The photo, scaled down."}},
    )
    async def thumbnail(
        id_: Annotated[str, Path(alias="id", pattern="^[0-9a-f]{16}$")],
        map_: MapName = None,
        longest: Annotated[int, Query(ge=32, le=1600, description="Longest side in pixels.")] = 320,
    ) -> Response:
        """A photo of the map by the id that a match has: made anew, without its metadata."""
        with service.gate.holding(photos=1):
            jpeg = await service.thumbnail(service.map_named(map_), id_, longest)
        return Response(jpeg, media_type="image/jpeg", headers={"Cache-Control": "private, max-age=3600"})


def _add_health(app: FastAPI, service: Service) -> None:
    @app.get("/healthz")
    async def alive() -> dict[str, str]:
        """The process answers."""
        return {"status": "ok"}

    @app.get("/readyz")
    async def ready() -> dict[str, str]:
        """Photos are taken; 503 while the server starts or ends."""
        if not service.ready:
            raise Refusal(503, "the server starts or ends", retry_after=1)
        return {"status": "ready"}

    @app.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """For Prometheus."""
        return Response(service.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


def _facts(served: ServedMap) -> dict[str, Any]:
    return {**served.view.facts, "model": served.model.name, "dim": served.model.dim}


def _asked(near: str | None, bbox: str | None, after: str | None, before: str | None) -> Any:
    try:
        return parse_where(near, bbox, after, before)
    except NetvladError as e:
        raise Refusal(422, e.reason) from None


def _describe_problems(app: FastAPI) -> None:
    """Add the shape of a problem to the OpenAPI document, in the place of FastAPI's own."""
    texts = {name: {"type": "string"} for name in ("type", "title", "detail")}
    shape = {
        "type": "object",
        "required": ["title", "status", "detail"],
        "properties": {**texts, "status": {"type": "integer"}},
    }
    document = app.openapi()
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas["Problem"] = shape
    for path in document["paths"].values():
        for operation in path.values():
            operation["responses"].pop("422", None)
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
