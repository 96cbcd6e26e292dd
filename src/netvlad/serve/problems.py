"""Refusals as problem+json (RFC 9457): each says what was wrong and what would be right."""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from netvlad.errors import NetvladError

KIND = "application/problem+json"
log = logging.getLogger("netvlad.serve")


class Refusal(Exception):
    """A request that is not answered. status: of HTTP. detail: why. more: further members of the problem."""

    def __init__(self, status: int, detail: str, *, retry_after: int | None = None, **more: Any) -> None:
        super().__init__(detail)
        self.status, self.detail, self.more = status, detail, more
        self.headers = {} if retry_after is None else {"Retry-After": str(retry_after)}

    def response(self) -> JSONResponse:
        """As it is sent."""
        return problem(self.status, self.detail, self.headers, **self.more)


def problem(status: int, detail: str, headers: dict[str, str] | None = None, **more: Any) -> JSONResponse:
    """A problem. headers: further ones."""
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail, **more}
    return JSONResponse(content, status, headers, media_type=KIND)


def add_handlers(app: FastAPI) -> None:
    """Turn the errors of `app` into problems; `Guard` does so with those that nobody foresaw."""

    @app.exception_handler(Refusal)
    async def refused(_: Request, error: Refusal) -> JSONResponse:
        return error.response()

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        wrong = (f"{'.'.join(map(str, e['loc'][1:])) or 'request'}: {e['msg']}" for e in error.errors())
        return problem(422, "; ".join(wrong))

    @app.exception_handler(HTTPException)
    async def of_the_router(_: Request, error: HTTPException) -> JSONResponse:
        return problem(error.status_code, str(error.detail), dict(error.headers or {}))

    @app.exception_handler(NetvladError)
    async def explained(_: Request, error: NetvladError) -> JSONResponse:
        log.error("%s", error)
        return problem(500, f"the map or its model failed ({type(error).__name__}); the server's log has more")
