"""A served town, and photos to ask it with."""

from __future__ import annotations

import pytest

pytest.importorskip("fastapi")
pytest.importorskip("multipart")

from starlette.testclient import TestClient

from fixtures.uploads import small
from netvlad.serve.app import create_app
from netvlad.serve.served_map import open_maps


@pytest.fixture(scope="session")
def opened(index):
    """The maps of the session's server: the town."""
    return open_maps([index])


@pytest.fixture(scope="session")
def client(opened):
    """A client of a running service."""
    with TestClient(create_app(opened, small()), base_url="http://127.0.0.1") as running:
        yield running


@pytest.fixture
def service(opened):
    """service(**settings) -> a client of a service with other settings."""
    running = []

    def start(explain=None, **settings) -> TestClient:
        app = create_app(opened, small(**settings), explain)
        running.append(TestClient(app, base_url="http://127.0.0.1").__enter__())
        return running[-1]

    yield start
    for one in running:
        one.__exit__(None, None, None)
