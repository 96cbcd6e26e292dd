"""Runs the service on uvicorn until it is told to end."""

from __future__ import annotations

import asyncio
import signal
from typing import Any

import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.h11_impl import H11Protocol

HEADERS = 15.0  # seconds for the head of a request, the first one or a later one of a connection
BACKLOG = 1024


class PatientProtocol(H11Protocol):
    """Closes connections whose request does not arrive: uvicorn itself waits for a head without end."""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._head = asyncio.get_running_loop().call_later(HEADERS, self._give_up)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            return
        self._head.cancel()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self._head.cancel()
        self._head = asyncio.get_running_loop().call_later(HEADERS, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        self._head.cancel()
        super().connection_lost(exc)

    def _give_up(self) -> None:
        if self.cycle is None or self.cycle.response_complete:
            self.transport.close()


def run(app: FastAPI, host: str, port: int, *, grace: float) -> None:
    """Serve `app` until SIGINT or SIGTERM; requests that were taken are finished, for at most `grace` seconds."""
    # uvicorn raises the signal once more when it has ended: an orderly end is no interruption
    before = {number: signal.signal(number, _ended) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        uvicorn.Server(configuration(app, host, port, grace)).run()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _ended(*_: Any) -> None:
    """Nothing is left to do."""


def configuration(app: FastAPI, host: str, port: int, grace: float) -> uvicorn.Config:
    """How uvicorn runs it."""
    return uvicorn.Config(
        app,
        host=host,
        port=port,
        http=PatientProtocol,
        ws="none",
        log_level="warning",
        access_log=False,  # addresses, and where people looked
        server_header=False,
        timeout_keep_alive=10,
        timeout_graceful_shutdown=int(grace),
        backlog=BACKLOG,
        h11_max_incomplete_event_size=32 << 10,
    )
